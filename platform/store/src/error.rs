use crypto_intel_service::{Retryable, Stopped, error_chain};
use deadpool_postgres::PoolError;
use tokio_postgres::error::SqlState;

use crate::{hint::hint, stream_position::StreamPosition};

/// What the caller can do about a database error.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ErrorClass {
    /// The same attempt can succeed later: connection lost, restart, deadlock, timeout, disk full.
    Transient,
    /// A key exists already (23505): write the same rows by merging.
    Conflict,
    /// A row can never be stored (22x, 23x, 54x, or a trigger refuses it): find it and leave it out.
    Row,
    /// Nothing works until the database or the configuration is corrected (42x, 28x, 3D, 53400).
    Process,
}

/// Classifies an error by its SQLSTATE; one without is a broken connection.
#[must_use]
pub(crate) fn classify(error: &tokio_postgres::Error) -> ErrorClass {
    let Some(code) = error.code() else { return ErrorClass::Transient };
    if *code == SqlState::UNIQUE_VIOLATION {
        return ErrorClass::Conflict;
    }
    let code = code.code();
    match &code[..2] {
        "22" | "23" | "54" | "P0" => ErrorClass::Row,
        "42" | "28" | "3D" | "3F" | "0A" => ErrorClass::Process,
        // TimescaleDB's decompression limit: the same statement reaches it again.
        "53" if code == "53400" => ErrorClass::Process,
        _ => ErrorClass::Transient,
    }
}

/// An operation of the store failed.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// The address is malformed.
    #[error(
        "database.url is not a PostgreSQL address ({reason}): write postgres://user:password@host:5432/database"
    )]
    Url {
        /// What is wrong with it.
        reason: String,
    },
    /// The address asks for TLS, and there is no certificate authority to verify the server with.
    #[error(
        "database.url asks for sslmode=require, but no certificate authority can be read ({reason}): set database.tls_ca_file to a PEM file of the one that signed the server's certificate"
    )]
    Tls {
        /// Why not.
        reason: String,
    },
    /// No server answered in time.
    #[error("no PostgreSQL at {place} within {seconds} s (last: {last}): {hint}")]
    Unreachable {
        /// Host and port.
        place: String,
        /// How long it was tried.
        seconds: u64,
        /// The last failure.
        last: String,
        /// What to do about it.
        hint: &'static str,
    },
    /// The server refuses user or password.
    #[error("PostgreSQL at {place} refuses the user: {reason}: {hint}")]
    Refused {
        /// Host and port.
        place: String,
        /// What it says.
        reason: String,
        /// What to do about it.
        hint: &'static str,
    },
    /// There is no such database.
    #[error("PostgreSQL at {place}: {reason}: create it or correct database.url")]
    NoDatabase {
        /// Host and port.
        place: String,
        /// What it says.
        reason: String,
    },
    /// The stop signal fired while connecting.
    #[error("connecting to PostgreSQL was interrupted")]
    Stopped(#[from] Stopped),
    /// Every connection of the pool was in use for too long.
    #[error("no free database connection within the time limit: raise database.pool_size")]
    PoolExhausted,
    /// A transaction did not end; its connection was dropped.
    #[error("transaction did not end within {seconds} s")]
    Hung {
        /// How long the caller waited.
        seconds: u64,
    },
    /// A statement failed.
    #[error("cannot {doing}: {}", describe(cause))]
    Sql {
        /// What was being done.
        doing: String,
        /// What the server or the connection says.
        cause: tokio_postgres::Error,
    },
    /// A migration failed, or the database was migrated by another version.
    #[error("cannot migrate: {reason}")]
    Migration {
        /// What and why.
        reason: String,
    },
    /// The operation would lose or break something.
    #[error("{reason}")]
    Refusal {
        /// What is in the way, and what to do about it.
        reason: String,
    },
    /// The position is not where the writer expects it: another process moved it.
    #[error("position of {stream} is {}, not {}: another instance writes it", current.sequence, expected.sequence)]
    FenceLost {
        /// The stream.
        stream: String,
        /// Where the writer expects it.
        expected: StreamPosition,
        /// Where it is.
        current: StreamPosition,
    },
}

impl StoreError {
    pub(crate) fn sql(doing: impl Into<String>) -> impl FnOnce(tokio_postgres::Error) -> Self {
        move |cause| Self::Sql { doing: doing.into(), cause }
    }

    /// What the caller can do about the error.
    #[must_use]
    pub fn class(&self) -> ErrorClass {
        match self {
            Self::Sql { cause, .. } => classify(cause),
            Self::Unreachable { .. }
            | Self::PoolExhausted
            | Self::Hung { .. }
            | Self::FenceLost { .. } => ErrorClass::Transient,
            Self::Url { .. }
            | Self::Tls { .. }
            | Self::Refused { .. }
            | Self::NoDatabase { .. }
            | Self::Stopped(_)
            | Self::Refusal { .. }
            | Self::Migration { .. } => ErrorClass::Process,
        }
    }

    /// What to do about the error, where its own text does not say.
    #[must_use]
    pub fn hint(&self) -> &'static str {
        let by_server = match self {
            Self::Sql { cause, .. } => hint(cause.code().map(SqlState::code), &describe(cause)),
            _ => None,
        };
        match (by_server, self.class()) {
            (Some(hint), _) => hint,
            (None, ErrorClass::Process) if self.needs_migration() => "run `crypto-intel migrate`",
            (None, ErrorClass::Process) => "correct database.url or the rights of its user",
            _ => "trying again",
        }
    }

    /// Whether the statement took longer than it may.
    #[must_use]
    pub fn is_timeout(&self) -> bool {
        let Self::Sql { cause, .. } = self else { return false };
        cause.code() == Some(&SqlState::QUERY_CANCELED)
    }

    /// Whether a table, column or function is missing: the database has to be migrated.
    #[must_use]
    pub fn needs_migration(&self) -> bool {
        let Self::Sql { cause, .. } = self else { return false };
        [SqlState::UNDEFINED_TABLE, SqlState::UNDEFINED_COLUMN, SqlState::UNDEFINED_FUNCTION]
            .iter()
            .any(|code| cause.code() == Some(code))
    }
}

impl Retryable for StoreError {
    fn is_retryable(&self) -> bool {
        self.class() == ErrorClass::Transient
    }
}

impl From<PoolError> for StoreError {
    fn from(error: PoolError) -> Self {
        match error {
            PoolError::Backend(cause) => Self::Sql { doing: "connect to PostgreSQL".into(), cause },
            // The pool has no hooks and is never closed.
            _ => Self::PoolExhausted,
        }
    }
}

/// The error with its causes. tokio-postgres prints an error of the server as just "db error"; this gives the server's text.
pub(crate) fn describe(error: &tokio_postgres::Error) -> String {
    if let Some(db) = error.as_db_error() {
        let mut text = format!("{} ({})", db.message(), db.code().code());
        if let Some(detail) = db.detail() {
            text.push_str(": ");
            text.push_str(detail);
        }
        return text;
    }
    error_chain(error)
}
