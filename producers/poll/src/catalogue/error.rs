use std::path::PathBuf;

use crypto_intel_assets::AssetsError;
use crypto_intel_service::error_chain;

/// A provider file or its settings cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum CatalogueError {
    /// The folder of `poll.catalogue` cannot be read.
    #[error("cannot read {path}: correct poll.catalogue or its permissions")]
    Folder {
        /// The folder.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// A file in it cannot be read.
    #[error("cannot read {path}: correct its permissions")]
    Read {
        /// The file.
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
    /// A value of the configuration is wrong.
    #[error("{problem}")]
    Setting {
        /// The key, what is wrong, and how it should be.
        problem: String,
    },
    /// A value in a file is wrong, or a filter is.
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
    /// Several of these.
    #[error("{}", each_in_a_line(.0))]
    Several(Vec<CatalogueError>),
    /// A provider that requires a key has none.
    #[error("provider {name} needs a key: set poll.providers.{name}.key")]
    KeyMissing {
        /// The provider.
        name: String,
    },
}

impl CatalogueError {
    /// Whether the configuration is wrong rather than a provider's file.
    pub(crate) const fn is_of_configuration(&self) -> bool {
        match self {
            Self::Folder { .. }
            | Self::Setting { .. }
            | Self::Unknown { .. }
            | Self::Assets(_)
            | Self::KeyMissing { .. } => true,
            Self::Read { .. } | Self::Form { .. } | Self::Value { .. } | Self::Several(_) => false,
        }
    }

    /// One error for all of them; `None` when there is none.
    pub(crate) fn of_all(mut errors: Vec<Self>) -> Option<Self> {
        match errors.len() {
            0 | 1 => errors.pop(),
            _ => Some(Self::Several(errors)),
        }
    }
}

/// Each with its causes.
fn each_in_a_line(errors: &[CatalogueError]) -> String {
    errors.iter().map(|error| error_chain(error)).collect::<Vec<_>>().join("\n")
}
