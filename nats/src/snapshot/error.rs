use std::path::PathBuf;

use crate::error::NatsError;

/// A snapshot was not taken, does not hold, or was not restored.
#[derive(Debug, thiserror::Error)]
pub enum SnapshotError {
    /// The server refuses or does not answer.
    #[error("cannot {doing} stream {stream}")]
    Nats {
        /// `snapshot` or `restore`.
        doing: &'static str,
        /// The stream.
        stream: String,
        /// Why.
        source: NatsError,
    },
    /// The server ended the transfer.
    #[error("the server ended the snapshot of stream {stream}: {reason}")]
    Ended {
        /// The stream.
        stream: String,
        /// Its words.
        reason: String,
    },
    /// Nothing came for so long that nothing will.
    #[error("nothing of the snapshot of stream {stream} came for {seconds} s")]
    Silent {
        /// The stream.
        stream: String,
        /// How long it was waited.
        seconds: u64,
    },
    /// The server does not take what it is sent.
    #[error("the server refuses the snapshot of stream {stream}: {reason}")]
    Refused {
        /// The stream.
        stream: String,
        /// Its words.
        reason: String,
    },
    /// A file cannot be read or written.
    #[error("cannot use {}", path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// What is in the file is not a whole snapshot, or not what the server said.
    #[error("{} does not hold: {reason}", path.display())]
    Broken {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        reason: String,
    },
}

impl SnapshotError {
    pub(super) fn file(path: impl Into<PathBuf>) -> impl FnOnce(std::io::Error) -> Self {
        let path = path.into();
        |source| Self::File { path, source }
    }
}
