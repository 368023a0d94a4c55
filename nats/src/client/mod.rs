//! The connection, and requests over it.

pub(crate) mod api;
pub(crate) mod complaint;
pub(crate) mod config;
pub(crate) mod connect;
pub(crate) mod count;
pub(crate) mod obstacle;
pub(crate) mod refusals;
