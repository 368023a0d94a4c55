//! Sequences: is there, in the order of the stream, an event of each step, the first at most so long before the last? Of
//! each step only the latest start of the steps up to it is kept: an earlier one can complete nothing that it cannot.
//! Of a block that can leave the chain hits are kept, since what came before them may leave, too: as many as matter
//! ([`Hits`]).

use bytes::Bytes;
use serde::{Deserialize, Serialize};

/// An event that is of a step.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Hit {
    #[serde(rename = "k")]
    pub(super) step: usize,
    #[serde(rename = "t")]
    pub(super) at_us: i64,
    /// The event's body, of the first step.
    #[serde(rename = "o", default, skip_serializing_if = "Bytes::is_empty")]
    pub(super) body: Bytes,
}

/// The first event of the steps up to here.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Start {
    #[serde(rename = "t")]
    pub(super) at_us: i64,
    #[serde(rename = "o")]
    pub(super) body: Bytes,
}

/// By step, without the last: its latest start.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Starts(Vec<Option<Start>>);

/// The hits of one block in one group, in the order of the stream: of any number so many as matter, at most `4 n²` for `n`
/// steps before the last. They have the time of their block.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub(crate) struct Hits(Vec<Hit>);

impl Hits {
    pub(super) fn one(hit: Hit) -> Self {
        Self(vec![hit])
    }

    /// Adds hits of the same block.
    pub(super) fn extend(&mut self, later: Self) {
        let at_us = self.0.first().map(|first| first.at_us);
        let later = later.0.into_iter();
        self.0.extend(later.map(|hit| Hit { at_us: at_us.unwrap_or(hit.at_us), ..hit }));
        let steps = self.0.iter().map(|hit| hit.step + 1).max().unwrap_or_default();
        // At most `n²` are left.
        if self.0.len() > 4 * steps * steps {
            self.forget_needless(steps);
        }
    }

    pub(super) fn apply_to(&self, starts: &mut Starts, within_us: i64) {
        self.0.iter().for_each(|hit| starts.apply(hit, within_us));
    }

    /// What a block does to starts is this: that of a step before it moves on to later steps, for which the earliest hits
    /// suffice, or a first step in it does, for which the latest do.
    fn forget_needless(&mut self, steps: usize) {
        let mut is_needed = vec![false; self.0.len()];
        for first in 1..steps {
            let mut next = first;
            for (hit, is_needed) in self.0.iter().zip(&mut is_needed) {
                if hit.step == next {
                    *is_needed = true;
                    next += 1;
                }
            }
        }
        for last in 0..steps {
            let mut next = Some(last);
            for (hit, is_needed) in self.0.iter().zip(&mut is_needed).rev() {
                if Some(hit.step) == next {
                    *is_needed = true;
                    next = hit.step.checked_sub(1);
                }
            }
        }
        let mut is_needed = is_needed.into_iter();
        self.0.retain(|_| is_needed.next().unwrap_or(true));
    }
}

impl Starts {
    fn apply(&mut self, hit: &Hit, within_us: i64) {
        let found = match hit.step {
            0 => Some(Start { at_us: hit.at_us, body: hit.body.clone() }),
            step => self.before(step, hit.at_us, within_us).cloned(),
        };
        let Some(found) = found else { return };
        if self.0.len() <= hit.step {
            self.0.resize(hit.step + 1, None);
        }
        let known = &mut self.0[hit.step];
        if known.as_ref().is_none_or(|known| known.at_us <= found.at_us) {
            *known = Some(found);
        }
    }

    /// The start of the steps before this one, if it is recent enough.
    pub(super) fn before(&self, step: usize, at_us: i64, within_us: i64) -> Option<&Start> {
        let start = self.0.get(step.checked_sub(1)?)?.as_ref()?;
        (at_us.saturating_sub(start.at_us) <= within_us).then_some(start)
    }

    /// When the last of them is too old; `None` without any.
    pub(super) fn end_us(&self, within_us: i64) -> Option<i64> {
        let newest = self.0.iter().flatten().map(|start| start.at_us).max()?;
        Some(newest.saturating_add(within_us))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn hit(step: usize, at_us: i64) -> Hit {
        Hit { step, at_us, body: Bytes::new() }
    }

    #[test]
    fn the_latest_start_counts_and_steps_keep_their_order() {
        let mut starts = Starts::default();
        starts.apply(&hit(1, 5), 10);
        assert_eq!(starts.before(2, 6, 10), None, "the second step came first");
        starts.apply(&hit(0, 10), 10);
        starts.apply(&hit(0, 14), 10);
        assert_eq!(starts.before(1, 24, 10).map(|start| start.at_us), Some(14));
        assert_eq!(starts.before(1, 25, 10), None, "too late");
        starts.apply(&hit(1, 15), 10);
        assert_eq!(starts.before(2, 20, 10).map(|start| start.at_us), Some(14));
        assert_eq!(starts.end_us(10), Some(24));
    }

    proptest! {
        #[test]
        fn of_many_hits_of_a_block_few_are_kept_and_they_do_the_same(
            before in prop::collection::vec((0_usize..4, 0_i64..30), 0..8),
            steps in prop::collection::vec(0_usize..4, 1..400),
            within_us in 1_i64..40,
        ) {
            let mut known = Starts::default();
            before.iter().for_each(|(step, at_us)| known.apply(&hit(*step, *at_us), within_us));
            let mut whole = known.clone();
            let mut kept = Hits::default();
            for (number, step) in steps.iter().enumerate() {
                let body = if *step == 0 { Bytes::from(number.to_string()) } else { Bytes::new() };
                let hit = Hit { step: *step, at_us: 30, body };
                whole.apply(&hit, within_us);
                kept.extend(Hits::one(hit));
            }
            let mut found = known;
            kept.apply_to(&mut found, within_us);
            prop_assert_eq!(found, whole);
            prop_assert!(kept.0.len() <= 4 * 4 * 4, "{} hits", kept.0.len());
        }
    }
}
