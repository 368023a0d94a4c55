mod options;
mod range_reader;
mod reconcile;
mod session;
mod stream_reader;
mod trouble;

pub use options::{Notice, ReadBatch, ReaderOptions, Start};
pub use range_reader::{RangeOptions, RangeReader};
pub(crate) use session::{Gone, Item, PullSession, PullSettings};
pub use stream_reader::StreamReader;
pub use trouble::ReaderTrouble;
