//! The messages of the live protocol, as clients and the server write them.

pub(crate) mod client;
mod reading;
pub(crate) mod server;
