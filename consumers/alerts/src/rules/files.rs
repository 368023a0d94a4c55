//! Which files paths name.

use std::path::{Path, PathBuf};

use super::{RuleProblem, problem::SourceText};

/// The files that paths name, without reading them, and the paths with `*` that name none.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct RuleFiles {
    /// In the order of the paths. Those that cannot be listed are among them.
    pub files: Vec<PathBuf>,
    /// Paths that name no file.
    pub unmatched: Vec<PathBuf>,
}

impl RuleFiles {
    /// Looks for the files of these paths.
    #[must_use]
    pub fn of(paths: &[PathBuf]) -> Self {
        let mut found = Self::default();
        for path in paths {
            // Reading them says why that cannot be done.
            let files = files_of(path).unwrap_or_else(|_| vec![path.clone()]);
            if files.is_empty() {
                found.unmatched.push(path.clone());
            }
            found.files.extend(files);
        }
        found
    }
}

/// A file that cannot be read.
pub(crate) fn unreadable(path: &Path, error: &std::io::Error) -> RuleProblem {
    let hint = Some("correct alerts.rules".to_owned());
    SourceText::whole(path, format!("cannot be read: {error}"), hint)
}

/// The files that a path with `*` in its last part names, sorted; the path itself without `*`.
pub(crate) fn files_of(path: &Path) -> std::io::Result<Vec<PathBuf>> {
    let pattern = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
    if !pattern.contains('*') {
        return Ok(vec![path.to_owned()]);
    }
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty());
    let folder = folder.unwrap_or(Path::new("."));
    if !folder.exists() {
        return Ok(Vec::new());
    }
    let mut files = Vec::new();
    for entry in std::fs::read_dir(folder)? {
        let entry = entry?;
        if entry.file_name().to_str().is_some_and(|name| glob(pattern, name)) {
            files.push(entry.path());
        }
    }
    files.sort();
    Ok(files)
}

fn glob(pattern: &str, name: &str) -> bool {
    match pattern.split_once('*') {
        None => pattern == name,
        Some((head, tail)) => name.strip_prefix(head).is_some_and(|rest| {
            (0..=rest.len()).any(|index| rest.get(index..).is_some_and(|rest| glob(tail, rest)))
        }),
    }
}
