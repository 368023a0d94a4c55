use std::path::PathBuf;

/// A registry of assets cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum AssetsError {
    /// The file cannot be read.
    #[error("cannot read {path}: correct {option} or the file's permissions")]
    Read {
        /// The file.
        path: PathBuf,
        /// The option that names it.
        option: &'static str,
        /// Why.
        source: std::io::Error,
    },
    /// The file is not in the form of a registry.
    #[error("{file} is not a registry of assets: {text}")]
    Form {
        /// The file.
        file: String,
        /// Place and problem.
        text: String,
    },
    /// An entry is wrong.
    #[error("{file}: asset {asset}: {problem}")]
    Entry {
        /// The file.
        file: String,
        /// Key of the asset.
        asset: String,
        /// What is wrong and how to correct it.
        problem: String,
    },
}
