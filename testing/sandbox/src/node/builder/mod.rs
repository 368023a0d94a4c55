//! Blocks for a scripted node: recorded as they are, recorded under new numbers, or generated.

mod block_plan;
mod header;
mod hex;
mod position;
mod receipts_root;
mod recorded;
mod recording;
mod relink;
mod synthetic;
mod synthetic_text;

pub use self::recorded::{load_recorded, recorded_numbers};
pub use self::recording::{RecordedStep, load_recording};
pub use self::relink::{Relink, RelinkOptions};
pub use self::synthetic::{Synthetic, SyntheticOptions};
