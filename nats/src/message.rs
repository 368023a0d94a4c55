use std::borrow::Cow;

use async_nats::HeaderMap;
use bytes::Bytes;
use serde::{Deserialize, Serialize};

/// Header with the kind and version of the body, e.g. `evm.transfer.erc20/1`.
pub const SCHEMA_HEADER: &str = "Schema";
/// Header with the media type of the body.
pub const CONTENT_TYPE_HEADER: &str = "Content-Type";
/// What [`CONTENT_TYPE_HEADER`] says on everything we publish.
pub const CONTENT_TYPE: &str = "application/msgpack";

/// A message to be published.
#[derive(Debug, Clone, Default)]
pub struct OutMessage {
    /// Subject; exactly one stream must take it.
    pub subject: String,
    /// `Schema` header; none is sent when `None`.
    pub schema: Option<Cow<'static, str>>,
    /// MessagePack body.
    pub payload: Bytes,
    /// `Nats-Msg-Id`: the stream drops a second message of this id within its duplicate window.
    pub message_id: Option<String>,
    /// Further headers, e.g. `traceparent`. Names and values must be printable ASCII without line breaks.
    pub headers: Vec<(String, String)>,
}

impl OutMessage {
    /// A message without schema, id and further headers.
    pub fn new(subject: impl Into<String>, payload: impl Into<Bytes>) -> Self {
        Self { subject: subject.into(), payload: payload.into(), ..Self::default() }
    }

    /// With the `Schema` header.
    #[must_use]
    pub fn schema(mut self, schema: impl Into<Cow<'static, str>>) -> Self {
        self.schema = Some(schema.into());
        self
    }

    /// With a `Nats-Msg-Id`.
    #[must_use]
    pub fn message_id(mut self, message_id: impl Into<String>) -> Self {
        self.message_id = Some(message_id.into());
        self
    }

    /// With a further header.
    #[must_use]
    pub fn header(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
        self.headers.push((name.into(), value.into()));
        self
    }
}

/// Messages of one stream that are stored together or not at all.
#[derive(Debug, Clone, Default)]
pub struct Batch {
    /// In the order in which they will be stored.
    pub messages: Vec<OutMessage>,
    /// Checked before anything is stored.
    pub fence: Option<Fence>,
}

/// Condition: no message under `filter` since `last_sequence`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fence {
    /// Subject filter that holds the published subjects, e.g. `evm.anvil.>`.
    pub filter: String,
    /// Stream sequence of the last message under `filter`; 0 = there is none.
    pub last_sequence: u64,
}

/// A batch is on disk.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BatchAck {
    /// The stream that stored it.
    pub stream: String,
    /// Stream sequence of its last message; the others precede it without gaps.
    pub last_sequence: u64,
    /// How many messages were stored.
    pub messages: u64,
}

/// A message is on disk.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PublishAck {
    /// The stream that stored it.
    pub stream: String,
    /// Its stream sequence; of the first copy if it is a duplicate.
    pub sequence: u64,
    /// The stream had this message id already and stored nothing.
    pub duplicate: bool,
}

/// A message as a stream holds it.
#[derive(Debug, Clone)]
pub struct StreamMessage {
    /// Subject.
    pub subject: String,
    /// `Schema` header.
    pub schema: Option<String>,
    /// All headers.
    pub headers: Option<HeaderMap>,
    /// Body.
    pub payload: Bytes,
    /// Stream sequence.
    pub sequence: u64,
    /// When the stream stored it: microseconds since the Unix epoch.
    pub stored_at_us: i64,
    /// How many events of the same stream message come after this one: 0 for the last, and where a message is one event.
    pub remaining: u32,
}

impl StreamMessage {
    /// Where a reader stands that has handled this message.
    #[must_use]
    pub fn position(&self) -> Position {
        Position { sequence: self.sequence, stored_at_us: self.stored_at_us }
    }

    /// The first value of a header.
    #[must_use]
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.as_ref()?.get(name).map(async_nats::HeaderValue::as_str)
    }
}

