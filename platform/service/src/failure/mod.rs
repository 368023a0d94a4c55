//! What is done when something fails.

pub(crate) mod breaker;
pub(crate) mod error_chain;
pub(crate) mod last_error;
pub(crate) mod retry;
