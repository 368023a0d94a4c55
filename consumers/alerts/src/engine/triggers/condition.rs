//! Conditions that last: when they fire, and when they end.

use crypto_intel_schemas::Alert;
use serde::{Deserialize, Serialize};

use crate::{engine::triggers::group::Signal, rules::trigger::Lasting};

/// How far a condition is.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub(crate) enum Phase {
    #[default]
    #[serde(rename = "0")]
    Idle,
    /// True, but not for long enough yet.
    #[serde(rename = "p")]
    Pending {
        #[serde(rename = "s")]
        since_us: i64,
    },
    /// Told.
    #[serde(rename = "f")]
    Firing(Box<Firing>),
}

/// A condition that was told and has not ended.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Firing {
    /// The newest message.
    #[serde(rename = "a")]
    pub(super) alert: Alert,
    #[serde(rename = "s")]
    pub(super) since_us: i64,
    /// Since when it would end, but for `keep_firing_for`.
    #[serde(rename = "e", default, skip_serializing_if = "Option::is_none")]
    pub(super) ending_since_us: Option<i64>,
}

/// What follows from a signal.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Step {
    /// Nothing changes.
    Stay,
    /// It becomes true, and waits.
    Wait,
    /// It is not true any more before it was told.
    GiveUp,
    /// It is told.
    Fire,
    /// It would end, and is kept for a while.
    BeginEnd,
    /// It is true again before it ended.
    GoOn,
    /// Its end is told.
    Resolve,
}

impl Phase {
    pub(super) fn is_idle(&self) -> bool {
        matches!(self, Self::Idle)
    }

    /// What follows now. `unsettled`: a chain has taken something back, and its new branch is not there yet.
    pub(super) fn step(
        &self,
        lasting: &Lasting,
        signal: Signal,
        unsettled: bool,
        now_us: i64,
    ) -> Step {
        if unsettled && signal != Signal::True {
            return Step::Stay;
        }
        let has_passed = |since_us: i64, period_us: i64| now_us - since_us >= period_us;
        match (self, signal) {
            (Self::Idle, Signal::True) if lasting.for_us == 0 => Step::Fire,
            (Self::Idle, Signal::True) => Step::Wait,
            (Self::Idle, _) => Step::Stay,
            (Self::Pending { since_us }, Signal::True) => {
                if has_passed(*since_us, lasting.for_us) {
                    Step::Fire
                } else {
                    Step::Stay
                }
            }
            (Self::Pending { .. }, _) => Step::GiveUp,
            (Self::Firing(firing), Signal::Ends) => match firing.ending_since_us {
                _ if lasting.keep_firing_for_us == 0 => Step::Resolve,
                None => Step::BeginEnd,
                Some(since_us) if has_passed(since_us, lasting.keep_firing_for_us) => Step::Resolve,
                Some(_) => Step::Stay,
            },
            (Self::Firing(firing), _) if firing.ending_since_us.is_some() => Step::GoOn,
            (Self::Firing(_), _) => Step::Stay,
        }
    }

    /// When time alone changes something.
    pub(super) fn due_us(&self, lasting: &Lasting) -> Option<i64> {
        match self {
            Self::Idle => None,
            Self::Pending { since_us } => Some(since_us.saturating_add(lasting.for_us)),
            Self::Firing(firing) => {
                let since_us = firing.ending_since_us?;
                Some(since_us.saturating_add(lasting.keep_firing_for_us))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LASTING: Lasting =
        Lasting { for_us: 10, keep_firing_for_us: 5, resolve_when: None, resolved: None };

    #[test]
    fn what_is_true_for_long_enough_is_told_and_what_ends_is_kept_for_a_while() {
        let firing = |ending_since_us| {
            let alert = Alert::empty();
            Phase::Firing(Box::new(Firing { alert, since_us: 0, ending_since_us }))
        };
        let pending = Phase::Pending { since_us: 100 };
        for (phase, signal, unsettled, now_us, expected) in [
            (Phase::Idle, Signal::True, false, 100, Step::Wait),
            (Phase::Idle, Signal::Neutral, false, 100, Step::Stay),
            (pending.clone(), Signal::True, false, 109, Step::Stay),
            (pending.clone(), Signal::True, false, 110, Step::Fire),
            (pending.clone(), Signal::Neutral, false, 110, Step::GiveUp),
            (pending, Signal::Ends, true, 110, Step::Stay),
            (firing(None), Signal::Ends, false, 200, Step::BeginEnd),
            (firing(None), Signal::Ends, true, 200, Step::Stay),
            (firing(None), Signal::Neutral, false, 200, Step::Stay),
            (firing(Some(200)), Signal::Ends, false, 204, Step::Stay),
            (firing(Some(200)), Signal::Ends, false, 205, Step::Resolve),
            (firing(Some(200)), Signal::True, false, 204, Step::GoOn),
            (firing(Some(200)), Signal::Neutral, false, 204, Step::GoOn),
        ] {
            let step = phase.step(&LASTING, signal, unsettled, now_us);
            assert_eq!(step, expected, "{phase:?} {signal:?} {now_us}");
        }
        let at_once = Lasting { for_us: 0, keep_firing_for_us: 0, ..LASTING };
        assert_eq!(Phase::Idle.step(&at_once, Signal::True, false, 1), Step::Fire);
        assert_eq!(firing(None).step(&at_once, Signal::Ends, false, 1), Step::Resolve);
    }
}