/// How far a reader has applied a stream. The store time distinguishes a recreated stream from the old one.
#[derive(
    Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
)]
pub struct Position {
    /// Stream sequence of the last message applied; 0 = nothing applied yet.
    pub sequence: u64,
    /// Its store time in microseconds since the Unix epoch; 0 if unknown, which is then not compared.
    pub stored_at_us: i64,
}

/// What a stream holds.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct StreamState {
    /// Sequence of the oldest message; one more than `last_sequence` when the stream is empty.
    pub first_sequence: u64,
    /// Sequence of the newest message ever stored; 0 = none yet.
    pub last_sequence: u64,
    /// Store time of the oldest message, microseconds; `None` when the stream is empty.
    pub first_stored_at_us: Option<i64>,
    /// Store time of the newest message, microseconds; `None` when the stream is empty.
    pub last_stored_at_us: Option<i64>,
    /// How many messages it holds.
    pub messages: u64,
    /// Their size in bytes.
    pub bytes: u64,
    /// Limit of `bytes`; `None` = unlimited.
    pub max_bytes: Option<u64>,
    /// Messages older than this go, in seconds; `None` = unlimited.
    pub max_age_seconds: Option<u64>,
    /// When the stream was made, microseconds.
    pub created_at_us: i64,
    /// Whether a full stream refuses what is new, rather than drop what is old.
    pub refuses_when_full: bool,
    /// The server's clock when it answered, microseconds.
    pub server_time_us: i64,
}

/// The part of a consumer's delivery that is in the reply subject.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Delivery {
    pub(crate) delivered: u64,
    pub(crate) stream_sequence: u64,
    pub(crate) consumer_sequence: u64,
    pub(crate) stored_at_us: i64,
    pub(crate) pending: u64,
}

impl Delivery {
    /// `$JS.ACK.<stream>.<consumer>.<delivered>.<stream seq>.<consumer seq>.<time>.<pending>`, or the longer form
    /// with `<domain>.<account>` in front of the stream and a random token at the end.
    pub(crate) fn parse(reply: &str) -> Option<Self> {
        let rest = reply.strip_prefix("$JS.ACK.")?;
        let mut tokens = [""; 10];
        let mut count = 0;
        for token in rest.split('.') {
            *tokens.get_mut(count)? = token;
            count += 1;
        }
        let first = match count {
            7 => 2,
            9 | 10 => 4,
            _ => return None,
        };
        let number = |index: usize| tokens[first + index].parse::<u64>().ok();
        Some(Self {
            delivered: number(0)?,
            stream_sequence: number(1)?,
            consumer_sequence: number(2)?,
            stored_at_us: i64::try_from(number(3)? / 1_000).ok()?,
            pending: number(4)?,
        })
    }
}

/// `None` when the text is not RFC 3339 or is Go's zero time, which stands for "no message".
pub(crate) fn parse_time_us(text: &str) -> Option<i64> {
    let micros = text.parse::<jiff::Timestamp>().ok()?.as_microsecond();
    (micros > 0).then_some(micros)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn reads_both_forms_of_the_reply_subject() {
        let short = Delivery::parse("$JS.ACK.EVM.c.1.7.3.1700000000123456789.12").unwrap();
        let long = Delivery::parse("$JS.ACK._.ACC.EVM.c.1.7.3.1700000000123456789.12.rnd").unwrap();
        assert_eq!(short, long);
        assert_eq!(short.stream_sequence, 7);
        assert_eq!(short.consumer_sequence, 3);
        assert_eq!(short.pending, 12);
        assert_eq!(short.stored_at_us, 1_700_000_000_123_456);
        assert_eq!(Delivery::parse("_INBOX.x"), None);
        assert_eq!(Delivery::parse("$JS.ACK.EVM.c.1.x.3.1.12"), None);
    }

    #[test]
    fn store_times_agree_whatever_way_they_came() {
        assert_eq!(parse_time_us("2023-11-14T22:13:20.123456789Z"), Some(1_700_000_000_123_456));
        assert_eq!(parse_time_us("0001-01-01T00:00:00Z"), None);
    }
}
