use std::{collections::BTreeMap, time::Duration};

use crypto_intel_service::{Admission, Breaker, BreakerSettings, BreakerState};
use tokio::time::Instant;

use super::score::Score;

/// If no other endpoint can serve, one that failed is tried after this long.
const EARLY: Duration = Duration::from_secs(1);

/// Classes of requests. Each is judged separately: failures in one say nothing about the others.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Class {
    /// Blocks with their receipts and logs. This one decides which endpoint serves.
    Blocks,
    /// Logs of many blocks at once.
    Ranges,
    /// Calls of contracts, whose cost and outcome are up to their authors.
    Calls,
    /// Traces, which one transaction can make arbitrarily large.
    Traces,
}

impl Class {
    pub(super) const COUNT: usize = 4;

    /// The class of a method; logs of a range are classified by their caller.
    pub(super) fn of(method: &str) -> Self {
        match method {
            "eth_call" => Self::Calls,
            method if method.starts_with("trace_") || method.starts_with("debug_") => Self::Traces,
            _ => Self::Blocks,
        }
    }
}

/// Health of an endpoint for one class of requests.
#[derive(Debug)]
pub(super) struct Judgement {
    breaker: Breaker,
    score: Score,
    /// Invalid answers in a row,
    untrue: u32,
    /// and how many of them open the breaker.
    max_untrue: u32,
    /// When each unanswered request was sent, by sequence number.
    waiting: BTreeMap<u64, Instant>,
    sent: u64,
}

impl Judgement {
    pub(super) fn new(settings: BreakerSettings) -> Self {
        Self {
            breaker: Breaker::new(settings),
            score: Score::default(),
            untrue: 0,
            max_untrue: settings.failures,
            waiting: BTreeMap::new(),
            sent: 0,
        }
    }

    pub(super) fn admit(&mut self, now: Instant) -> Admission {
        self.breaker.admit(now)
    }

    pub(super) fn would_admit(&self, now: Instant) -> bool {
        self.breaker.would_admit(now)
    }

    pub(super) fn breaker(&self) -> BreakerState {
        self.breaker.state()
    }

    pub(super) fn score(&self) -> &Score {
        &self.score
    }

    pub(super) fn try_early(&mut self, now: Instant) {
        self.breaker.try_early(now, EARLY);
    }

    pub(super) fn hold(&mut self, now: Instant, wait: Duration) {
        self.breaker.hold(now, wait);
    }

    /// A request is sent; the number is for [`ended`](Self::ended).
    pub(super) fn began(&mut self, now: Instant) -> u64 {
        self.sent += 1;
        self.waiting.insert(self.sent, now);
        self.sent
    }

    /// The request was answered, or given up.
    pub(super) fn ended(&mut self, number: u64) {
        self.waiting.remove(&number);
    }

    /// For how long the oldest request has been waiting for its answer.
    pub(super) fn waits_for(&self, now: Instant) -> Duration {
        let oldest = self.waiting.values().next();
        oldest.map_or(Duration::ZERO, |sent| now.saturating_duration_since(*sent))
    }

    pub(super) fn answered(&mut self, now: Instant, latency: Duration) {
        self.score.success(now, latency);
        self.breaker.success();
    }

    /// The endpoint responded, whatever the answer was.
    pub(super) fn responded(&mut self) {
        self.breaker.success();
    }

    /// The endpoint did not respond; `true` when it is left alone from now on.
    pub(super) fn failed(&mut self, now: Instant) -> bool {
        self.score.failure(now);
        self.breaker.failure(now)
    }

    /// The endpoint refused a request that it should have served.
    pub(super) fn refused(&mut self, now: Instant) {
        self.score.failure(now);
    }

    /// Whether an answer was valid, which is known only after it was verified.
    pub(super) fn was_true(&mut self, is_true: bool, now: Instant) {
        if is_true {
            self.untrue = 0;
            return;
        }
        self.untrue = self.untrue.saturating_add(1);
        self.score.failure(now);
        if self.untrue >= self.max_untrue {
            // The requests themselves went well and reset the count of the breaker.
            for _ in 0..self.max_untrue {
                self.breaker.failure(now);
            }
        }
    }
}
