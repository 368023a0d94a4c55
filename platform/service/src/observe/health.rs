use std::{
    collections::BTreeMap,
    sync::Arc,
    time::{Duration, Instant},
};

use parking_lot::{Mutex, MutexGuard};
use serde::Serialize;

/// Progress of everything in the process that must progress. `/ready` is 200 only while every probe
/// is healthy; a probe starts unhealthy ("starting").
#[derive(Debug, Clone, Default)]
pub struct Health {
    probes: Arc<Mutex<BTreeMap<String, State>>>,
}

#[derive(Debug, Clone)]
struct State {
    healthy: bool,
    detail: String,
    changed: Instant,
    beat: Instant,
    deadline: Option<Duration>,
    advisory: bool,
}

/// One thing that must progress. Dropping it removes it from the report.
#[derive(Debug)]
pub struct Probe {
    health: Health,
    name: String,
}

/// One line of the health report.
#[derive(Debug, Clone, Serialize, PartialEq, Eq)]
pub struct ProbeReport {
    /// Dotted name, such as `evm.ethereum.head`.
    pub name: String,
    /// Whether it progresses.
    pub healthy: bool,
    /// Its last report, or why it is unhealthy.
    pub detail: String,
    /// Seconds since its last report.
    pub seconds_since_beat: u64,
    /// Whether it only informs: `/ready` does not depend on it.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub advisory: bool,
}

/// The answer of `/ready`.
#[derive(Debug, Clone, Serialize, PartialEq, Eq)]
pub struct HealthReport {
    /// Whether there are probes and every one is healthy.
    pub ready: bool,
    /// All probes by name.
    pub probes: Vec<ProbeReport>,
}

impl Health {
    /// Registers a probe. With a `deadline` it turns unhealthy when it has not reported for that long.
    /// The same name is the same probe.
    #[must_use]
    pub fn probe(&self, name: impl Into<String>, deadline: Option<Duration>) -> Probe {
        self.register(name.into(), deadline, false)
    }

    /// A probe that is shown but does not affect readiness: one of several that replace each other.
    #[must_use]
    pub fn advisory_probe(&self, name: impl Into<String>, deadline: Option<Duration>) -> Probe {
        self.register(name.into(), deadline, true)
    }

    fn register(&self, name: String, deadline: Option<Duration>, advisory: bool) -> Probe {
        let now = Instant::now();
        let state = State {
            healthy: false,
            detail: "starting".to_owned(),
            changed: now,
            beat: now,
            deadline,
            advisory,
        };
        self.lock().insert(name.clone(), state);
        Probe { health: self.clone(), name }
    }

    /// The state of everything, now.
    #[must_use]
    pub fn report(&self) -> HealthReport {
        let probes: Vec<ProbeReport> =
            self.lock().iter().map(|(name, state)| state.report(name)).collect();
        let mut counted = probes.iter().filter(|probe| !probe.advisory).peekable();
        // A process without reports is still starting.
        let ready = counted.peek().is_some() && counted.all(|probe| probe.healthy);
        HealthReport { ready, probes }
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<String, State>> {
        self.probes.lock()
    }
}

impl State {
    fn report(&self, name: &str) -> ProbeReport {
        let silence = self.beat.elapsed();
        let overdue = self.deadline.filter(|deadline| silence > *deadline);
        let detail = match overdue {
            Some(deadline) => format!(
                "no progress for {} s (limit {} s); last: {}",
                silence.as_secs(),
                deadline.as_secs(),
                self.detail
            ),
            None => self.detail.clone(),
        };
        ProbeReport {
            name: name.to_owned(),
            healthy: self.healthy && overdue.is_none(),
            detail,
            seconds_since_beat: silence.as_secs(),
            advisory: self.advisory,
        }
    }
}

impl Probe {
    /// It progresses; `detail` says how far.
    pub fn healthy(&self, detail: impl Into<String>) {
        self.set(true, detail.into());
    }

    /// It does not progress; `reason` says why. Logged when it changes.
    pub fn unhealthy(&self, reason: impl Into<String>) {
        self.set(false, reason.into());
    }

    fn set(&self, healthy: bool, detail: String) {
        let mut probes = self.health.lock();
        let Some(state) = probes.get_mut(&self.name) else { return };
        let now = Instant::now();
        if state.healthy != healthy {
            let seconds = now.duration_since(state.changed).as_secs();
            if healthy {
                tracing::info!(probe = self.name, detail, after_seconds = seconds, "healthy");
            } else {
                tracing::warn!(probe = self.name, detail, after_seconds = seconds, "unhealthy");
            }
            state.changed = now;
        }
        state.healthy = healthy;
        state.detail = detail;
        state.beat = now;
    }
}

impl Drop for Probe {
    fn drop(&mut self) {
        self.health.lock().remove(&self.name);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn is_ready_only_when_every_probe_progresses() {
        let health = Health::default();
        assert!(!health.report().ready, "a process without probes is still starting");
        let head = health.probe("head", None);
        let lag = health.probe("lag", None);
        head.healthy("at 5");
        assert!(!health.report().ready, "a probe without a report is not healthy");
        lag.healthy("0");
        assert!(health.report().ready);
        lag.unhealthy("1,000 behind");
        assert!(!health.report().ready);
        drop(lag);
        assert!(health.report().ready, "a dropped probe no longer counts");
    }

    #[test]
    fn an_advisory_probe_is_shown_and_does_not_count() {
        let health = Health::default();
        let one_of_many = health.advisory_probe("source", None);
        assert!(!health.report().ready, "no counting probe has reported");
        let head = health.probe("head", None);
        head.healthy("at 5");
        one_of_many.unhealthy("503");
        let report = health.report();
        assert!(report.ready);
        assert!(!report.probes[1].healthy && report.probes[1].advisory, "{report:?}");
    }

    #[test]
    fn turns_unhealthy_when_it_does_not_report() {
        let health = Health::default();
        let head = health.probe("head", Some(Duration::ZERO));
        head.healthy("at 5");
        let report = health.report();
        assert!(!report.ready);
        assert!(report.probes[0].detail.contains("no progress"), "{report:?}");
    }
}
