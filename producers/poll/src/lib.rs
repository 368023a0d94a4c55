#![doc = include_str!("../README.md")]

#[cfg(test)]
mod budget;
mod catalogue;
mod clock;
mod config;
mod control;
mod dry_run;
mod facts;
mod fetch;
mod mapping;
mod metrics;
mod past;
mod polling;
mod publish;
mod quota;
#[cfg(test)]
mod reference;
mod report;
mod role;
mod roster;
mod run;

pub use catalogue::{
    CatalogueError, Category, EndpointSummary, ProviderSummary, check_settings, providers,
};
pub use config::{
    ChooseFact, ChoosePrice, Config, EndpointSettings, FactSettings, FamilySettings,
    HistorySettings, PriceSettings, ProviderSettings,
};
pub use control::{
    attempt::{Tried, TriedEndpoint, try_elsewhere},
    pause::{MAX_PAUSE, NewPause, Pause, PauseError, pause, pauses, resume},
};
pub use dry_run::{DryRun, DryRunAnswer, Trial, dry_run, dry_run_polled};
pub use facts::{
    report::{FactReport, SourceReport, fact_reports, fresh_seconds},
    used::check_facts,
};
pub use fetch::FetchError;
pub use past::{
    dry_run::dry_run_history,
    queue::queue_history,
    report::HistoryReport,
    span::{Span, Spans},
};
pub use report::{EndpointReport, KnownProviders, ProviderReport, QuotaReport, provider_reports};
pub use role::ROLE;
pub use run::run;
