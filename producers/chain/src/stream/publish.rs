//! Publishes assembled blocks, and says how it went.

use std::{sync::Arc, time::Duration};

use crypto_intel_schemas::Block;
use crypto_intel_service::now_us;

use crate::{
    interrupt::ChainInterrupt, live::assemble::Group, progress::Progress, source::ChainSource,
    stack::position::Position, stream::lane::Lane,
};

/// Publishes groups of blocks on the live lane.
#[derive(Debug)]
pub(crate) struct GroupPublisher<S> {
    pub(crate) lane: Arc<Lane>,
    pub(crate) source: Arc<S>,
    pub(crate) progress: Arc<Progress<S>>,
}

impl<S: ChainSource> GroupPublisher<S> {
    /// Publishes a group and folds its markers. `false` when it is empty.
    pub(crate) async fn publish(
        &self,
        position: &mut Position,
        group: Group,
    ) -> Result<bool, ChainInterrupt> {
        let Some((newest, _)) = group.markers.last() else { return Ok(false) };
        let markers: Vec<&Block> = group.markers.iter().map(|(marker, _)| marker).collect();
        self.source.before_publish(&markers).await?;
        let top = newest.block_number;
        let published = position.publisher.publish(group.messages).await?;
        position.contested_since = None;
        for (marker, place) in &group.markers {
            position.stack.fold(marker, published.sequence_of(*place));
        }
        let metrics = &self.lane.metrics;
        let events = group.counts.iter().map(|(_, count)| count).sum();
        for (kind, count) in &group.counts {
            metrics.events_published(*kind, *count);
        }
        if let Some(seen_at_us) = group.seen_at_us {
            let elapsed_us = u64::try_from(now_us() - seen_at_us).unwrap_or_default();
            metrics.head_to_ack(Duration::from_micros(elapsed_us));
        }
        let blocks = group.markers.len() as u64;
        tracing::debug!(chain = self.lane.chain, block = top, blocks, events, "published");
        metrics.batch_acked(blocks);
        self.progress.moved(&position.stack, blocks, events);
        Ok(true)
    }
}
