//! What is known of an asset, and how old it is.

pub(crate) mod freshness;
pub(crate) mod prices;
