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
mod verified;

pub use config::{ChainConfig, Config, EndpointConfig, LogsMode, NativeConfig, Start};
pub use endpoint::{EndpointError, EndpointReport, check_endpoint};
pub use gaps::{Gap, GapReason, Gaps};
pub use reader::{ChainBlock, ChainReader};
pub use run::run;
pub use verified::Verified;
