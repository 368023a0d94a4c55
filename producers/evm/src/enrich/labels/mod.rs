//! What addresses are called: the labels that are shipped and those of the bucket `labels`, put on both sides of an event.

mod cache;
mod load;

pub(crate) use cache::{LabelCache, LabelView};
