#![doc = include_str!("../README.md")]

mod deadline;
mod needs;
mod process;
mod python;
mod random;
mod sets;

pub use deadline::{Settled, eventually};
pub use needs::{Need, anvil, available, recorded_data, timescale};
pub use process::{TestProcess, end_with_parent};
pub use python::{Python, python};
pub use random::SeededRandom;
pub use sets::{SetDifference, assert_same_set, compare_sets};
