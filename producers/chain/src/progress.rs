use std::sync::Arc;

use crypto_intel_schemas::ChainCursor;
use tokio::sync::watch;

use crate::{
    source::ChainSource, stack::cursor, stack::marker_stack::MarkerStack, status::Status,
    stream::lane::Lane,
};

/// Tells cursor, metrics and health where the live lane stands.
#[derive(Debug)]
pub(crate) struct Progress<S> {
    pub(crate) lane: Arc<Lane>,
    pub(crate) source: Arc<S>,
    pub(crate) status: Status,
    pub(crate) cursor: watch::Sender<Option<ChainCursor>>,
    /// Where the oldest block that may still leave begins in the stream.
    pub(crate) oldest_open: watch::Sender<Option<u64>>,
}

impl<S: ChainSource> Progress<S> {
    pub(crate) fn moved(&self, stack: &MarkerStack, blocks: u64, events: u64) {
        if let Some(cursor) = cursor::of(stack) {
            self.cursor.send_replace(Some(cursor));
        }
        self.oldest_open.send_replace(stack.oldest_open());
        let Some(top) = stack.top() else { return };
        let head = self.source.highest_number().unwrap_or(top.number);
        self.lane.metrics.published(top.number, stack.finalized(), head);
        self.status.published(top.number, blocks, events);
    }
}
