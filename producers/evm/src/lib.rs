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
mod error;
mod fetch;
#[doc(hidden)]
pub mod fuzzing;
mod gaps;
mod hex;
#[doc(hidden)]
pub mod measure;
mod metrics;
mod past;
mod plan;
mod publish;
mod ranges;
mod reader;
mod run;
mod tokens;
mod traces;
mod verified;
mod watch;

pub use abis::config::{AbiConfig, FactoryConfig};
pub use config::{ChainConfig, Config, EndpointConfig, LogsMode, NativeConfig, Start};
pub use endpoint::{EndpointError, EndpointReport, check_endpoint, check_traces};
pub use gaps::{Gap, GapReason, Gaps};
pub use reader::{ChainBlock, ChainReader};
pub use run::run;
pub use traces::TracesMode;
pub use verified::Verified;
pub use watch::{WatchChain, WatchEntry, WatchKind, Watched, Watchlist};
