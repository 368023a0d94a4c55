//! How many events a chain has a day, by whole blocks of the last day.

use std::collections::BTreeMap;

use anyhow::Context as _;
use crypto_intel_schemas::{Event, Kind};
use crypto_intel_service::now_us;
use futures::{StreamExt as _, TryStreamExt as _};

use crate::{
    decode::BlockContext, enrich::prices::Prices, fetch::error::BlockId, reader::ChainReader,
};

const DAY_SECONDS: f64 = 86_400.0;
/// Blocks fetched at once.
const AT_ONCE: usize = 4;
/// Blocks by which the time between blocks is measured.
const TIMED_BLOCKS: u64 = 100;
/// What a message of the live lane has besides its body: subject, headers, its place in the stream.
pub const MESSAGE_BYTES: u64 = 130;

/// Events of a day, by a sample.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct DailyEvents {
    /// How many blocks were looked at.
    pub blocks: usize,
    /// Events of any kind.
    pub all: f64,
    /// Those in the scope, by kind.
    pub in_scope: BTreeMap<Kind, f64>,
    /// Bytes of the latter as messages of the live lane.
    pub stream_bytes: f64,
}

impl DailyEvents {
    /// Events in the scope.
    #[must_use]
    pub fn chosen(&self) -> f64 {
        self.in_scope.values().sum()
    }
}

impl ChainReader {
    /// Looks at some whole blocks of the last day, evenly apart, whatever the scope.
    ///
    /// # Errors
    /// When no endpoint has a block, or none gives a valid answer.
    pub async fn daily_events(&self, blocks: u64) -> anyhow::Result<DailyEvents> {
        let head = self.fetcher.pool().agreed_head().context("no endpoint is connected")?;
        let newest = self.fetcher.header(BlockId::Number(head)).await.context("fetch the head")?;
        let before = self
            .fetcher
            .header(BlockId::Number(head.saturating_sub(TIMED_BLOCKS).max(1)))
            .await
            .context("fetch an earlier header")?;
        let passed = newest.timestamp.saturating_sub(before.timestamp).max(1) as f64;
        let seconds_per_block = passed / (newest.number - before.number).max(1) as f64;
        let blocks_of_a_day = (DAY_SECONDS / seconds_per_block).max(1.0);
        let step = ((blocks_of_a_day as u64).min(head.max(1)) / blocks.max(1)).max(1);
        let numbers: Vec<u64> = (0..blocks)
            .map_while(|back| head.checked_sub(back * step))
            .filter(|number| *number > 0)
            .collect();
        let found: Vec<_> = futures::stream::iter(numbers)
            .map(|number| self.fetcher.whole_block(BlockId::Number(number)))
            .buffered(AT_ONCE)
            .try_collect()
            .await
            .context("fetch blocks of the last day")?;
        let context = BlockContext::new(now_us(), Prices::default());
        let each = blocks_of_a_day / found.len().max(1) as f64;
        let mut daily = DailyEvents { blocks: found.len(), ..DailyEvents::default() };
        let mut body = Vec::new();
        for block in &found {
            self.decoder.decode_all(block, &context, &mut |event: Event| {
                daily.all += each;
                if self.is_published(&event) {
                    *daily.in_scope.entry(event.kind()).or_default() += each;
                    body.clear();
                    event.encode_to(&mut body);
                    daily.stream_bytes += each * (body.len() as u64 + MESSAGE_BYTES) as f64;
                }
            });
        }
        Ok(daily)
    }
}
