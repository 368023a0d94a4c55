//! How many blocks of the past are fetched together where only some of their logs are: as many as have some thousand logs.

use std::sync::atomic::{AtomicU64, Ordering};

use crypto_intel_chain::header::Span;

/// Nothing is known of the first blocks.
const FIRST: u64 = 16;
/// Logs of one span: some megabytes while they wait to be encoded.
const WANTED_LOGS: u64 = 4_000;
/// What is lost when a span fails.
const MAX: u64 = 10_000;

/// The width of the next span.
#[derive(Debug)]
pub(super) struct SpanWidth(AtomicU64);

impl Default for SpanWidth {
    fn default() -> Self {
        Self(AtomicU64::new(FIRST))
    }
}

impl SpanWidth {
    pub(super) fn next(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }

    /// A span had so many logs.
    pub(super) fn found(&self, span: Span, logs: usize) {
        let (width, current) = (span.width(), self.next());
        let fits = width.saturating_mul(WANTED_LOGS) / (logs as u64).max(1);
        // The next blocks may have more: it grows step by step, and shrinks at once.
        if width >= current || fits < current && logs > 0 {
            self.0.store(fits.clamp(1, (current * 4).min(MAX)), Ordering::Relaxed);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_span_has_about_as_many_logs_as_are_wanted() {
        let width = SpanWidth::default();
        let mut spans = Vec::new();
        for logs_of_a_block in [0, 0, 0, 0, 0, 0, 200, 200, 0] {
            let next = width.next();
            spans.push(next);
            width.found(Span { from: 1, to: next }, (next * logs_of_a_block) as usize);
        }
        assert_eq!(spans, [16, 64, 256, 1_024, 4_096, 10_000, 10_000, 20, 20]);
        // The short end of a gap says nothing about the width.
        width.found(Span { from: 1, to: 3 }, 0);
        assert_eq!(width.next(), 80);
    }
}
