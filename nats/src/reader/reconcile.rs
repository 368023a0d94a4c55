use serde_json::Value;

use super::Notice;
use crate::{Nats, NatsError, Position, StreamState};

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
    fn last(&self) -> u64 {
        self.passed.max(self.position.sequence)
    }
}

/// Compares what was read with what the stream holds now.
pub(super) async fn plan(
    nats: &Nats,
    stream: &str,
    known: Known,
    state: &StreamState,
) -> Result<Plan, NatsError> {
    if known.last() == 0 {
        return Ok(Plan { from: None, notice: None });
    }
    if is_other_stream(known, state) || is_other_message(nats, stream, known, state).await? {
        let notice =
            Notice::StreamReset { was: known.position, first_sequence: state.first_sequence };
        return Ok(Plan { from: None, notice: Some(notice) });
    }
    Ok(Plan { from: Some(known.last() + 1), notice: lost(known.last() + 1, state) })
}

/// The messages from `from` on that the stream no longer has.
pub(super) fn lost(from: u64, state: &StreamState) -> Option<Notice> {
    (from < state.first_sequence).then(|| Notice::LostRange { from, to: state.first_sequence - 1 })
}

/// What the stream's own figures say, without reading a message.
fn is_other_stream(known: Known, state: &StreamState) -> bool {
    let ends_before = state.last_sequence < known.last();
    let made_after =
        known.position.stored_at_us > 0 && state.created_at_us > known.position.stored_at_us;
    let made_anew = known.created_at_us > 0 && state.created_at_us != known.created_at_us;
    ends_before || made_after || made_anew
}

/// Whether the message at the position is another one than was applied: a stream restored from a backup and
/// written to again may be as long as the old one.
async fn is_other_message(
    nats: &Nats,
    stream: &str,
    known: Known,
    state: &StreamState,
) -> Result<bool, NatsError> {
    let Position { sequence, stored_at_us } = known.position;
    if sequence == 0 || stored_at_us == 0 || sequence < state.first_sequence {
        return Ok(false);
    }
    match nats.get(stream, sequence).await {
        Ok(Some(message)) => Ok(message.stored_at_us != stored_at_us),
        // Deleted alone, which says nothing.
        Ok(None) => Ok(false),
        Err(error @ NatsError::NoResponders { .. }) => {
            let info: Value = nats.stream_info(stream).await?;
            let direct = info.pointer("/config/allow_direct").and_then(Value::as_bool);
            if direct == Some(true) { Err(error) } else { Ok(false) }
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
            first_stored_at_us: None,
            last_stored_at_us: None,
            messages: last_sequence + 1 - first_sequence,
            bytes: 0,
            max_bytes: None,
            max_age_seconds: None,
            created_at_us,
        }
    }

    fn known(sequence: u64, stored_at_us: i64) -> Known {
        let position = Position { sequence, stored_at_us };
        Known { position, passed: 0, created_at_us: 0 }
    }

    #[test]
    fn a_stream_that_ends_before_the_position_is_another_one() {
        assert!(is_other_stream(known(10, 500), &state(1, 9, 100)));
        assert!(!is_other_stream(known(9, 500), &state(1, 9, 100)));
    }

    #[test]
    fn a_stream_made_after_the_position_was_stored_is_another_one() {
        assert!(is_other_stream(known(5, 500), &state(1, 9, 501)));
        assert!(!is_other_stream(known(5, 0), &state(1, 9, 501)));
    }

    #[test]
    fn nothing_is_lost_when_all_that_is_gone_was_applied() {
        assert_eq!(lost(11, &state(11, 10, 0)), None);
        assert_eq!(lost(5, &state(11, 20, 0)), Some(Notice::LostRange { from: 5, to: 10 }));
    }
}
