use std::{sync::Arc, time::Duration};

use crate::{
    answer::{Checks, Untrue},
    endpoint::{Endpoint, Pool},
    fetch::{BlockId, FetchError},
    log_proof::LogProof,
};

/// How often a block is asked for before the caller looks at the heads again.
const ATTEMPTS: u32 = 12;
/// The same for a hash that nobody knows: it may have left the chain before it was fetched.
const ATTEMPTS_UNKNOWN: u32 = 6;
const FIRST_DELAY: Duration = Duration::from_millis(20);
const LONGEST_DELAY: Duration = Duration::from_secs(1);

/// Which endpoint is asked next, with growing delays between.
#[derive(Debug)]
pub(crate) struct Turns {
    round: u32,
    delay: Duration,
    /// Why the last one failed.
    pub(crate) last: FetchError,
}

impl Default for Turns {
    fn default() -> Self {
        Self { round: 0, delay: FIRST_DELAY, last: FetchError::NoEndpoint }
    }
}

impl Turns {
    pub(crate) fn note(&mut self, error: FetchError, id: BlockId) {
        let unknown = matches!((&error, id), (FetchError::NotFound { .. }, BlockId::Hash(_)));
        if unknown && self.round >= ATTEMPTS_UNKNOWN {
            self.round = ATTEMPTS;
        }
        self.last = error;
    }

    /// The endpoint whose turn it is, `Some(None)` when none is connected; `None` after the last
    /// attempt.
    pub(crate) async fn next(&mut self, pool: &Pool) -> Option<Option<Arc<Endpoint>>> {
        if self.round > 0 {
            if self.round >= ATTEMPTS {
                return None;
            }
            tokio::time::sleep(self.delay).await;
            self.delay = (self.delay * 2).min(LONGEST_DELAY);
        }
        // Failing endpoints sink in the ranking; those that only do not know the block do not.
        let ranked = pool.ranked();
        let turn = self.round as usize % ranked.len().max(1);
        self.round += 1;
        Some(ranked.get(turn).cloned())
    }
}

/// What several endpoints say alike about one block is its nature, not their fault.
#[derive(Debug, Default)]
pub(crate) struct Disagreement {
    seen: Vec<(String, &'static str)>,
}

impl Disagreement {
    pub(crate) fn note(&mut self, endpoint: &str, error: &Untrue) {
        let entry = (endpoint.to_owned(), error.reason());
        if !self.seen.contains(&entry) {
            self.seen.push(entry);
        }
    }

    pub(crate) fn relaxed(&self, checks: Checks) -> Checks {
        let alike =
            |reason: &str| self.seen.iter().filter(|(_, seen)| *seen == reason).count() >= 2;
        let mut logs = checks.logs;
        while logs != LogProof::Off && alike(logs.name()) {
            logs = logs.weaker();
        }
        Checks { logs, log_indexes: checks.log_indexes && !alike("log_index"), ..checks }
    }

    /// Whether an endpoint said what at least one other said as well.
    pub(crate) fn is_shared_by(&self, endpoint: &str) -> bool {
        let mut own = self.seen.iter().filter(|(label, _)| label == endpoint);
        own.any(|(_, reason)| self.seen.iter().filter(|(_, seen)| seen == reason).count() >= 2)
    }
}
