//! JSON-RPC over HTTP and over a websocket, and what a websocket announces by itself.

pub(crate) mod answer;
pub(crate) mod client;
pub(crate) mod error;
mod frames;
pub(crate) mod hints;
pub(crate) mod http;
mod proxy;
pub(crate) mod websocket;
