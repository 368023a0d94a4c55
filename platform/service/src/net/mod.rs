//! Connections to the outside.

pub(crate) mod http;
pub(crate) mod outbound;
pub(crate) mod public_address;
pub(crate) mod retry_after;
