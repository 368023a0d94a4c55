#![doc = include_str!("../README.md")]

mod audit;
mod backup;
mod config;
mod encode;
mod encode_dex;
mod error;
mod migrate;
mod numeric;
mod position;
mod queries;
mod row;
mod rows;
mod stalled;
mod store;
mod table;
mod transaction;

pub use audit::{BlockTime, RowKey, StoredBlock};
pub use backup::{
    BackupError, DatabaseFacts, DatabaseRestored, PgProgram, PgVersion, RestorePlan, TimescaleFacts,
};
pub use config::StoreConfig;
pub use error::{ErrorClass, StoreError, classify};
pub use migrate::MigrationReport;
pub use position::{PositionRow, StreamPosition};
pub use queries::{AlertCount, AlertLine, ChainHead, Latency, Percentiles};
pub use row::Unstorable;
pub use rows::{Row, RowSet, TableRows};
pub use store::{Edition, Store};
pub use table::Table;
pub use transaction::{Advance, BatchTransaction, KnownBlock};
