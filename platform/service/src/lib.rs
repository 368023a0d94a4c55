//! Process plumbing that knows no domain: configuration, telemetry, metrics registry, health,
//! supervision, shutdown, retry. Every producer and consumer is a library with
//! `run(config, …, context)`; the [`Context`] is what the process gives it.

mod address;
mod admin;
mod breaker;
mod config;
mod context;
mod error_chain;
mod health;
mod last_error;
mod metrics;
mod reference;
mod retry;
mod secret;
mod shutdown;
mod stop;
mod supervise;
mod telemetry;

pub use address::{Address, percent_decoded};
pub use admin::serve_admin;
pub use breaker::{Admission, Breaker, BreakerSettings, BreakerState};
pub use config::{ConfigError, load, load_completed, unreadable_secrets};
pub use context::Context;
pub use error_chain::error_chain;
pub use health::{Health, HealthReport, Probe, ProbeReport};
pub use last_error::LastError;
pub use metrics::{LeaderGauge, RoleRegistry, register};
pub use prometheus;
pub use reference::markdown_reference;
pub use retry::{Backoff, RecordingRetry, Retryable, retry};
pub use secret::Secret;
pub use shutdown::wait_for_signal;
pub use stop::{Stopped, unless_stopped};
pub use supervise::{Restart, Supervisor};
pub use telemetry::{LogFormat, TelemetryConfig, init_telemetry};

/// Microseconds since the Unix epoch, UTC, by the system clock.
///
/// A clock before 1970 reads as 0: times on the wire are never negative.
#[must_use]
pub fn now_us() -> i64 {
    std::time::SystemTime::now()
        .duration_since(std::time::UNIX_EPOCH)
        .map_or(0, |elapsed| i64::try_from(elapsed.as_micros()).unwrap_or(i64::MAX))
}
