use tokio::time::Instant;

use crate::{stack::marker_stack::MarkerStack, stream::publisher::Publisher};

/// What the leader knows of its chain's stream.
#[derive(Debug)]
pub(crate) struct Position {
    pub(crate) stack: MarkerStack,
    pub(crate) publisher: Publisher,
    /// Since when endpoints disagree about what follows the top.
    pub(crate) contested_since: Option<Instant>,
}
