//! Files that are generated from the types and kept in the repository.

use std::{
    collections::BTreeSet,
    fs,
    path::{Path, PathBuf},
};

/// A folder of this crate.
pub(crate) fn folder(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(name)
}

/// Whether the environment asks for the files to be rewritten.
pub(crate) fn is_update(variable: &str) -> bool {
    std::env::var_os(variable).is_some_and(|value| value == "1")
}

/// Names of the files in a folder; sub-folders do not count.
pub(crate) fn names(folder: &Path) -> BTreeSet<String> {
    fs::read_dir(folder)
        .unwrap_or_else(|error| panic!("read {}: {error}", folder.display()))
        .map(|entry| entry.unwrap())
        .filter(|entry| entry.file_type().unwrap().is_file())
        .map(|entry| entry.file_name().into_string().unwrap())
        .collect()
}

/// A value as it is kept in a file.
pub(crate) fn pretty(json: &serde_json::Value) -> String {
    serde_json::to_string_pretty(json).unwrap() + "\n"
}
