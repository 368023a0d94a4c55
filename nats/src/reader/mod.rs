mod chunks;
pub(crate) mod consumers;
mod options;
pub(crate) mod point_read;
pub(crate) mod range;
mod range_reader;
mod reconcile;
mod session;
mod stream_reader;
mod trouble;
pub(crate) mod work_queue;

pub use options::{Notice, ReadBatch, ReaderOptions, Start};
pub use range_reader::{RangeOptions, RangeReader};
pub(crate) use session::{Gone, Item, PullSession, PullSettings};
pub use stream_reader::StreamReader;
pub use trouble::ReaderTrouble;
