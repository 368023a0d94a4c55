use std::path::PathBuf;

use crate::error::StoreError;

/// A dump or a restore failed.
#[derive(Debug, thiserror::Error)]
pub enum BackupError {
    /// The database failed.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// A program of PostgreSQL cannot be run.
    #[error(
        "{} cannot be run: install PostgreSQL's client programs (Debian: postgresql-client), or name it with --{option} PROGRAM",
        program.display()
    )]
    NoProgram {
        /// The program.
        program: PathBuf,
        /// The option that names another.
        option: &'static str,
        /// Why it cannot be run.
        source: std::io::Error,
    },
    /// A program of PostgreSQL is too old.
    #[error(
        "{} is version {found}, {what} wants {wanted} or newer: install PostgreSQL's client programs of that version, or name them with --{option} PROGRAM",
        program.display()
    )]
    ProgramTooOld {
        /// The program.
        program: PathBuf,
        /// Its major version.
        found: u32,
        /// The server, or the dump.
        what: &'static str,
        /// The major version that is needed.
        wanted: u32,
        /// The option that names another.
        option: &'static str,
    },
    /// A program of PostgreSQL failed.
    #[error("{} failed ({status}): {reason}", program.display())]
    ProgramFailed {
        /// The program.
        program: PathBuf,
        /// Its exit status.
        status: String,
        /// The last lines of its error output.
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
    /// The dump lacks tables of the database.
    #[error("{} does not hold: it lacks {}", path.display(), missing.join(", "))]
    Incomplete {
        /// The dump.
        path: PathBuf,
        /// What it lacks.
        missing: Vec<String>,
    },
}

impl BackupError {
    pub(super) fn file(path: impl Into<PathBuf>) -> impl FnOnce(std::io::Error) -> Self {
        let path = path.into();
        |source| Self::File { path, source }
    }
}
