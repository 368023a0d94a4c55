#![doc = include_str!("../README.md")]

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

pub use config::{ChainConfig, Config, EndpointConfig, LogsMode, NativeConfig, Start};
pub use endpoint::{EndpointError, EndpointReport, check_endpoint};
pub use run::run;
