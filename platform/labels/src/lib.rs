#![doc = include_str!("../README.md")]

mod book;
mod category;
pub mod formats;
mod label;
mod packed;
mod shipped;
mod source;

pub use book::{BookBuilder, ChainScope, Known, LabelBook};
pub use category::{LOOK_ALIKE, SANCTIONED, parse_category};
pub use label::{Label, MAX_NAME_CHARS, clean_name, parse_chain};
pub use packed::{PackError, pack, unpack, unpack_each};
pub use shipped::{Shipped, shipped};
pub use source::{SANCTIONS_SOURCE, SourceInfo, SourceProblem, parse_source_name};
