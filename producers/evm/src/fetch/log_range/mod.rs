//! How many blocks one `eth_getLogs` may cover: how providers refuse more, and what was learnt about each endpoint.
//! Pure: no clock, no network.

mod refusal;
mod width;

pub(crate) use refusal::{Advice, read_refusal};
pub(crate) use width::Width;

/// How many logs a range of blocks is likely to have: endpoints accept different widths for all logs and for few.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum LogScope {
    /// All logs of the blocks.
    All,
    /// Those of one contract, or that name one address.
    Few,
}
