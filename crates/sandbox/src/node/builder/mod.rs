//! Blocks for a scripted node: recorded as they are, recorded under new numbers, or generated.

mod header;
mod hex;
mod position;
mod recorded;
mod relink;
mod synthetic;
mod synthetic_text;

pub use self::recorded::{load_recorded, recorded_numbers};
pub use self::relink::{Relink, RelinkOptions};
pub use self::synthetic::{Synthetic, SyntheticOptions};
