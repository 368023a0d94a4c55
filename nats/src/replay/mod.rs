//! Messages of a stream again, on subjects under a prefix, in a stream of their own.

mod stream;
mod target;

pub use stream::ReplayStream;
pub use target::{ReplayError, ReplayTarget};

/// Header of a replayed message: the stream that it was read from.
pub const ORIGINAL_STREAM_HEADER: &str = "Original-Stream";
/// Header of a replayed message: its sequence there.
pub const ORIGINAL_SEQUENCE_HEADER: &str = "Original-Sequence";
/// Header of a replayed event: how many events of the same message followed it there. Absent for the last one, and where a
/// message was one event.
pub const ORIGINAL_REMAINING_HEADER: &str = "Original-Remaining";
/// Header of a replayed message: when it was stored there, RFC 3339 in UTC.
pub const ORIGINAL_TIME_HEADER: &str = "Original-Time";
