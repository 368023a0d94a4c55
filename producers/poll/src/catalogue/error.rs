use std::path::PathBuf;

use crypto_intel_assets::AssetsError;

/// A provider file or its settings cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum CatalogueError {
    /// The folder or a file in it cannot be read.
    #[error("cannot read {path}: correct poll.catalogue or the file's permissions")]
    Read {
        /// Folder or file.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// A file is not in the format of a provider file.
    #[error("{file} is not a provider file: {text}")]
    Form {
        /// The file.
        file: String,
        /// Place and problem.
        text: String,
    },
    /// A value in a file or in its settings is wrong, or a filter is.
    #[error("{file}: {problem}")]
    Value {
        /// The file and, where it is known, the line.
        file: String,
        /// What is wrong, and how it should be.
        problem: String,
    },
    /// Settings for an unknown provider.
    #[error("{setting}: there is no provider {name:?}; there are {}", known.join(", "))]
    Unknown {
        /// Where it is named.
        setting: String,
        /// The name in the configuration.
        name: String,
        /// All providers.
        known: Vec<String>,
    },
    /// The registry of assets cannot be used.
    #[error(transparent)]
    Assets(#[from] AssetsError),
    /// A provider that requires a key has none.
    #[error("provider {name} needs a key: set poll.providers.{name}.key")]
    KeyMissing {
        /// The provider.
        name: String,
    },
}
