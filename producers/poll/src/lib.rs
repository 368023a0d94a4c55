#![doc = include_str!("../README.md")]

mod catalogue;
mod config;
mod endpoint;
mod fetch;
mod filter;
mod freshness;
mod gate;
mod metrics;
mod prices;
mod progress;
mod publish;
mod role;
mod run;
mod schedule;
mod shape;
mod trial;

pub use catalogue::{CatalogueError, EndpointSummary, ProviderSummary, providers};
pub use config::{Config, PriceSettings, ProviderSettings};
pub use fetch::FetchError;
pub use prices::AssetPrice;
pub use role::ROLE;
pub use run::run;
pub use trial::{Trial, TrialAnswer, try_provider};
