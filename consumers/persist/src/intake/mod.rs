//! From messages of a stream to batches that are ready to be stored.

pub(crate) mod assembler;
pub(crate) mod batch;
pub(crate) mod input;
mod read_loop;
pub(crate) mod reader_task;
