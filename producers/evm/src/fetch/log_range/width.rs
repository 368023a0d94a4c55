use crypto_intel_chain::header::Span;

use super::Advice;

/// Width of the first request to an unknown endpoint: for all logs, and for those of one address.
const FIRST: u64 = 100;
const FIRST_OF_FEW: u64 = 2_000;
/// Answers in a row after which a wider range is tried.
const GROW_AFTER: u32 = 8;
/// Answers in a row after which even a width that was refused is tried again: limits that count results
/// depend on the blocks.
const FORGET_AFTER: u32 = 64;

/// How many blocks one endpoint is asked for at once.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Width {
    current: u64,
    /// The smallest width that was refused.
    refused: Option<u64>,
    answers: u32,
}

impl Default for Width {
    fn default() -> Self {
        Self { current: FIRST, refused: None, answers: 0 }
    }
}

impl Width {
    /// The initial width where few logs of each block are asked for.
    pub(crate) fn of_few() -> Self {
        Self { current: FIRST_OF_FEW, ..Self::default() }
    }

    /// The next range, of at most as many blocks as are wanted.
    pub(crate) fn next(&self, wanted: Span) -> Span {
        let to = wanted.from.saturating_add(self.current - 1).min(wanted.to);
        Span { from: wanted.from, to }
    }

    /// A range was answered.
    pub(crate) fn answered(&mut self, asked: Span) {
        // The short end of a range says nothing about the full width.
        if asked.width() < self.current {
            return;
        }
        self.answers += 1;
        if self.answers >= FORGET_AFTER {
            self.refused = None;
        }
        if self.answers.is_multiple_of(GROW_AFTER) {
            let wider = self.current + (self.current / 2).max(1);
            let below_refused = self.refused.map_or(u64::MAX, |refused| refused - 1);
            self.current = wider.min(below_refused).max(self.current);
        }
    }

    /// A range was refused. Returns `false` when asking for fewer blocks would not help.
    pub(crate) fn refused(&mut self, asked: Span, advice: Advice) -> bool {
        let width = asked.width();
        let fewer = match advice {
            Advice::Range(span) => span.width(),
            Advice::Width(most) => most,
            Advice::Halve => width / 2,
            Advice::NeverSplit | Advice::Unknown => return false,
        };
        if width <= 1 {
            return false;
        }
        // A number that is not below what was refused is not reliable.
        let fewer = if fewer == 0 || fewer >= width { width / 2 } else { fewer };
        self.current = fewer.min(self.current).max(1);
        self.refused = Some(self.refused.map_or(width, |known| known.min(width)));
        self.answers = 0;
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn span(width: u64) -> Span {
        Span { from: 1_000, to: 1_000 + width - 1 }
    }

    #[test]
    fn narrows_as_advised_and_grows_back_below_what_was_refused() {
        let mut width = Width::default();
        let wanted = span(10_000);
        assert_eq!(width.next(wanted), span(100));
        assert!(width.refused(span(100), Advice::Width(50)));
        assert_eq!(width.next(wanted), span(50));
        for _ in 0..GROW_AFTER {
            width.answered(span(50));
        }
        assert_eq!(width.next(wanted), span(75));
        for _ in 0..GROW_AFTER {
            width.answered(span(75));
        }
        assert_eq!(width.next(wanted), span(99), "never what was refused");
        for _ in 0..FORGET_AFTER {
            width.answered(span(99));
        }
        assert!(width.next(wanted).width() > 99, "but once in a long while it is tried again");
    }

    #[test]
    fn an_implausible_number_halves_the_width() {
        let mut width = Width::default();
        for (refused, left) in [(100, 50), (50, 25), (25, 12), (12, 6), (6, 3), (3, 1)] {
            assert!(width.refused(span(refused), Advice::Width(10_000)));
            assert_eq!(width.next(span(1_000)), span(left));
        }
        assert!(!width.refused(span(1), Advice::Halve), "one block cannot be split");
    }

    #[test]
    fn refusals_that_are_not_about_width_change_nothing() {
        let mut width = Width::default();
        for advice in [Advice::NeverSplit, Advice::Unknown] {
            assert!(!width.refused(span(100), advice));
        }
        assert_eq!(width, Width::default());
        assert_eq!(width.next(span(7)), span(7), "never more than wanted");
    }
}
