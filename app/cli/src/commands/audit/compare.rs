//! What an audit found, and what follows from it. Pure.

use std::collections::BTreeMap;

use serde::Serialize;

use super::Report;

/// Missing blocks this close to each other are fetched as one range: the blocks between cost less than
/// a range of their own.
const JOIN_WITHIN: u64 = 16;

/// Blocks from one number to another, both included.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub(super) struct Range {
    pub(super) from: u64,
    pub(super) to: u64,
}

/// What is wrong with one block.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Wrong {
    /// Events that are not stored.
    pub(super) missing: u64,
    /// The block itself is not stored, or another one at its height, or only a part.
    pub(super) block_missing: bool,
    /// Rows that the chain does not have.
    pub(super) surplus: u64,
}

/// Everything that is wrong in the audited range.
#[derive(Debug)]
pub(super) struct Findings {
    range: Range,
    wrong: BTreeMap<u64, Wrong>,
}

impl Findings {
    pub(super) fn new(range: Range) -> Self {
        Self { range, wrong: BTreeMap::new() }
    }

    pub(super) fn add(&mut self, number: u64, wrong: Wrong) {
        if wrong != Wrong::default() {
            self.wrong.insert(number, wrong);
        }
    }

    pub(super) fn is_clean(&self) -> bool {
        self.wrong.is_empty()
    }

    pub(super) fn bad_blocks(&self) -> usize {
        self.wrong.len()
    }

    pub(super) fn first_bad(&self) -> Option<u64> {
        self.wrong.keys().next().copied()
    }

    /// What is to be fetched again.
    pub(super) fn missing_ranges(&self) -> Vec<Range> {
        let mut ranges: Vec<Range> = Vec::new();
        for (number, wrong) in &self.wrong {
            if wrong.missing == 0 && !wrong.block_missing {
                continue;
            }
            match ranges.last_mut() {
                Some(last) if number - last.to <= JOIN_WITHIN => last.to = *number,
                _ => ranges.push(Range { from: *number, to: *number }),
            }
        }
        debug_assert!(ranges.iter().all(|range| range.to <= self.range.to));
        ranges
    }

    pub(super) fn fill(&self, report: &mut Report) {
        for wrong in self.wrong.values() {
            report.missing_blocks += u64::from(wrong.missing > 0 || wrong.block_missing);
            report.missing_events += wrong.missing;
            report.surplus_blocks += u64::from(wrong.surplus > 0);
        }
    }
}

/// The verified range after an audit of `audited`, of which `first_bad` is the first block that is not
/// whole; `known` is what was verified before.
pub(super) fn verified_range(
    known: Option<Range>,
    audited: Range,
    first_bad: Option<u64>,
) -> Option<Range> {
    let good = match first_bad {
        Some(bad) if bad <= audited.to => {
            (bad > audited.from).then(|| Range { from: audited.from, to: bad - 1 })
        }
        _ => Some(audited),
    };
    let Some(known) = known else { return good };
    // What was verified and is found wrong now is verified no more.
    if let Some(bad) = first_bad.filter(|bad| (known.from..=known.to).contains(bad)) {
        return (bad > known.from).then(|| Range { from: known.from, to: bad - 1 }).or(good);
    }
    let Some(good) = good else { return Some(known) };
    let touches = good.from <= known.to + 1 && known.from <= good.to + 1;
    if !touches {
        // A range of its own says nothing about what is between.
        return Some(known);
    }
    Some(Range { from: known.from.min(good.from), to: known.to.max(good.to) })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn range(from: u64, to: u64) -> Range {
        Range { from, to }
    }

    #[test]
    fn the_verified_range_grows_without_holes_and_shrinks_to_the_first_hole() {
        for (known, audited, bad, expected) in [
            (None, range(5, 9), None, Some(range(5, 9))),
            (None, range(5, 9), Some(7), Some(range(5, 6))),
            (None, range(5, 9), Some(5), None),
            (Some(range(1, 4)), range(5, 9), None, Some(range(1, 9))),
            (Some(range(1, 4)), range(5, 9), Some(5), Some(range(1, 4))),
            (Some(range(1, 4)), range(5, 9), Some(8), Some(range(1, 7))),
            (Some(range(1, 4)), range(6, 9), None, Some(range(1, 4))),
            (Some(range(10, 20)), range(5, 9), None, Some(range(5, 20))),
            (Some(range(1, 20)), range(5, 9), None, Some(range(1, 20))),
            (Some(range(1, 20)), range(5, 9), Some(6), Some(range(1, 5))),
            (Some(range(5, 20)), range(5, 9), Some(5), None),
        ] {
            assert_eq!(
                verified_range(known, audited, bad),
                expected,
                "{known:?} {audited:?} {bad:?}"
            );
        }
    }

    #[test]
    fn missing_blocks_near_each_other_are_one_range() {
        let mut findings = Findings::new(range(1, 1_000));
        for number in [3, 4, 20, 500] {
            findings.add(number, Wrong { missing: 1, ..Wrong::default() });
        }
        findings.add(700, Wrong { surplus: 1, ..Wrong::default() });
        findings.add(800, Wrong::default());
        assert_eq!(findings.missing_ranges(), [range(3, 20), range(500, 500)]);
        assert_eq!((findings.bad_blocks(), findings.first_bad()), (5, Some(3)));
    }
}
