#![doc = include_str!("../README.md")]

pub mod backup;
pub mod policies;
pub mod rebuild;

mod columns;
mod encode;
mod encode_dex;
mod encode_state;
mod error;
mod forms;
mod hint;
mod migrate;
mod numeric;
mod pool;
mod read;
mod row;
mod rows;
mod sql_values;
mod stream_position;
mod table;
mod write;

pub use error::{ErrorClass, StoreError, classify};
pub use migrate::report::MigrationReport;
pub use pool::{
    config::StoreConfig,
    edition::Edition,
    schema_name::{InvalidSchemaName, SchemaName},
    store::Store,
};
pub use read::{
    alerts::{AlertCount, AlertLine},
    audit::{BlockTime, RowKey, StoredBlock},
    chain_heads::ChainHead,
    latency::{Latency, Percentiles},
};
pub use row::Unstorable;
pub use rows::{Row, RowSet, TableRows};
pub use stream_position::{PositionRow, StreamPosition};
pub use table::Table;
pub use write::{
    block_lookup::KnownBlock,
    transaction::{Advance, BatchTransaction},
};
