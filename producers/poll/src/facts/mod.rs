//! What is known of an asset, and how old it is.

mod choice;
pub(crate) mod freshness;
mod pegs;
pub(crate) mod prices;
