use serde_json::Value;

use super::Notice;
use crate::client::api::Nats;
use crate::error::NatsError;
use crate::message::{Position, StreamState};

/// Where to go on, and what is to be told about it.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Plan {
    /// First sequence to read; `None` = the stream's first message.
    pub(super) from: Option<u64>,
    pub(super) notice: Option<Notice>,
}

/// What a reader knows about the stream it read.
#[derive(Debug, Clone, Copy)]
pub(super) struct Known {
    pub(super) position: Position,
    /// Everything up to here was looked at by the server, though it did not match the filters.
    pub(super) passed: u64,
    /// When the stream that was read had been made; 0 = unknown.
    pub(super) created_at_us: i64,
}

impl Known {
    /// The last sequence that needs no reading. What was passed over counts in the stream that was read only: a restored
    /// one may have other messages there.
    fn last(&self, state: &StreamState) -> u64 {
        if self.is_of_another(state) {
            self.position.sequence
        } else {
            self.passed.max(self.position.sequence)
        }
    }

    /// Whether the stream that was read had been made at another time.
    fn is_of_another(&self, state: &StreamState) -> bool {
        self.created_at_us > 0 && state.created_at_us != self.created_at_us
    }
}

/// Compares what was read with what the stream holds now.
pub(super) async fn plan(
    nats: &Nats,
    stream: &str,
    known: Known,
    state: &StreamState,
) -> Result<Plan, NatsError> {
    if known.position.sequence.max(known.passed) == 0 {
        return Ok(Plan { from: None, notice: None });
    }
    if is_other_stream(nats, stream, known, state).await? {
        let notice =
            Notice::StreamReset { was: known.position, first_sequence: state.first_sequence };
        return Ok(Plan { from: None, notice: Some(notice) });
    }
    let from = known.last(state) + 1;
    Ok(Plan { from: Some(from), notice: lost(from, state) })
}

/// The messages from `from` on that the stream no longer has.
pub(super) fn lost(from: u64, state: &StreamState) -> Option<Notice> {
    (from < state.first_sequence).then(|| Notice::LostRange { from, to: state.first_sequence - 1 })
}

/// Whether the stream is not the one that was read. The message at the position says it where it is still there: a
/// restored stream was made later, but its messages have their sequences and times, and the position counts in it. One
/// that was restored and written to again has another message there, or ends before.
async fn is_other_stream(
    nats: &Nats,
    stream: &str,
    known: Known,
    state: &StreamState,
) -> Result<bool, NatsError> {
    if state.last_sequence < known.last(state) {
        return Ok(true);
    }
    let is_later = was_made_later(known, state);
    match stored_at_us(nats, stream, known.position, state).await? {
        Some(stored_at_us) if stored_at_us == known.position.stored_at_us => {
            if is_later {
                tracing::info!(
                    stream,
                    sequence = known.position.sequence,
                    "the stream was restored and holds the position, going on there"
                );
            }
            Ok(false)
        }
        Some(_) => Ok(true),
        None => Ok(is_later),
    }
}

/// What the stream's own figures say, without reading a message.
fn was_made_later(known: Known, state: &StreamState) -> bool {
    let made_after =
        known.position.stored_at_us > 0 && state.created_at_us > known.position.stored_at_us;
    made_after || known.is_of_another(state)
}

/// When the message at a position was stored; `None` where it is gone or cannot be read.
async fn stored_at_us(
    nats: &Nats,
    stream: &str,
    position: Position,
    state: &StreamState,
) -> Result<Option<i64>, NatsError> {
    let Position { sequence, stored_at_us } = position;
    if sequence == 0 || stored_at_us == 0 || sequence < state.first_sequence {
        return Ok(None);
    }
    match nats.get(stream, sequence).await {
        // Deleted alone says nothing.
        Ok(message) => Ok(message.map(|message| message.stored_at_us)),
        Err(error @ NatsError::NoResponders { .. }) => {
            let info: Value = nats.stream_info(stream).await?;
            let direct = info.pointer("/config/allow_direct").and_then(Value::as_bool);
            if direct == Some(true) { Err(error) } else { Ok(None) }
        }
        Err(error) => Err(error),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn state(first_sequence: u64, last_sequence: u64, created_at_us: i64) -> StreamState {
        StreamState {
            first_sequence,
            last_sequence,
            messages: last_sequence + 1 - first_sequence,
            created_at_us,
            ..StreamState::default()
        }
    }

    fn known(sequence: u64, stored_at_us: i64) -> Known {
        let position = Position { sequence, stored_at_us };
        Known { position, passed: 0, created_at_us: 0 }
    }

    #[test]
    fn a_stream_made_after_the_position_was_stored_was_made_later() {
        assert!(was_made_later(known(5, 500), &state(1, 9, 501)));
        assert!(!was_made_later(known(5, 500), &state(1, 9, 499)));
        assert!(!was_made_later(known(5, 0), &state(1, 9, 501)));
    }

    #[test]
    fn what_was_passed_over_counts_in_the_stream_that_was_read_only() {
        let read = Known { passed: 8, created_at_us: 100, ..known(5, 500) };
        assert_eq!(read.last(&state(1, 9, 100)), 8);
        assert_eq!(read.last(&state(1, 9, 200)), 5);
    }

    #[test]
    fn nothing_is_lost_when_all_that_is_gone_was_applied() {
        assert_eq!(lost(11, &state(11, 10, 0)), None);
        assert_eq!(lost(5, &state(11, 20, 0)), Some(Notice::LostRange { from: 5, to: 10 }));
    }
}
