use std::time::Duration;

use crypto_intel_schemas::patterns::{matches, without_overlap};
use tokio::time::Instant;

use super::{ReadBatch, ReaderOptions, Start, StreamReader, chunks::count_remaining};
use crate::client::api::Nats;
use crate::error::ReaderError;
use crate::message::Position;

/// At a rate, messages come in portions of this part of a second.
const PORTIONS_PER_SECOND: u32 = 4;

/// What a [`RangeReader`] reads.
#[derive(Debug, Clone)]
pub struct RangeOptions {
    /// The stream.
    pub stream: String,
    /// Patterns of subjects, which may cross each other; empty = everything.
    pub filters: Vec<String>,
    /// Shown as the consumer's name, with a unique suffix.
    pub name: String,
    /// After which message it begins.
    pub after: Position,
    /// Last sequence.
    pub to: u64,
    /// Most messages per second; `None` = as fast as they come.
    pub rate: Option<u32>,
}

/// Reads a stream up to a sequence, or to its end if that comes first, and then says so.
#[derive(Debug)]
pub struct RangeReader {
    reader: StreamReader,
    /// What the server's filters let through too much.
    keep: Vec<String>,
    to: u64,
    pace: Option<Pace>,
    has_ended: bool,
}

impl RangeReader {
    /// Makes the reader and its consumer.
    ///
    /// # Errors
    /// As [`StreamReader::open`].
    pub async fn open(nats: &Nats, options: RangeOptions) -> Result<Self, ReaderError> {
        // Filters that cross cannot be the server's: then it sends everything.
        let filters = without_overlap(options.filters.clone());
        let keep = if filters.is_none() { options.filters } else { Vec::new() };
        let reader = ReaderOptions::new(options.stream, options.name, Start::After(options.after))
            .filters(filters.unwrap_or_default());
        Ok(Self {
            reader: StreamReader::open(nats, reader).await?,
            keep,
            to: options.to,
            pace: options.rate.map(Pace::new),
            has_ended: false,
        })
    }

    /// The next messages, at most `max`; may be none. `None` at the end. Cancel-safe.
    ///
    /// # Errors
    /// Only when the client was closed.
    pub async fn next(&mut self, max: usize) -> Result<Option<ReadBatch>, ReaderError> {
        if self.has_ended {
            return Ok(None);
        }
        let mut max = max;
        if let Some(pace) = &self.pace {
            tokio::time::sleep_until(pace.next_at).await;
            max = max.min(pace.portion());
        }
        let Some(mut batch) = self.reader.next_until_end(max).await? else {
            self.has_ended = true;
            return Ok(None);
        };
        self.has_ended = batch.messages.last().is_some_and(|last| last.sequence >= self.to);
        batch.messages.retain(|message| {
            message.sequence <= self.to
                && (self.keep.is_empty()
                    || self.keep.iter().any(|filter| matches(filter, &message.subject)))
        });
        count_remaining(&mut batch.messages);
        if let Some(pace) = &mut self.pace {
            pace.took(batch.messages.len());
        }
        Ok(Some(batch))
    }

    /// The last message that was looked at.
    #[must_use]
    pub fn position(&self) -> Position {
        self.reader.position()
    }

    /// How many messages the stream held after the last one, those beyond the range included.
    #[must_use]
    pub fn pending(&self) -> u64 {
        self.reader.pending()
    }
}

/// Spreads messages over time.
#[derive(Debug)]
struct Pace {
    per_second: u32,
    next_at: Instant,
}

impl Pace {
    fn new(per_second: u32) -> Self {
        Self { per_second: per_second.max(1), next_at: Instant::now() }
    }

    fn portion(&self) -> usize {
        (self.per_second / PORTIONS_PER_SECOND).max(1) as usize
    }

    /// What was missed while others were slow is not caught up.
    fn took(&mut self, messages: usize) {
        let costs = Duration::from_secs_f64(messages as f64 / f64::from(self.per_second));
        self.next_at = self.next_at.max(Instant::now()) + costs;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_rate_is_kept_over_time_and_a_pause_is_not_made_up_for() {
        let started = Instant::now();
        let mut pace = Pace::new(100);
        for _ in 0..8 {
            tokio::time::sleep_until(pace.next_at).await;
            pace.took(pace.portion());
        }
        tokio::time::sleep_until(pace.next_at).await;
        assert_eq!(started.elapsed(), Duration::from_secs(2));
        tokio::time::advance(Duration::from_secs(10)).await;
        pace.took(100);
        assert_eq!(pace.next_at - Instant::now(), Duration::from_secs(1));
    }
}
