//! Which pasts of addresses are looked into together: a pass over a range serves all that want it. Pure.

use std::collections::BTreeSet;

use super::queue::QueuedGap;
use crate::source::header::Span;

/// Pasts of addresses that one pass serves.
#[derive(Debug)]
pub(crate) struct Sweep {
    /// The one that waits longest first: the pass goes from where it stands to its end.
    members: Vec<QueuedGap>,
    /// Places of those that were served since their progress was written.
    moved: BTreeSet<usize>,
    /// Whether every block is looked into.
    pub(crate) every_block: bool,
}

impl Sweep {
    /// Puts those beside the leader that the pass comes to: not behind where it stands, the nearest first. What is behind
    /// waits for the next pass, so that none waits for more than two.
    pub(crate) fn new(leader: QueuedGap, mut others: Vec<QueuedGap>, most: usize) -> Self {
        let (next, to, every_block) = (leader.gap.next, leader.gap.to, leader.gap.every_block);
        others.retain(|other| {
            other.key != leader.key
                && other.gap.address.is_some()
                && other.gap.every_block == every_block
                && (next..=to).contains(&other.gap.next)
        });
        others.sort_by_key(|other| (other.gap.next, other.gap.order()));
        others.truncate(most.saturating_sub(1));
        let members = std::iter::once(leader).chain(others).collect();
        Self { members, moved: BTreeSet::new(), every_block }
    }

    /// The next blocks of the leader, at most `width` and none above `last`; `None` when there are none.
    pub(crate) fn span(&self, width: u64, last: u64) -> Option<Span> {
        let leader = &self.members.first()?.gap;
        let (from, to) = (leader.next, leader.to.min(last));
        (from <= to).then(|| Span { from, to: to.min(from.saturating_add(width - 1)) })
    }

    /// The last block that any of them wants.
    pub(crate) fn last(&self) -> u64 {
        self.members.iter().map(|member| member.gap.to).max().unwrap_or_default()
    }

    /// Addresses that want any block of a span.
    pub(crate) fn addresses_in(&self, span: Span) -> Vec<String> {
        let in_span = |member: &&QueuedGap| is_in(member, span);
        let wanting = self.members.iter().filter(in_span);
        let addresses: BTreeSet<String> =
            wanting.filter_map(|member| member.gap.address.clone()).collect();
        addresses.into_iter().collect()
    }

    /// A span is published for all that wanted it.
    pub(crate) fn passed(&mut self, span: Span) {
        for (place, member) in self.members.iter_mut().enumerate() {
            if is_in(member, span) {
                member.gap.next = span.to.min(member.gap.to) + 1;
                member.gap.trouble = None;
                self.moved.insert(place);
            }
        }
    }

    /// Those that were served since this was last asked, to write how far they are.
    pub(crate) fn take_moved(&mut self) -> impl Iterator<Item = &mut QueuedGap> {
        let moved = std::mem::take(&mut self.moved);
        let members = self.members.iter_mut().enumerate();
        members.filter(move |(place, _)| moved.contains(place)).map(|(_, member)| member)
    }

    /// All of them, the leader first.
    pub(crate) fn members(&self) -> &[QueuedGap] {
        &self.members
    }

    pub(crate) fn into_members(self) -> Vec<QueuedGap> {
        self.members
    }
}

/// Whether the pass comes to a past within a span. It is then served with all of it: what is published from below its
/// first block is true, too.
fn is_in(member: &QueuedGap, span: Span) -> bool {
    (span.from..=span.to).contains(&member.gap.next) && member.gap.remaining() > 0
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;
    use crate::backfill::queue::{Gap, GapReason};

    fn past(name: &str, from: u64, next: u64, to: u64, queued_at_us: i64) -> QueuedGap {
        let address = Some(name.to_owned());
        let gap = Gap { address, next, queued_at_us, ..Gap::new(from, to, GapReason::Watch) };
        QueuedGap { key: format!("{from}.{name}"), revision: 1, gap }
    }

    #[test]
    fn those_that_begin_further_on_join_and_those_behind_wait() {
        let leader = past("a", 0, 500, 1_999, 1);
        let behind = past("b", 0, 0, 1_999, 2);
        let ahead = past("c", 1_200, 1_200, 5_000, 3);
        let beyond = past("d", 9_000, 9_000, 9_999, 4);
        let mut sweep = Sweep::new(leader, vec![behind, beyond, ahead], 10);
        let mut served = Vec::new();
        while let Some(span) = sweep.span(500, 10_000) {
            served.push((span.from, span.to, sweep.addresses_in(span).concat()));
            sweep.passed(span);
        }
        let expected = [(500, 999, "a"), (1_000, 1_499, "ac"), (1_500, 1_999, "ac")];
        assert_eq!(served, expected.map(|(from, to, names)| (from, to, names.to_owned())));
        let next: Vec<u64> = sweep.members().iter().map(|member| member.gap.next).collect();
        assert_eq!(next, [2_000, 2_000], "the rest of the longer one is another pass");
    }

    #[test]
    fn every_pass_is_of_one_kind_bounded_and_of_final_blocks() {
        let all = |queued_at_us: i64, every_block: bool| {
            let mut queued = past(&format!("{queued_at_us}"), 0, 0, 99, queued_at_us);
            queued.gap.every_block = every_block;
            queued
        };
        let others = (2..50).map(|at| all(at, at % 2 == 0)).collect();
        let sweep = Sweep::new(all(1, false), others, 5);
        let names: Vec<_> = sweep.members().iter().filter_map(|m| m.gap.address.clone()).collect();
        assert_eq!(names, ["1", "3", "5", "7", "9"], "those that wait longest");
        assert_eq!(sweep.span(10_000, 42), Some(Span { from: 0, to: 42 }));
        let mut sweep = sweep;
        sweep.passed(Span { from: 0, to: 42 });
        assert_eq!(sweep.span(10_000, 42), None);
    }

    #[test]
    fn a_shorter_past_ends_within_a_span() {
        let (long, short) = (past("a", 0, 0, 999, 1), past("b", 0, 0, 10, 2));
        let mut sweep = Sweep::new(long, vec![short], 9);
        let span = sweep.span(100, 999).unwrap();
        assert_eq!(sweep.addresses_in(span), ["a", "b"]);
        sweep.passed(span);
        assert_eq!(sweep.members()[1].gap.remaining(), 0);
        assert_eq!(sweep.addresses_in(sweep.span(100, 999).unwrap()), ["a"]);
    }
}
