//! Every subject of the pipeline is built and parsed here, and nowhere else.

pub(crate) mod forms;
mod of_event;

pub use self::{forms::*, of_event::of};
