//! A database as one file, by PostgreSQL's own `pg_dump` and `pg_restore`.

mod contents;
mod dump;
mod error;
mod facts;
mod grants;
mod programs;
mod restore;
mod target;

pub use error::BackupError;
pub use facts::{DatabaseFacts, TimescaleFacts};
pub use programs::{PgProgram, PgVersion};
pub use restore::DatabaseRestored;
pub use target::RestorePlan;
