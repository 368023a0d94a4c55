use crypto_intel_nats::{RangeReader, ReadBatch, ReaderError, StreamReader};

/// Messages decoded at once: few enough that other tasks of the runtime get their turn.
const MAX_READ_MESSAGES: usize = 500;

/// Where messages come from.
#[derive(Debug)]
pub(crate) enum Input {
    /// A stream, without end.
    Live(StreamReader),
    /// A range of a stream.
    Range(RangeReader, TailPolicy),
}

/// What happens to half a block, or to a reorg without its first new block, at the end of a range.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum TailPolicy {
    /// Its part within the range is stored, with everything after it.
    Flush,
    /// It is left for the next reader.
    Leave,
}

impl Input {
    /// The next messages; `None` at the end of a range. Cancel-safe.
    pub(super) async fn next(&mut self) -> Result<Option<ReadBatch>, ReaderError> {
        match self {
            Self::Live(reader) => reader.next(MAX_READ_MESSAGES).await.map(Some),
            Self::Range(reader, _) => reader.next(MAX_READ_MESSAGES).await,
        }
    }

    /// Messages that the stream holds after the last one read.
    pub(super) fn pending(&self) -> u64 {
        match self {
            Self::Live(reader) => reader.pending(),
            Self::Range(reader, _) => reader.pending(),
        }
    }

    pub(super) const fn is_range(&self) -> bool {
        matches!(self, Self::Range(..))
    }

    /// Whether half a block at the end is left for the next reader.
    pub(super) const fn leaves_tail(&self) -> bool {
        matches!(self, Self::Range(_, TailPolicy::Leave))
    }
}
