use std::time::Duration;

use tokio::time::Instant;

/// How long other requests wait while trial requests are under way.
const TRIAL_RECHECK: Duration = Duration::from_millis(500);

/// Pauses requests to a server that fails or asked for a pause. One per server, because limits and
/// outages concern the host rather than one path.
#[derive(Debug)]
pub struct Breaker {
    settings: BreakerSettings,
    state: State,
    failures: u32,
    open_for: Duration,
    opened: Option<Instant>,
}

/// When a [`Breaker`] opens and closes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BreakerSettings {
    /// Consecutive failures after which requests pause.
    pub failures: u32,
    /// How long requests pause at first; doubled each time a trial request fails as well.
    pub open_for: Duration,
    /// Upper bound of that.
    pub longest_open: Duration,
    /// Trial requests that must succeed before it is used as before; also how many of them are
    /// under way at most.
    pub successes: u32,
}

/// What a [`Breaker`] lets through.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BreakerState {
    /// Every request.
    Closed,
    /// None.
    Open,
    /// A few, to see whether the server works again.
    HalfOpen,
}

impl BreakerState {
    /// `closed`, `open` or `half-open`.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Closed => "closed",
            Self::Open => "open",
            Self::HalfOpen => "half-open",
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    Closed,
    /// No request before `until`.
    Open {
        until: Instant,
        /// The server asked for it.
        asked: bool,
    },
    /// Some requests are under way to test whether it works again. One that never reports, because its
    /// task was cancelled, is forgotten after a while.
    Trial {
        under_way: u32,
        succeeded: u32,
        newest: Instant,
    },
}

/// Whether a request may be sent now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Admission {
    /// Yes.
    Go,
    /// No; ask again after this time.
    Wait(Duration),
}

impl Breaker {
    /// A closed one.
    #[must_use]
    pub fn new(settings: BreakerSettings) -> Self {
        Self {
            settings,
            state: State::Closed,
            failures: 0,
            open_for: settings.open_for,
            opened: None,
        }
    }

    /// An admitted request must report success, failure or hold.
    pub fn admit(&mut self, now: Instant) -> Admission {
        if let State::Open { until, .. } = self.state {
            if until > now {
                return Admission::Wait(until - now);
            }
            self.state = State::Trial { under_way: 0, succeeded: 0, newest: now };
        }
        let most = self.settings.successes.max(1);
        let forgotten = self.settings.open_for;
        let State::Trial { under_way, succeeded, newest } = &mut self.state else {
            return Admission::Go;
        };
        if now.saturating_duration_since(*newest) >= forgotten {
            *under_way = 0;
        }
        if *under_way + *succeeded >= most {
            return Admission::Wait(TRIAL_RECHECK);
        }
        *under_way += 1;
        *newest = now;
        Admission::Go
    }

    /// Whether [`admit`](Self::admit) would say go, without taking the place.
    #[must_use]
    pub fn would_admit(&self, now: Instant) -> bool {
        match self.state {
            State::Closed => true,
            State::Open { until, .. } => until <= now,
            State::Trial { under_way, succeeded, newest } => {
                under_way + succeeded < self.settings.successes.max(1)
                    || now.saturating_duration_since(newest) >= self.settings.open_for
            }
        }
    }

    /// The server answered, with success or not.
    pub fn success(&mut self) {
        match &mut self.state {
            State::Closed => self.failures = 0,
            // A request that was under way when the server asked for a pause does not end it.
            State::Open { .. } => {}
            State::Trial { under_way, succeeded, .. } => {
                *under_way = under_way.saturating_sub(1);
                *succeeded += 1;
                if *succeeded >= self.settings.successes {
                    *self = Self::new(self.settings);
                }
            }
        }
    }

    /// The server did not answer. `true` when this opened the breaker.
    pub fn failure(&mut self, now: Instant) -> bool {
        self.failures = self.failures.saturating_add(1);
        match self.state {
            State::Closed if self.failures < self.settings.failures => false,
            State::Open { .. } => false,
            State::Closed | State::Trial { .. } => {
                self.state = State::Open { until: now + self.open_for, asked: false };
                self.opened = Some(now);
                self.open_for = (self.open_for * 2).min(self.settings.longest_open);
                true
            }
        }
    }

    /// The server asked for a pause.
    pub fn hold(&mut self, now: Instant, wait: Duration) {
        let until = match self.state {
            State::Open { until, .. } => until.max(now + wait),
            State::Closed | State::Trial { .. } => now + wait,
        };
        self.state = State::Open { until, asked: true };
    }

