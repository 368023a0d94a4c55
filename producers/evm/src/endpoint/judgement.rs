use std::{collections::BTreeMap, time::Duration};

use crypto_intel_service::{Admission, Breaker, BreakerSettings, BreakerState};
use tokio::time::Instant;

use super::score::Score;

/// Where nothing else can serve, an endpoint that failed is tried this soon.
const EARLY: Duration = Duration::from_secs(1);

/// What endpoints are asked for. Each class is judged apart: what one of them runs into says nothing about the others.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Class {
    /// Blocks with their receipts and logs. This one decides which endpoint serves.
    Blocks,
    /// Logs of many blocks at once.
    Ranges,
    /// Calls of contracts, which may do whatever their authors like.
    Calls,
    /// Traces, which one transaction can make as large as it likes.
    Traces,
}

impl Class {
    pub(super) const COUNT: usize = 4;

    /// The class of a method; logs of a range are classed by their caller.
    pub(super) fn of(method: &str) -> Self {
        match method {
            "eth_call" => Self::Calls,
            method if method.starts_with("trace_") || method.starts_with("debug_") => Self::Traces,
            _ => Self::Blocks,
        }
    }
}

/// How an endpoint does with one class of requests.
#[derive(Debug)]
pub(super) struct Judgement {
    breaker: Breaker,
    score: Score,
    /// InvalidResponse answers in a row,
    untrue: u32,
    /// and how many of them open the breaker.
    most_untrue: u32,
    /// When each request was sent that is not answered yet, by a running number.
    waiting: BTreeMap<u64, Instant>,
    sent: u64,
}

impl Judgement {
    pub(super) fn new(settings: BreakerSettings) -> Self {
        Self {
            breaker: Breaker::new(settings),
            score: Score::default(),
            untrue: 0,
            most_untrue: settings.failures,
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

    /// A request is on its way; the number is for [`ended`](Self::ended).
    pub(super) fn began(&mut self, now: Instant) -> u64 {
        self.sent += 1;
        self.waiting.insert(self.sent, now);
        self.sent
    }

    /// It was answered, or given up.
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

    /// It is there, whatever it said.
    pub(super) fn is_there(&mut self) {
        self.breaker.success();
    }

    /// It is not there; `true` when it is left alone from now on.
    pub(super) fn failed(&mut self, now: Instant) -> bool {
        self.score.failure(now);
        self.breaker.failure(now)
    }

    /// It refused what it should have.
    pub(super) fn refused(&mut self, now: Instant) {
        self.score.failure(now);
    }

    /// Whether an answer was true, which is known only after it came.
    pub(super) fn was_true(&mut self, is_true: bool, now: Instant) {
        if is_true {
            self.untrue = 0;
            return;
        }
        self.untrue = self.untrue.saturating_add(1);
        self.score.failure(now);
        if self.untrue >= self.most_untrue {
            // The requests themselves went well and reset the count of the breaker.
            for _ in 0..self.most_untrue {
                self.breaker.failure(now);
            }
        }
    }
}
