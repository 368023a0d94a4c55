//! What a family of chains implements, so that its chains are followed.

pub mod bodies;
pub mod family;
pub mod header;
pub mod heads;
pub mod past;
pub mod unavailable;

use std::{convert::Infallible, fmt, sync::Arc};

use crypto_intel_schemas::{Block, BlockRef, Covers};
use tokio::sync::watch;

use crate::{
    backfill::queue::Gap,
    interrupt::ChainInterrupt,
    source::bodies::Prepared,
    source::header::{BlockId, Header, Span},
    source::heads::{Finality, Head},
    source::past::{Activity, Look, Touching},
    source::unavailable::Unavailable,
};

/// Where the live lane stands, for the work of a family beside it.
pub trait LiveLane: Send + Sync + 'static {
    /// First block that this process may publish; `None` until it resumed.
    fn first_number(&self) -> Option<u64>;

    /// The highest block whose events were decided on, published or on its way.
    fn decided_number(&self) -> u64;

    /// Number of the chain's final block, waiting for it.
    fn final_number(&self) -> impl Future<Output = anyhow::Result<u64>> + Send;
}

/// One chain of a family: its endpoints, its checks and its decoder.
///
/// Errors of [`header`](Self::header) and [`block`](Self::block) are transient for the caller: it looks at the heads
/// again and asks once more, without end.
pub trait ChainSource: fmt::Debug + Send + Sync + Sized + 'static {
    /// What is kept of a block to encode it once more.
    type Detail: fmt::Debug + Send + 'static;

    /// The head of the endpoint that serves; none while nothing is connected. A hint that there is something to fetch,
    /// never proof of anything.
    fn head(&self) -> Option<Head>;

    /// The highest head's number of all endpoints.
    fn highest_number(&self) -> Option<u64>;

    /// The highest number that no single operator can invent.
    fn agreed_number(&self) -> Option<u64>;

    /// By operator of endpoints, the newest blocks that they announced as heads: of a branch that an operator has left
    /// none above where it left it, as far as it said so.
    fn announced(&self) -> Vec<Vec<BlockRef>> {
        Vec::new()
    }

    /// Changes whenever a head or a connection does.
    fn head_changes(&self) -> watch::Receiver<u64>;

    /// A verified header; `None` where the chain has no block at that number.
    fn header(
        &self,
        id: BlockId,
    ) -> impl Future<Output = Result<Option<Header>, Unavailable>> + Send;

    /// A whole, verified block of the live lane with its events encoded, for the usual case that it is published the
    /// first time; `None` where the chain seems to have no block at that number, which the block above it proves.
    fn block(
        &self,
        id: BlockId,
        observed_at_us: i64,
    ) -> impl Future<Output = Result<Option<Prepared<Self::Detail>>, Unavailable>> + Send;

    /// How far the chain is safe and final; `None` while endpoints call different blocks of one height final.
    fn finality(&self) -> impl Future<Output = Result<Option<Finality>, Unavailable>> + Send;

    /// Called right before a block is published: encodes it once more where its incarnation, or what its events depend
    /// on, has changed since it was fetched.
    fn refresh(&self, prepared: &mut Prepared<Self::Detail>, incarnation: u32);

    /// Final blocks of a span in order, whole and verified. A number without a block has to be proven empty: nothing
    /// above the span may prove it later.
    fn blocks(
        &self,
        span: Span,
    ) -> impl Future<Output = Result<Vec<Prepared<Self::Detail>>, Unavailable>> + Send;

    /// How many blocks of the past are best fetched together.
    fn span_width(&self) -> u64 {
        1
    }

    /// Whether another endpoint than the one that serves knows a block; `None` when there is no other that works and
    /// keeps up.
    fn confirmed_elsewhere(&self, block: BlockRef) -> impl Future<Output = Option<bool>> + Send {
        let _ = block;
        std::future::ready(None)
    }

    /// Why no endpoint is connected.
    fn trouble(&self) -> String {
        "no reason is known".to_owned()
    }

    /// Waits until the chain may be led.
    fn until_ready(&self) -> impl Future<Output = ()> + Send {
        std::future::ready(())
    }

    /// This instance leads the chain from now on; another one may have led it in between.
    fn term_begins(&self) {}

    /// Called before the stream is read.
    ///
    /// # Errors
    /// What interrupts the chain.
    fn before_resume(&self) -> impl Future<Output = Result<(), ChainInterrupt>> + Send {
        std::future::ready(Ok(()))
    }

    /// Called before blocks are published on the live lane, with their markers.
    ///
    /// # Errors
    /// What interrupts the chain.
    fn before_publish(
        &self,
        markers: &[&Block],
    ) -> impl Future<Output = Result<(), ChainInterrupt>> + Send {
        let _ = markers;
        std::future::ready(Ok(()))
    }

    /// Work of the family beside the lanes; it is cut off when the term is over.
    fn while_leading(
        self: Arc<Self>,
        lane: impl LiveLane,
    ) -> impl Future<Output = Infallible> + Send {
        let _ = lane;
        std::future::pending()
    }

    /// Waits until the history lane may begin.
    fn until_history_may_begin(&self) -> impl Future<Output = ()> + Send {
        std::future::ready(())
    }

    /// Called before a gap is worked on.
    ///
    /// # Errors
    /// Why it cannot be worked on now.
    fn before_gap(&self, gap: &Gap) -> impl Future<Output = anyhow::Result<()>> + Send {
        let _ = gap;
        std::future::ready(Ok(()))
    }

    /// Whether a block of the past may be published for a gap as it is.
    ///
    /// # Errors
    /// What it lacks.
    fn check_past(
        &self,
        gap: &Gap,
        prepared: &Prepared<Self::Detail>,
    ) -> impl Future<Output = anyhow::Result<()>> + Send {
        let _ = (gap, prepared);
        std::future::ready(Ok(()))
    }

    /// In which blocks addresses may have been active.
    ///
    /// # Errors
    /// When no endpoint tells.
    fn activity(
        &self,
        addresses: &[String],
        look: Look,
    ) -> impl Future<Output = anyhow::Result<Activity>> + Send {
        let covers = vec![Covers::default(); addresses.len()];
        let numbers = (look.span.from..=look.span.to).collect();
        std::future::ready(Ok(Activity { numbers, covers }))
    }

    /// A final block with only those events that touch any of these addresses; `None` where the chain has no block at that
    /// number.
    fn block_touching(
        &self,
        number: u64,
        addresses: &[String],
    ) -> impl Future<Output = Result<Option<Touching<Self::Detail>>, Unavailable>> + Send;

    /// What the chain's events are published for, as markers have it; `None` = everything.
    fn scope(&self) -> Option<String> {
        None
    }

    /// Whether an address is on the watch-list now.
    fn is_watched(&self, address: &str) -> bool {
        let _ = address;
        true
    }
}
