#![doc = include_str!("../README.md")]

mod catalogue;
mod config;
mod dry_run;
mod facts;
mod fetch;
mod mapping;
mod metrics;
mod polling;
mod publish;
mod role;
mod run;

pub use catalogue::{CatalogueError, EndpointSummary, ProviderSummary, providers};
pub use config::{Config, PriceSettings, ProviderSettings};
pub use dry_run::{DryRun, DryRunAnswer, dry_run};
pub use fetch::FetchError;
pub use role::ROLE;
pub use run::run;
