#![doc = include_str!("../README.md")]

mod deadline;
mod needs;
mod process;
mod python;
mod random;
mod sets;

pub use deadline::{Settled, eventually};
pub use needs::{
    Need, anvil, available, community_or_end, recorded_data, timescale, timescale_or_end,
};
pub use process::{TestProcess, end_with_parent};
pub use python::{Python, python};
pub use random::SeededRandom;
pub use sets::{SetDifference, assert_same_set, compare_sets};
