use serde::Serialize;

use crate::client::api::Nats;
use crate::error::{NatsError, ReaderError};
use crate::message::StreamState;
use crate::reader::{ReaderOptions, Start, StreamReader};

/// Which messages of a stream are requested. `None` is no bound.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct RangeRequest {
    /// Stored at this time or later, microseconds since the Unix epoch.
    pub since_us: Option<i64>,
    /// Stored before this time, microseconds since the Unix epoch.
    pub until_us: Option<i64>,
    /// First sequence.
    pub from_sequence: Option<u64>,
    /// Last sequence.
    pub to_sequence: Option<u64>,
}

/// Messages that a stream holds, by their sequences.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct StreamRange {
    /// First sequence.
    pub from: u64,
    /// Last sequence.
    pub to: u64,
    /// The request began before the stream's first message: what it asks for above that is gone.
    pub is_cut: bool,
}

/// A request for which a stream has nothing.
#[derive(Debug, thiserror::Error)]
pub enum RangeError {
    /// The stream cannot be asked.
    #[error(transparent)]
    Stream(#[from] NatsError),
    /// The stream cannot be read.
    #[error(transparent)]
    Read(#[from] ReaderError),
    /// The stream is empty.
    #[error("stream {stream} holds no messages")]
    NoMessages {
        /// The stream.
        stream: String,
    },
    /// Everything asked for has left the stream.
    #[error(
        "the range is older than stream {stream}, which holds messages from sequence {first} ({}) on: begin there; \
         older blocks come back by `crypto-intel backfill`",
        time_text(*first_stored_at_us)
    )]
    TooOld {
        /// The stream.
        stream: String,
        /// Sequence of its first message.
        first: u64,
        /// When that was stored, microseconds since the Unix epoch.
        first_stored_at_us: i64,
    },
    /// Nothing asked for is in the stream yet.
    #[error(
        "the range begins after the newest message of stream {stream}, sequence {last} ({}): begin earlier",
        time_text(*last_stored_at_us)
    )]
    TooNew {
        /// The stream.
        stream: String,
        /// Sequence of its newest message.
        last: u64,
        /// When that was stored, microseconds since the Unix epoch.
        last_stored_at_us: i64,
    },
    /// The end lies before the beginning.
    #[error(
        "the range is empty: it begins with sequence {from} of stream {stream} and ends with {to}"
    )]
    Empty {
        /// The stream.
        stream: String,
        /// First sequence.
        from: u64,
        /// Last sequence.
        to: u64,
    },
}

impl Nats {
    /// The messages of a stream that a request asks for, as far as the stream holds them.
    ///
    /// # Errors
    /// [`RangeError`] says why there are none.
    pub async fn range(
        &self,
        stream: &str,
        request: RangeRequest,
    ) -> Result<StreamRange, RangeError> {
        let state = self.stream_state(stream).await?;
        let (Some(first_at_us), Some(last_at_us)) =
            (state.first_stored_at_us, state.last_stored_at_us)
        else {
            return Err(RangeError::NoMessages { stream: stream.to_owned() });
        };
        let since = self.sequence_at(stream, request.since_us, &state).await?;
        let until = self.sequence_at(stream, request.until_us, &state).await?;
        let asked_from = since.unwrap_or(1).max(request.from_sequence.unwrap_or(1));
        let to = until
            .map_or(state.last_sequence, |next| next.saturating_sub(1))
            .min(request.to_sequence.unwrap_or(u64::MAX));
        // A young stream that nothing has left begins with its first message.
        let is_cut = state.first_sequence > 1
            && (request.since_us.is_some_and(|since| since < first_at_us)
                || request.from_sequence.is_some_and(|from| from < state.first_sequence));
        let stream = stream.to_owned();
        if to < state.first_sequence {
            let first = state.first_sequence;
            return Err(RangeError::TooOld { stream, first, first_stored_at_us: first_at_us });
        }
        if asked_from > state.last_sequence {
            let last = state.last_sequence;
            return Err(RangeError::TooNew { stream, last, last_stored_at_us: last_at_us });
        }
        let from = asked_from.max(state.first_sequence);
        let to = to.min(state.last_sequence);
        if from > to {
            return Err(RangeError::Empty { stream, from, to });
        }
        Ok(StreamRange { from, to, is_cut })
    }

    /// Sequence of the first message stored at a time or later; one beyond the end when there is none.
    async fn sequence_at(
        &self,
        stream: &str,
        time_us: Option<i64>,
        state: &StreamState,
    ) -> Result<Option<u64>, RangeError> {
        let Some(time_us) = time_us else { return Ok(None) };
        let mut options = ReaderOptions::new(stream, "range", Start::Time(time_us));
        options.max_batch = 2;
        let mut reader = StreamReader::open(self, options).await?;
        while let Some(batch) = reader.next_until_end(1).await? {
            if let Some(message) = batch.messages.first() {
                return Ok(Some(message.sequence));
            }
        }
        Ok(Some(state.last_sequence + 1))
    }
}

/// RFC 3339, UTC.
pub(crate) fn time_text(time_us: i64) -> String {
    jiff::Timestamp::from_microsecond(time_us)
        .map_or_else(|_| time_us.to_string(), |time| time.to_string())
}
