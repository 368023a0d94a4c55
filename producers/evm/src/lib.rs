#![doc = include_str!("../README.md")]

mod abis;
mod balances;
mod block;
mod chain;
mod config;
mod decode;
mod details;
mod endpoint;
mod enrich;
mod ens;
mod explorer;
mod fetch;
#[doc(hidden)]
pub mod fuzzing;
mod hex;
mod log_query;
#[doc(hidden)]
pub mod measure;
mod metrics;
mod multicall;
mod reader;
mod role;
mod run;
mod sample;
mod scope;
mod source;
mod verify;

pub use abis::{
    LARGEST_EVENT_BYTES,
    config::{AbiConfig, FactoryConfig},
};
pub use config::{
    BalancesMode, ChainConfig, Config, LogsMode, NativeConfig,
    presets::{complete as complete_config, names as preset_names},
    start_block::Start,
    traces_mode::TracesMode,
    transactions_mode::{L1FeeMode, TransactionsMode},
};
pub use crypto_intel_chain::backfill::{
    audit_watermark::{read_verified, write_verified},
    past_records::Pasts,
    queue::{Gap, GapReason, Gaps},
    request::{RequestError, Requested, request_past},
};
pub use endpoint::{
    EndpointError, EndpointReport, check_endpoint, check_traces,
    config::{BreakerConfig, EndpointConfig, Role},
};
pub use enrich::{
    asset_keys::AssetKeys,
    assets::ListedToken,
    look_alikes::config::LookAlikeConfig,
    watch::{Added, Watchlist},
};
pub use ens::{EnsName, ResolvedName};
pub use explorer::config::{ExplorerConfig, ExplorerKind};
pub use reader::{ChainBlock, ChainReader};
pub use role::ROLE;
pub use run::run;
pub use sample::{DailyEvents, MESSAGE_BYTES};
pub use scope::config::ScopeConfig;
pub use verify::level::LogProof;
