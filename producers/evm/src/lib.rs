#![doc = include_str!("../README.md")]

mod abis;
mod answer;
mod assets;
mod block;
mod chain;
mod config;
mod cursor;
mod decode;
mod encode;
mod endpoint;
mod endpoint_config;
mod error;
mod fetch;
#[doc(hidden)]
pub mod fuzzing;
mod gaps;
mod hex;
mod lenient;
mod log_proof;
#[doc(hidden)]
pub mod measure;
mod metrics;
mod outcomes;
mod past;
mod plan;
mod presets;
mod publish;
mod ranges;
mod reader;
mod role;
mod run;
mod start;
mod tags;
mod tokens;
mod traces;
mod verified;
mod watch;

pub use abis::{
    LARGEST_EVENT_BYTES,
    config::{AbiConfig, FactoryConfig},
};
pub use config::{ChainConfig, Config, LogsMode, NativeConfig};
pub use endpoint::{EndpointError, EndpointReport, check_endpoint, check_traces};
pub use endpoint_config::{BreakerConfig, EndpointConfig, Role};
pub use gaps::{Gap, GapReason, Gaps};
pub use log_proof::LogProof;
pub use presets::{complete as complete_config, names as preset_names};
pub use reader::{ChainBlock, ChainReader};
pub use role::ROLE;
pub use run::run;
pub use start::Start;
pub use traces::TracesMode;
pub use verified::Verified;
pub use watch::{Added, Watchlist};
