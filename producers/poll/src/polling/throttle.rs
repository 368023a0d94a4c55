use std::time::Duration;

use crypto_intel_service::{Admission, Breaker, BreakerSettings};
use parking_lot::{Mutex, MutexGuard};
use tokio::time::Instant;

use super::{refusals::Refusals, verdict::Verdict};
use crate::{
    clock::Clock,
    control::board::{PauseBoard, Standing},
    quota::{
        ledger::Ledger,
        limits::Window,
        spare::Spare,
        usage::{Blocked, Usage},
    },
};

/// When requests to a provider pause, and how they resume.
const BREAKER: BreakerSettings = BreakerSettings {
    failures: 5,
    open_for: Duration::from_secs(15),
    longest_open: Duration::from_secs(600),
    successes: 1,
};
/// Longest single sleep, so that a changed clock or a suspended machine is noticed.
const MAX_SLEEP: Duration = Duration::from_secs(15);

/// Limits all requests to one provider: its breaker, its keys and their quotas.
#[derive(Debug)]
pub(crate) struct ProviderThrottle {
    /// Held while one request is admitted, so that they are admitted one after the other.
    ledger: tokio::sync::Mutex<Ledger>,
    state: Mutex<State>,
    keys: usize,
    clock: Clock,
    /// The provider's name, and what people paused.
    pauses: (String, PauseBoard),
}

#[derive(Debug)]
struct State {
    breaker: Breaker,
    refusals: Refusals,
    /// Until when the provider wants a key to wait.
    holds: Vec<Option<Instant>>,
}

/// Leave to send one request now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Pass {
    /// Place of the key to send; 0 without keys.
    pub(crate) key: usize,
    /// How long it waited for the quota.
    pub(crate) for_quota: Duration,
    /// Whether a day or month of this key is nearly spent.
    pub(crate) nearly_spent: bool,
}

/// What follows for a whole provider or key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Consequence {
    /// Nothing.
    None,
    /// A key rests, since it is refused on several endpoints.
    KeyRests(Duration),
    /// A key waits, as the provider asked.
    KeyWaits(Duration),
    /// All requests wait, as the provider asked.
    ProviderWaits(Duration),
    /// All requests pause, since the provider keeps failing.
    ProviderPauses,
    /// A day or month of a key is spent.
    KeySpent(Window),
}

/// How a key is.
#[derive(Debug, Clone)]
pub(crate) struct KeyView {
    /// What is used; absent before the first request.
    pub(crate) usage: Option<Usage>,
    pub(crate) state: KeyState,
}

/// Whether a key can be used.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum KeyState {
    Usable,
    /// The provider wants it to wait.
    Held,
    /// A day or month is spent.
    Spent,
    /// It is refused on several endpoints.
    Refused,
}

impl KeyState {
    pub(crate) const ALL: [Self; 4] = [Self::Usable, Self::Held, Self::Spent, Self::Refused];

    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            Self::Usable => "usable",
            Self::Held => "held",
            Self::Spent => "spent",
            Self::Refused => "refused",
        }
    }
}

/// Why no key can be used right now.
struct NotYet {
    wait: Duration,
    for_quota: bool,
}

impl ProviderThrottle {
    pub(crate) fn new(ledger: Ledger, clock: Clock) -> Self {
        let keys = ledger.len();
        let state = State {
            breaker: Breaker::new(BREAKER),
            refusals: Refusals::new(keys),
            holds: vec![None; keys],
        };
        let pauses = (String::new(), PauseBoard::open());
        Self {
            ledger: tokio::sync::Mutex::new(ledger),
            state: Mutex::new(state),
            keys,
            clock,
            pauses,
        }
    }

    /// The same, which asks nothing of what people pause.
    pub(crate) fn with_pauses(self, provider: &str, pauses: PauseBoard) -> Self {
        Self { pauses: (provider.to_owned(), pauses), ..self }
    }

