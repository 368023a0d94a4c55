//! What every request passes, from the outside in: its id and log line, its host, the page that asks, its client, its time.

pub(crate) mod client;
pub(crate) mod deadline;
pub(crate) mod host;
pub(crate) mod observe;
pub(crate) mod origin;
