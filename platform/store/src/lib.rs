#![doc = include_str!("../README.md")]

pub mod backup;
pub mod policies;
pub mod portfolio;
pub mod rebuild;

mod copy_format;
mod error;
mod hint;
mod migrate;
mod pool;
mod read;
mod rows;
mod sql_values;
mod stream_position;
mod tables;
mod write;

pub use copy_format::row_sink::{ColumnType, Unstorable};
pub use error::{ErrorClass, StoreError};
pub use migrate::report::MigrationReport;
pub use pool::{
    config::StoreConfig,
    edition::Edition,
    schema_name::{InvalidSchemaName, SchemaName},
    store::{ReadLimits, Store},
};
pub use read::{
    alert_counts::AlertCount,
    alert_pages::{AlertFilter, AlertKey, DeliveryLine},
    alerts::AlertLine,
    approvals::{ApprovalFilter, ApprovalKind, ApprovalLine, Approvals},
    articles::{ArticleFilter, ArticleKey, ArticleLine},
    audit::{BlockTime, RowKey, StoredBlock},
    audit_trail::{AuditFilter, AuditKey},
    balances::{BalanceDifference, BalanceProof, HeldAsset},
    chains::ChainHead,
    gas::{GasLine, GasStep},
    graph::{PairAsset, PairFilter, PairLine, Pairs},
    hours::{AssetHour, TokenHour, TokenOfChain},
    jumps::JumpLine,
    labels::{LabelBook, LabelLine},
    latency::{Latency, Percentiles},
    market::{Candle, CandleFilter, CandleStep, IndexValue, Mover},
    operations::{BlockLine, NodeLine, ProviderLine, ReorgLine},
    past::{
        PastCounts, PastEvents, PastReader, PastRequest,
        kinds::{fields_not_kept, place_of as place_in_block},
        of_pool::{PoolFilter, PoolVolume, SwapKey, SwapLine},
    },
    provider_failures::{FailureCount, FailureFilter, FailureKey},
    rule_activity::RuleActivity,
    sql::{PageRequest, RowPage, Towards},
    tokens::{TokenSeen, TokenVolume, VolumeStep},
    transfers::{
        Side, StoredTransfer, TransferFilter, TransferKey, TransferKind, WalkBudget, Walked,
    },
    wallets::{CounterpartyLine, FlowLine, WalletFilter, WalletKey, WalletRow},
};
pub use rows::row_set::{Row, RowSet, TableRows};
pub use stream_position::{PositionRow, StreamPosition};
pub use tables::{
    Column, Table, common::block_tag, retention_group::RetentionGroup, spec::TableSpec,
};
pub use write::{
    block_lookup::KnownBlock,
    labels::{LabelRow, LabelSourceRow},
    transaction::{Advance, BatchTransaction, DroppedBlock},
};