    /// Whether people paused an endpoint.
    pub(crate) fn standing(&self, endpoint: &str) -> Standing {
        let (provider, pauses) = &self.pauses;
        pauses.of(provider, endpoint, self.clock.now_us())
    }

    /// Waits until a request of this endpoint and weight may be sent, and counts it. The caller sends it at once and
    /// reports its outcome. The first key that can be used is taken.
    pub(crate) async fn pass(&self, endpoint: &str, weight: u32) -> Pass {
        self.pass_within(endpoint, weight, None).await
    }

    /// As [`pass`](Self::pass), for a request that takes only what the schedules leave of the quota.
    pub(crate) async fn pass_spare(&self, endpoint: &str, weight: u32, spare: &mut Spare) -> Pass {
        self.pass_within(endpoint, weight, Some(spare)).await
    }

    async fn pass_within(
        &self,
        endpoint: &str,
        weight: u32,
        mut spare: Option<&mut Spare>,
    ) -> Pass {
        let mut for_quota = Duration::ZERO;
        let mut pauses = self.pauses.1.changes();
        loop {
            pauses.mark_unchanged();
            match self.admit(endpoint, weight, spare.as_deref_mut()).await {
                Ok((key, nearly_spent)) => return Pass { key, for_quota, nearly_spent },
                Err(not_yet) => {
                    let wait = not_yet.wait.min(MAX_SLEEP);
                    tokio::select! {
                        () = tokio::time::sleep(wait) => {}
                        // It may be resumed.
                        Ok(()) = pauses.changed() => continue,
                    }
                    if not_yet.for_quota {
                        for_quota += wait;
                    }
                }
            }
        }
    }

    async fn admit(
        &self,
        endpoint: &str,
        weight: u32,
        spare: Option<&mut Spare>,
    ) -> Result<(usize, bool), NotYet> {
        let mut ledger = self.ledger.lock().await;
        let host = |wait| NotYet { wait, for_quota: false };
        match self.standing(endpoint) {
            Standing::Open => {}
            Standing::Paused(pause) => {
                return Err(host(self.until(pause.until_us)));
            }
            Standing::Unknown => return Err(host(MAX_SLEEP)),
        }
        // A place among the trial requests is taken only when there is a key: see below.
        let mut admitted = false;
        {
            let (mut state, now) = (self.state(), Instant::now());
            if !state.breaker.would_admit(now) {
                match state.breaker.admit(now) {
                    Admission::Wait(wait) => return Err(host(wait)),
                    Admission::Go => admitted = true,
                }
            }
        }
        let key = self.usable_key(&mut ledger, endpoint, weight, spare).await?;
        if !admitted {
            // Another answer may have closed it meanwhile: what was counted is lost then.
            if let Admission::Wait(wait) = self.state().breaker.admit(Instant::now()) {
                return Err(host(wait));
            }
        }
        let usage = ledger.usage(key);
        let limits = ledger.limits();
        let now_us = self.clock.now_us();
        Ok((key, usage.is_some_and(|usage| usage.nearly_spent(limits, now_us).is_some())))
    }

    /// Counts the request with the first key that can be used now.
    async fn usable_key(
        &self,
        ledger: &mut Ledger,
        endpoint: &str,
        weight: u32,
        mut spare: Option<&mut Spare>,
    ) -> Result<usize, NotYet> {
        let mut soonest = NotYet { wait: Duration::MAX, for_quota: false };
        for key in 0..self.keys {
            let now = Instant::now();
            let rests = self.state().until(endpoint, key).filter(|until| *until > now);
            let not_yet = match rests {
                Some(until) => NotYet { wait: until - now, for_quota: false },
                None => match self.reserve(ledger, key, weight, spare.as_deref_mut()).await {
                    Ok(()) => return Ok(key),
                    Err(blocked) => NotYet { wait: self.until(blocked.until_us), for_quota: true },
                },
            };
            if not_yet.wait < soonest.wait {
                soonest = not_yet;
            }
        }
        Err(soonest)
    }

