//! Process plumbing that knows no domain: configuration, telemetry, metrics registry, health,
//! supervision, shutdown, retry. Every producer and consumer is a library with
//! `run(config, …, context)`; the [`Context`] is what the process gives it.

mod config;
mod failure;
mod net;
mod observe;
mod process;

pub use config::address::{Address, percent_decoded};
pub use config::load::{ConfigError, load, load_completed, unreadable_secrets};
pub use config::reference::markdown_reference;
pub use config::secret::Secret;
pub use failure::breaker::{Admission, Breaker, BreakerSettings, BreakerState};
pub use failure::error_chain::error_chain;
pub use failure::last_error::LastError;
pub use failure::retry::{Backoff, RecordingRetry, Retryable, retry};
pub use net::http::outbound_client;
pub use net::outbound::{OutboundGuard, OutboundRefused};
pub use net::public_address::is_public;
pub use net::retry_after::retry_after;
pub use observe::admin::serve_admin;
pub use observe::health::{Health, HealthReport, Probe, ProbeReport};
pub use observe::metrics::{LeaderGauge, RoleRegistry, register};
pub use observe::telemetry::{LogFormat, TelemetryConfig, init_telemetry};
pub use process::context::Context;
pub use process::shutdown::wait_for_signal;
pub use process::stop::{Stopped, unless_stopped};
pub use process::supervise::{Restart, Supervisor};
pub use prometheus;

/// Microseconds since the Unix epoch, UTC, by the system clock.
///
/// A clock before 1970 reads as 0: times on the wire are never negative.
#[must_use]
pub fn now_us() -> i64 {
    std::time::SystemTime::now()
        .duration_since(std::time::UNIX_EPOCH)
        .map_or(0, |elapsed| i64::try_from(elapsed.as_micros()).unwrap_or(i64::MAX))
}
