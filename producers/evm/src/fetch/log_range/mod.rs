//! How many blocks one `eth_getLogs` may ask for: what providers say when it is too many, and what was
//! learnt of each endpoint. Pure: no clock, no network.

mod refusal;
mod width;

pub(crate) use refusal::{Advice, read_refusal};
pub(crate) use width::Width;

/// How many logs a range of blocks is likely to have: endpoints take other widths for all logs than for few.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum LogScope {
    /// All logs of the blocks.
    All,
    /// Those of one contract, or that name one address.
    Few,
}