    /// Lets trial requests through before the time, `after` it opened, where nothing else can serve;
    /// never during a pause that the server asked for. `true` when that changed something.
    pub fn try_early(&mut self, now: Instant, after: Duration) -> bool {
        let waited = self.opened.is_some_and(|opened| now.duration_since(opened) >= after);
        match self.state {
            State::Open { asked: false, .. } if waited => {
                self.state = State::Trial { under_way: 0, succeeded: 0, newest: now };
                true
            }
            _ => false,
        }
    }

    /// What it lets through now.
    #[must_use]
    pub fn state(&self) -> BreakerState {
        match self.state {
            State::Closed => BreakerState::Closed,
            State::Open { .. } => BreakerState::Open,
            State::Trial { .. } => BreakerState::HalfOpen,
        }
    }

    /// Whether requests are held back now.
    #[must_use]
    pub fn is_open(&self) -> bool {
        self.state != State::Closed
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const OPEN: Duration = Duration::from_secs(15);

    fn breaker(successes: u32) -> Breaker {
        let longest_open = Duration::from_secs(600);
        Breaker::new(BreakerSettings { failures: 5, open_for: OPEN, longest_open, successes })
    }

    #[tokio::test(start_paused = true)]
    async fn opens_after_failures_in_a_row_and_lets_one_trial_through() {
        let mut breaker = breaker(1);
        for _ in 0..4 {
            assert!(!breaker.failure(Instant::now()));
        }
        breaker.success();
        for _ in 0..4 {
            assert!(!breaker.failure(Instant::now()), "a success resets the count");
        }
        assert_eq!(breaker.admit(Instant::now()), Admission::Go);
        assert!(breaker.failure(Instant::now()));
        assert_eq!(breaker.state(), BreakerState::Open);
        assert_eq!(breaker.admit(Instant::now()), Admission::Wait(OPEN));
        tokio::time::advance(OPEN).await;
        assert_eq!(breaker.admit(Instant::now()), Admission::Go, "one trial");
        assert_eq!(breaker.state(), BreakerState::HalfOpen);
        assert_eq!(breaker.admit(Instant::now()), Admission::Wait(TRIAL_RECHECK));
        assert!(breaker.failure(Instant::now()));
        assert_eq!(breaker.admit(Instant::now()), Admission::Wait(OPEN * 2));
        tokio::time::advance(OPEN * 2).await;
        assert_eq!(breaker.admit(Instant::now()), Admission::Go);
        breaker.success();
        assert!(!breaker.is_open());
    }

    #[tokio::test(start_paused = true)]
    async fn closes_only_after_all_its_trials_succeeded() {
        let mut breaker = breaker(3);
        for _ in 0..5 {
            breaker.failure(Instant::now());
        }
        assert!(!breaker.would_admit(Instant::now()));
        tokio::time::advance(OPEN).await;
        for _ in 0..3 {
            assert!(breaker.would_admit(Instant::now()));
            assert_eq!(breaker.admit(Instant::now()), Admission::Go);
        }
        assert!(!breaker.would_admit(Instant::now()), "no more than three at once");
        breaker.success();
        breaker.success();
        assert_eq!(breaker.state(), BreakerState::HalfOpen);
        breaker.success();
        assert_eq!(breaker.state(), BreakerState::Closed);
    }

    #[tokio::test(start_paused = true)]
    async fn is_tried_early_but_not_during_a_requested_pause() {
        let second = Duration::from_secs(1);
        let mut failing = breaker(3);
        for _ in 0..5 {
            failing.failure(Instant::now());
        }
        assert!(!failing.try_early(Instant::now(), second));
        tokio::time::advance(second).await;
        assert!(failing.try_early(Instant::now(), second));
        assert_eq!(failing.admit(Instant::now()), Admission::Go);
        failing.hold(Instant::now(), OPEN);
        tokio::time::advance(second).await;
        assert!(!failing.try_early(Instant::now(), second));
    }

    #[tokio::test(start_paused = true)]
    async fn holds_as_long_as_the_server_asked() {
        let mut breaker = breaker(1);
        breaker.hold(Instant::now(), Duration::from_secs(90));
        breaker.hold(Instant::now(), Duration::from_secs(30));
        breaker.success();
        let expected = Admission::Wait(Duration::from_secs(90));
        assert_eq!(breaker.admit(Instant::now()), expected, "the longer pause counts");
    }
}
