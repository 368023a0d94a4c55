//! Ranges of time of a series of points.

use serde::{Deserialize, Serialize};

/// A range of time: points after `from_s` and up to `to_s`, seconds since the epoch. A candle is at its end, so that
/// candles which begin within the range and end within it are those of the range.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(from = "(i64, i64)", into = "(i64, i64)")]
pub struct Span {
    /// Before the first point.
    pub from_s: i64,
    /// The last point that belongs to it.
    pub to_s: i64,
}

impl From<(i64, i64)> for Span {
    fn from((from_s, to_s): (i64, i64)) -> Self {
        Self { from_s, to_s }
    }
}

impl From<Span> for (i64, i64) {
    fn from(span: Span) -> Self {
        (span.from_s, span.to_s)
    }
}

impl Span {
    /// Its length.
    #[must_use]
    pub const fn seconds(&self) -> i64 {
        let length = self.to_s - self.from_s;
        if length > 0 { length } else { 0 }
    }

    /// Whether a moment belongs to it, in microseconds.
    pub(crate) const fn holds_us(&self, time_us: i64) -> bool {
        time_us > self.from_s * 1_000_000 && time_us <= self.to_s * 1_000_000
    }

    /// The whole steps within it, as far as there are any.
    pub(crate) fn aligned(&self, step_s: i64) -> Self {
        let up = |time_s: i64| time_s.div_euclid(step_s) + i64::from(time_s.rem_euclid(step_s) > 0);
        Self { from_s: up(self.from_s) * step_s, to_s: self.to_s.div_euclid(step_s) * step_s }
    }

    fn meets(&self, other: &Self) -> bool {
        self.from_s <= other.to_s && other.from_s <= self.to_s
    }
}

/// Ranges of time, in order and apart from each other.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Spans(Vec<Span>);

impl Spans {
    /// Each of them, the oldest first.
    #[must_use]
    pub fn as_slice(&self) -> &[Span] {
        &self.0
    }

    /// Adds a range. Ranges that touch become one.
    pub(crate) fn add(&mut self, span: Span) {
        if span.seconds() == 0 {
            return;
        }
        let (touching, mut apart): (Vec<Span>, Vec<Span>) =
            self.0.drain(..).partition(|known| known.meets(&span));
        let merged = touching.iter().fold(span, |all, one| Span {
            from_s: all.from_s.min(one.from_s),
            to_s: all.to_s.max(one.to_s),
        });
        apart.push(merged);
        apart.sort_unstable();
        self.0 = apart;
    }

    /// Forgets the oldest, so that no more than these are left.
    pub(crate) fn keep_newest(&mut self, count: usize) {
        let surplus = self.0.len().saturating_sub(count);
        self.0.drain(..surplus);
    }

    /// What of a range is in none of them, the oldest first.
    pub(crate) fn missing_of(&self, wanted: Span) -> Vec<Span> {
        let mut missing = Vec::new();
        let mut from_s = wanted.from_s;
        for known in self.0.iter().filter(|known| known.to_s > wanted.from_s) {
            if known.from_s >= wanted.to_s {
                break;
            }
            if known.from_s > from_s {
                missing.push(Span { from_s, to_s: known.from_s });
            }
            from_s = from_s.max(known.to_s);
        }
        if from_s < wanted.to_s {
            missing.push(Span { from_s, to_s: wanted.to_s });
        }
        missing
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn spans(list: &[(i64, i64)]) -> Spans {
        let mut spans = Spans::default();
        list.iter().for_each(|span| spans.add((*span).into()));
        spans
    }

    fn pairs(list: &[Span]) -> Vec<(i64, i64)> {
        list.iter().map(|span| (*span).into()).collect()
    }

    #[test]
    fn ranges_that_touch_become_one_in_whatever_order_they_come() {
        let all = [(30, 40), (0, 10), (10, 20), (60, 70), (20, 30), (50, 50)];
        for turn in 0..all.len() {
            let mut turned = all;
            turned.rotate_left(turn);
            assert_eq!(pairs(spans(&turned).as_slice()), [(0, 40), (60, 70)], "{turned:?}");
        }
        let mut few = spans(&[(0, 1), (2, 3), (4, 5)]);
        few.keep_newest(2);
        assert_eq!(pairs(few.as_slice()), [(2, 3), (4, 5)]);
    }

    #[test]
    fn what_is_missing_is_what_no_range_holds() {
        let known = spans(&[(10, 20), (30, 40)]);
        let missing = |from, to| pairs(&known.missing_of((from, to).into()));
        assert_eq!(missing(0, 50), [(0, 10), (20, 30), (40, 50)]);
        assert_eq!(missing(15, 35), [(20, 30)]);
        assert_eq!(missing(12, 20), []);
        assert_eq!(missing(41, 50), [(41, 50)]);
        assert_eq!(pairs(&Spans::default().missing_of((0, 5).into())), [(0, 5)]);
    }

    #[test]
    fn whole_steps_lie_within() {
        let aligned = |from, to| Span::from((from, to)).aligned(60).into();
        let whole: (i64, i64) = aligned(1, 179);
        assert_eq!(whole, (60, 120));
        let already: (i64, i64) = aligned(60, 180);
        assert_eq!(already, (60, 180));
        assert_eq!(Span::from((61, 119)).aligned(60).seconds(), 0);
    }

    #[test]
    fn a_point_belongs_to_the_range_that_it_ends() {
        let span = Span::from((60, 120));
        assert!(!span.holds_us(60_000_000) && span.holds_us(60_000_001));
        assert!(span.holds_us(120_000_000) && !span.holds_us(120_000_001));
    }
}
