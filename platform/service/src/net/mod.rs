//! Connections to the outside.

pub(crate) mod outbound;
pub(crate) mod public_address;
