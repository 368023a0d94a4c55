#![doc = include_str!("../README.md")]

mod catalogue;
mod config;
mod dry_run;
mod event_mapping;
mod fetch;
mod filter;
mod freshness;
mod metrics;
mod poller;
mod prices;
mod progress;
mod publish;
mod role;
mod run;
mod schedule;
mod throttle;

pub use catalogue::{CatalogueError, EndpointSummary, ProviderSummary, providers};
pub use config::{Config, PriceSettings, ProviderSettings};
pub use dry_run::{DryRun, DryRunAnswer, dry_run};
pub use fetch::FetchError;
pub use role::ROLE;
pub use run::run;
