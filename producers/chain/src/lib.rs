#![doc = include_str!("../README.md")]

pub mod backfill;
pub mod interrupt;
pub mod live;
pub mod metrics;
mod progress;
pub mod run;
pub mod source;
pub mod stack;
mod status;
pub mod stream;

pub use source::{bodies, family, header, heads, past, unavailable};
