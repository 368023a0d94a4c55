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
mod hex;
#[doc(hidden)]
pub mod measure;
mod metrics;
mod plan;
mod publish;
mod run;
mod traces;

pub use abis::config::{AbiConfig, FactoryConfig};
pub use config::{ChainConfig, Config, EndpointConfig, LogsMode, NativeConfig, Start};
pub use endpoint::{EndpointError, EndpointReport, check_endpoint, check_traces};
pub use run::run;
pub use traces::TracesMode;
