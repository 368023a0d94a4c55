use std::time::Duration;

use tokio::time::Instant;

/// Failures in a row after which a provider is left alone.
const THRESHOLD: u32 = 5;
/// How long, the first time; doubled each time the trial request fails as well.
const FIRST_OPEN: Duration = Duration::from_secs(15);
/// Upper bound of that.
const LONGEST_OPEN: Duration = Duration::from_secs(600);
/// How often others ask again while the trial request is under way.
const TRIAL_RECHECK: Duration = Duration::from_millis(500);

/// Leaves a provider alone that fails or that asked for it. One per provider, because limits and
/// outages are of the host and not of one path.
#[derive(Debug)]
pub(crate) struct Breaker {
    state: State,
    failures: u32,
    open_for: Duration,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    Closed,
    /// No request before this.
    Open(Instant),
    /// One request is under way to see whether it works again.
    Trial,
}

/// Whether a request may be sent now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Admission {
    Go,
    Wait(Duration),
}

impl Breaker {
    pub(crate) fn new() -> Self {
        Self { state: State::Closed, failures: 0, open_for: FIRST_OPEN }
    }

    /// Who is told to go must report success, failure or hold.
    pub(crate) fn admit(&mut self, now: Instant) -> Admission {
        match self.state {
            State::Closed => Admission::Go,
            State::Open(until) if until > now => Admission::Wait(until - now),
            State::Open(_) => {
                self.state = State::Trial;
                Admission::Go
            }
            State::Trial => Admission::Wait(TRIAL_RECHECK),
        }
    }

    /// The provider answered, well or not: it is there.
    pub(crate) fn success(&mut self) {
        // A request that was under way when the provider asked for a pause does not end it.
        if !matches!(self.state, State::Open(_)) {
            *self = Self::new();
        }
    }

    /// The provider is not there. `true` when this opened the breaker.
    pub(crate) fn failure(&mut self, now: Instant) -> bool {
        self.failures = self.failures.saturating_add(1);
        match self.state {
            State::Closed if self.failures < THRESHOLD => false,
            State::Open(_) => false,
            State::Closed | State::Trial => {
                self.state = State::Open(now + self.open_for);
                self.open_for = (self.open_for * 2).min(LONGEST_OPEN);
                true
            }
        }
    }

    /// The provider asked to be left alone.
    pub(crate) fn hold(&mut self, now: Instant, wait: Duration) {
        let until = match self.state {
            State::Open(until) => until.max(now + wait),
            State::Closed | State::Trial => now + wait,
        };
        self.state = State::Open(until);
    }

    pub(crate) fn is_open(&self) -> bool {
        self.state != State::Closed
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn opens_after_failures_in_a_row_and_lets_one_trial_through() {
        let mut breaker = Breaker::new();
        for _ in 0..THRESHOLD - 1 {
            assert!(!breaker.failure(Instant::now()));
        }
        breaker.success();
        for _ in 0..THRESHOLD - 1 {
            assert!(!breaker.failure(Instant::now()), "a success starts the count anew");
        }
        assert_eq!(breaker.admit(Instant::now()), Admission::Go);
        assert!(breaker.failure(Instant::now()));
        assert_eq!(breaker.admit(Instant::now()), Admission::Wait(FIRST_OPEN));
        tokio::time::advance(FIRST_OPEN).await;
        assert_eq!(breaker.admit(Instant::now()), Admission::Go, "one trial");
        assert_eq!(breaker.admit(Instant::now()), Admission::Wait(TRIAL_RECHECK));
        assert!(breaker.failure(Instant::now()));
        assert_eq!(breaker.admit(Instant::now()), Admission::Wait(FIRST_OPEN * 2));
        tokio::time::advance(FIRST_OPEN * 2).await;
        assert_eq!(breaker.admit(Instant::now()), Admission::Go);
        breaker.success();
        assert!(!breaker.is_open());
    }

    #[tokio::test(start_paused = true)]
    async fn holds_as_long_as_the_provider_asked() {
        let mut breaker = Breaker::new();
        breaker.hold(Instant::now(), Duration::from_secs(90));
        breaker.hold(Instant::now(), Duration::from_secs(30));
        breaker.success();
        let expected = Admission::Wait(Duration::from_secs(90));
        assert_eq!(breaker.admit(Instant::now()), expected, "the longer wish counts");
    }
}
