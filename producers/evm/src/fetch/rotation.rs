use std::{sync::Arc, time::Duration};

use super::error::{BlockId, FetchError};
use crate::endpoint::{Class, Endpoint, EndpointError, Pool};

/// Number of pauses before giving up, about six seconds in all; the caller then retries from the current head.
const PAUSES: u32 = 11;
/// The same for a hash that no endpoint knows: it may have left the chain before it was fetched.
const PAUSES_UNKNOWN: u32 = 5;
const FIRST_PAUSE: Duration = Duration::from_millis(20);
const MAX_PAUSE: Duration = Duration::from_secs(1);

/// The order in which one request asks the endpoints: the best-ranked one that it has not asked yet. After each round
/// it pauses, longer each time, and starts over.
#[derive(Debug)]
pub(crate) struct EndpointRotation {
    class: Class,
    /// Labels of the endpoints that were asked in this round.
    asked: Vec<String>,
    rounds: u32,
    pauses: u32,
    pause: Duration,
    pause_is_due: bool,
    /// Why the last one failed.
    pub(crate) last: FetchError,
}

impl EndpointRotation {
    pub(crate) fn of(class: Class) -> Self {
        Self {
            class,
            asked: Vec::new(),
            rounds: 0,
            pauses: 0,
            pause: FIRST_PAUSE,
            pause_is_due: false,
            last: FetchError::NoEndpoint,
        }
    }

    pub(crate) fn class(&self) -> Class {
        self.class
    }

    /// Number of complete rounds.
    pub(crate) fn rounds(&self) -> u32 {
        self.rounds
    }

    pub(crate) fn note(&mut self, error: FetchError, id: BlockId) {
        if let FetchError::NotFound { .. } = &error {
            // The others most likely do not have it either.
            self.pause_is_due = true;
            if matches!(id, BlockId::Hash(_)) && self.pauses >= PAUSES_UNKNOWN {
                self.pauses = PAUSES;
            }
        }
        let says_nothing = matches!(error, FetchError::Endpoint(EndpointError::Resting { .. }));
        if !says_nothing || matches!(self.last, FetchError::NoEndpoint) {
            self.last = error;
        }
    }

    /// The endpoint to ask now; `None` after the last pause.
    pub(crate) async fn next(&mut self, pool: &Pool) -> Option<Arc<Endpoint>> {
        loop {
            if self.pause_is_due {
                if self.pauses >= PAUSES {
                    return None;
                }
                tokio::time::sleep(self.pause).await;
                self.pause = (self.pause * 2).min(MAX_PAUSE);
                self.pauses += 1;
            }
            if let Some(endpoint) = self.take(pool, |_| true) {
                self.pause_is_due = false;
                return Some(endpoint);
            }
            // No endpoint is left, or none is connected.
            self.pause_is_due = !self.pause_is_due || self.asked.is_empty();
            self.rounds += u32::from(!self.asked.is_empty());
            self.asked.clear();
        }
    }

    /// An additional endpoint to ask, without a pause, while others have not answered; of another operator if possible.
    pub(crate) fn beside(&mut self, pool: &Pool, operator: &str) -> Option<Arc<Endpoint>> {
        self.take(pool, |endpoint| endpoint.operator() != operator)
            .or_else(|| self.take(pool, |_| true))
    }

    fn take(&mut self, pool: &Pool, fits: impl Fn(&Endpoint) -> bool) -> Option<Arc<Endpoint>> {
        let ranked = pool.ranked(self.class);
        let is_left = |endpoint: &Arc<Endpoint>| {
            !self.asked.iter().any(|asked| asked == endpoint.label()) && fits(endpoint)
        };
        let endpoint = ranked.into_iter().find(is_left)?;
        self.asked.push(endpoint.label().to_owned());
        Some(endpoint)
    }
}
