//! A database as one file, by PostgreSQL's own `pg_dump` and `pg_restore`.

mod dump;
mod dump_contents;
mod error;
mod facts;
mod grants;
mod programs;
mod restore;
mod restore_plan;

pub use dump::dump;
pub use error::BackupError;
pub use facts::{DatabaseFacts, TimescaleFacts};
pub use programs::{PgProgram, PgVersion};
pub use restore::{DatabaseRestored, restore};
pub use restore_plan::{RestorePlan, plan_restore};
