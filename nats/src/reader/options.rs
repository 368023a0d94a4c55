use crypto_intel_schemas::Stream;

use crate::message::{Position, StreamMessage};

/// What a [`StreamReader`](crate::StreamReader) reads.
#[derive(Debug, Clone)]
pub struct ReaderOptions {
    /// The stream.
    pub stream: String,
    /// Subject filters; empty = everything. Few wildcards are cheap, long lists of literal subjects are not.
    pub filters: Vec<String>,
    /// Shown as the consumer's name, with a unique suffix: role and instance.
    pub name: String,
    /// Where to begin.
    pub start: Start,
    /// How many messages may be under way or buffered at once, at most 40,000.
    pub max_batch: usize,
    /// The same bound in bytes of payload.
    pub prefetch_bytes: usize,
    /// Whether messages that hold many events are handed out as these events.
    pub unpack: bool,
}

impl ReaderOptions {
    /// Everything in the stream, 5,000 messages or 32 MiB ahead; 8 MiB of the stream HISTORY.
    pub fn new(stream: impl Into<String>, name: impl Into<String>, start: Start) -> Self {
        let stream = stream.into();
        // Chunks become several times larger when they are read.
        let holds_chunks = stream == Stream::History.name();
        Self {
            stream,
            filters: Vec::new(),
            name: name.into(),
            start,
            max_batch: 5_000,
            prefetch_bytes: if holds_chunks { 8 << 20 } else { 32 << 20 },
            unpack: true,
        }
    }

    /// Only subjects that match one of the filters.
    #[must_use]
    pub fn filters<S: Into<String>>(mut self, filters: impl IntoIterator<Item = S>) -> Self {
        self.filters = filters.into_iter().map(Into::into).collect();
        self
    }
}

/// Where reading begins.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Start {
    /// After what was applied; sequence 0 = from the first message.
    After(Position),
    /// With the oldest message there is.
    First,
    /// With the first message stored after opening.
    New,
    /// With this stream sequence.
    Sequence(u64),
    /// With the first message stored at or after this time, microseconds since the Unix epoch.
    Time(i64),
}

/// What a reader hands out.
#[derive(Debug, Clone, Default)]
pub struct ReadBatch {
    /// In stream order; may be empty when there are notices.
    pub messages: Vec<StreamMessage>,
    /// What happened before these messages.
    pub notices: Vec<Notice>,
}

/// What a reader has to tell about the stream.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Notice {
    /// These sequences are gone unread: retention or a purge was faster. With filters the range may hold
    /// messages that do not match.
    LostRange {
        /// First lost sequence.
        from: u64,
        /// Last lost sequence.
        to: u64,
    },
    /// The stream was recreated or restored: reading continues with its first message.
    StreamReset {
        /// The position that no longer holds.
        was: Position,
        /// Where reading goes on.
        first_sequence: u64,
    },
}
