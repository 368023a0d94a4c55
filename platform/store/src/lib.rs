#![doc = include_str!("../README.md")]

mod address;
mod audit;
mod backup;
mod columns;
mod config;
mod copy;
mod encode;
mod encode_dex;
mod encode_state;
mod error;
mod extension;
mod forms;
mod hint;
mod known;
mod migrate;
mod numeric;
mod policies;
mod position;
mod queries;
mod rights;
mod row;
mod rows;
mod schema;
mod stalled;
mod store;
mod table;
mod time;
mod tls;
mod transaction;
mod wallets;

pub use audit::{BlockTime, RowKey, StoredBlock};
pub use backup::{
    BackupError, DatabaseFacts, DatabaseRestored, PgProgram, PgVersion, RestorePlan, TimescaleFacts,
};
pub use config::StoreConfig;
pub use error::{ErrorClass, StoreError, classify};
pub use known::KnownBlock;
pub use migrate::MigrationReport;
pub use policies::{
    PolicyChange, PolicyKind, RetentionDays, Setting, StorageConfig, community_statements,
};
pub use position::{PositionRow, StreamPosition};
pub use queries::{AlertCount, AlertLine, ChainHead, Latency, Percentiles};
pub use row::Unstorable;
pub use rows::{Row, RowSet, TableRows};
pub use schema::{
    BlockCursor, Carried, Carrier, Exchange, Home, InvalidSchemaName, SchemaName, SchemaState,
    Span, Waits,
};
pub use store::{Edition, Store};
pub use table::Table;
pub use transaction::{Advance, BatchTransaction};