    async fn reserve(
        &self,
        ledger: &mut Ledger,
        key: usize,
        weight: u32,
        spare: Option<&mut Spare>,
    ) -> Result<(), Blocked> {
        let Some(spare) = spare else { return ledger.reserve(key, weight).await };
        let usage = ledger.loaded_usage(key).await;
        spare.check(&usage, ledger.limits(), weight, self.clock.now_us())?;
        ledger.reserve(key, weight).await?;
        spare.took(weight, self.clock.now_us());
        Ok(())
    }

    fn until(&self, until_us: i64) -> Duration {
        let left = until_us.saturating_sub(self.clock.now_us());
        Duration::from_micros(u64::try_from(left).unwrap_or(0))
    }

    /// Takes note of what came of a request.
    pub(crate) async fn report(
        &self,
        endpoint: &str,
        weight: u32,
        key: usize,
        verdict: &Verdict,
    ) -> Consequence {
        let now = Instant::now();
        match *verdict {
            Verdict::Answered(signals) => {
                {
                    let mut state = self.state();
                    state.breaker.success();
                    state.refusals.answered(endpoint, key);
                }
                self.ledger.lock().await.settle(key, weight, &signals).await;
                Consequence::None
            }
            Verdict::Refused => {
                let mut state = self.state();
                // The host answers.
                state.breaker.success();
                let pause = state.refusals.refused(endpoint, key, now);
                pause.map_or(Consequence::None, Consequence::KeyRests)
            }
            Verdict::Wait { wait, everybody } if everybody || self.keys < 2 => {
                self.state().breaker.hold(now, wait);
                Consequence::ProviderWaits(wait)
            }
            Verdict::Wait { wait, .. } => {
                let mut state = self.state();
                state.breaker.success();
                if let Some(hold) = state.holds.get_mut(key) {
                    *hold = Some(now + wait);
                }
                Consequence::KeyWaits(wait)
            }
            Verdict::Spent { window, wait } => {
                self.state().breaker.success();
                let until_us = wait.map(|wait| {
                    let wait = i64::try_from(wait.as_micros()).unwrap_or(i64::MAX);
                    self.clock.now_us().saturating_add(wait)
                });
                self.ledger.lock().await.spend(key, window, until_us).await;
                Consequence::KeySpent(window)
            }
            Verdict::Failed => match self.state().breaker.failure(now) {
                true => Consequence::ProviderPauses,
                false => Consequence::None,
            },
        }
    }

    /// Whether all requests are held back now.
    pub(crate) fn is_open(&self) -> bool {
        self.state().breaker.is_open()
    }

    /// Whether an endpoint is refused with every key.
    pub(crate) fn is_refused(&self, endpoint: &str) -> bool {
        self.state().refusals.rests(endpoint, Instant::now())
    }

    /// How every key is, by its place.
    pub(crate) async fn keys(&self) -> Vec<KeyView> {
        let ledger = self.ledger.lock().await;
        let (now, now_us) = (Instant::now(), self.clock.now_us());
        let state = self.state();
        let view = |key: usize| {
            let usage = ledger.usage(key);
            let spent = usage.is_some_and(|usage| usage.spent(ledger.limits(), now_us).is_some());
            let after = |until: Option<Instant>| until.is_some_and(|until| until > now);
            let key_state = if after(state.refusals.key_until(key)) {
                KeyState::Refused
            } else if spent {
                KeyState::Spent
            } else if after(state.holds.get(key).copied().flatten()) {
                KeyState::Held
            } else {
                KeyState::Usable
            };
            KeyView { usage: usage.cloned(), state: key_state }
        };
        (0..self.keys).map(view).collect()
    }

    /// How many entries of refusals are kept.
    #[cfg(test)]
    pub(crate) fn kept(&self) -> usize {
        self.state().refusals.kept()
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock()
    }
}

impl State {
    /// Until when an endpoint is not asked with a key.
    fn until(&self, endpoint: &str, key: usize) -> Option<Instant> {
        self.refusals.until(endpoint, key).max(self.holds.get(key).copied().flatten())
    }
}
