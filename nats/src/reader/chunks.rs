//! Messages that hold many events, handed out event by event.

use bytes::Bytes;
use crypto_intel_schemas::{
    CHUNK_SCHEMA, Chunk, Kind, Stream,
    patterns::{covers, matches},
    subjects,
};

use super::ReaderOptions;
use crate::message::StreamMessage;

/// Which messages a reader asks for, and which of the events in them it hands out.
#[derive(Debug, Clone)]
pub(crate) struct ChunkFilter {
    /// Filters of the consumer.
    pub(crate) server: Vec<String>,
    /// Filters that its user gave; empty = everything.
    wanted: Vec<String>,
    unpack: bool,
}

impl ChunkFilter {
    /// Chunks may hold what a filter of the stream with history asks for: their subjects are asked for beside it.
    pub(crate) fn new(options: &ReaderOptions) -> Self {
        let ReaderOptions { stream, filters, unpack, .. } = options;
        let mut server = filters.clone();
        if stream == Stream::History.name() {
            for filter in filters {
                let mut tokens = filter.split('.');
                let chain = match (tokens.next(), tokens.next()) {
                    (Some("history" | "*"), Some(chain)) if chain != ">" => chain,
                    _ => continue,
                };
                let chunks = subjects::history_chunk(chain);
                if !server.iter().any(|known| covers(known, &chunks)) {
                    server.retain(|known| !covers(&chunks, known));
                    server.push(chunks);
                }
            }
        }
        Self { server, wanted: filters.clone(), unpack: *unpack }
    }

    /// Adds a message, or the events of a chunk that are wanted. A chunk that cannot be read is handed out as it is: its
    /// reader sets it aside as it does with everything that is no event.
    pub(crate) fn unpack(&self, message: StreamMessage, messages: &mut Vec<StreamMessage>) {
        if !self.unpack || message.schema.as_deref() != Some(CHUNK_SCHEMA) {
            return messages.push(message);
        }
        match Chunk::read(&message.payload) {
            Ok(chunk) => self.add_events(&message, chunk, messages),
            Err(error) => {
                tracing::warn!(subject = message.subject, sequence = message.sequence, %error, "chunk is unreadable");
                messages.push(message);
            }
        }
    }

    fn add_events(&self, message: &StreamMessage, chunk: Chunk, messages: &mut Vec<StreamMessage>) {
        let stem = message.subject.rsplit_once('.').map_or("", |(stem, _)| stem);
        let first = messages.len();
        let Chunk { bytes, events } = chunk;
        let bytes = Bytes::from(bytes);
        for (tail, body) in events {
            // Checked when the chunk was read.
            let tail = std::str::from_utf8(&bytes[tail]).unwrap_or_default();
            let subject = format!("{stem}.{tail}");
            if self.wants(&subject) {
                messages.push(StreamMessage {
                    schema: schema_of(&subject, tail),
                    subject,
                    headers: None,
                    payload: bytes.slice(body),
                    ..*message
                });
            }
        }
        count_remaining(&mut messages[first..]);
    }

    fn wants(&self, subject: &str) -> bool {
        self.wanted.is_empty() || self.wanted.iter().any(|filter| matches(filter, subject))
    }
}

/// Counts for each message how many of the same sequence follow it.
pub(crate) fn count_remaining(messages: &mut [StreamMessage]) {
    let (mut sequence, mut remaining) = (0, 0);
    for message in messages.iter_mut().rev() {
        remaining = if message.sequence == sequence { remaining + 1 } else { 0 };
        sequence = message.sequence;
        message.remaining = remaining;
    }
}

/// The schema of the events on a subject that ends so; `None` for kinds that are not known here.
fn schema_of(subject: &str, tail: &str) -> Option<String> {
    let by_name = tail.parse().or_else(|_| tail.split('.').next().unwrap_or_default().parse());
    let kind: Option<Kind> = by_name.ok().or_else(|| {
        // Subjects of polled events do not name their kind.
        let live = subjects::live_of(subject)?;
        Kind::ALL.iter().copied().find(|kind| kind.is_polled() && kind.is_on(&live))
    });
    kind.map(|kind| kind.schema().to_owned())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use crypto_intel_schemas::ChunkWriter;

    use super::*;
    use crate::reader::Start;

    fn filter(stream: &str, filters: &[&str]) -> ChunkFilter {
        let options = ReaderOptions::new(stream, "test", Start::First);
        ChunkFilter::new(&options.filters(filters.iter().copied()))
    }

    fn message(payload: Vec<u8>) -> StreamMessage {
        StreamMessage {
            subject: "history.base.chunk".to_owned(),
            schema: Some(CHUNK_SCHEMA.to_owned()),
            headers: None,
            payload: payload.into(),
            sequence: 7,
            stored_at_us: 9,
            remaining: 0,
        }
    }

    #[test]
    fn chunks_are_asked_for_where_a_filter_may_find_events_in_them() {
        for (filters, expected) in [
            (&[][..], &[][..]),
            (&[">"], &[">"]),
            (&["history.>"], &["history.>"]),
            (&["history.base.>"], &["history.base.>"]),
            (&["history.base.block"], &["history.base.block", "history.base.chunk"]),
            (
                &["history.base.block", "history.*.log"],
                &["history.base.block", "history.*.log", "history.*.chunk"],
            ),
            (&["*.base.block"], &["*.base.block", "history.base.chunk"]),
        ] {
            assert_eq!(filter("HISTORY", filters).server, expected, "{filters:?}");
        }
        assert_eq!(filter("EVM", &["*.base.block"]).server, ["*.base.block"]);
    }

    #[test]
    fn wanted_events_are_handed_out_with_their_own_subjects() {
        let mut writer = ChunkWriter::default();
        for (tail, body) in
            [("log", "a"), ("event.paid", "b"), ("log", "c"), ("block", "d"), ("new.kind", "e")]
        {
            writer.push(tail, body.as_bytes());
        }
        let payload = writer.finish().unwrap();
        let read = |filters: &[&str]| -> Vec<(String, String, u32)> {
            let mut messages = Vec::new();
            filter("HISTORY", filters).unpack(message(payload.clone()), &mut messages);
            assert!(
                messages.iter().all(|message| (message.sequence, message.stored_at_us) == (7, 9))
            );
            let shown = |message: StreamMessage| {
                let body = String::from_utf8(message.payload.to_vec()).unwrap();
                (
                    message.subject,
                    message.schema.unwrap_or_default() + " " + &body,
                    message.remaining,
                )
            };
            messages.into_iter().map(shown).collect()
        };
        let all = read(&["history.>"]);
        let subjects: Vec<&str> = all.iter().map(|(subject, ..)| subject.as_str()).collect();
        assert_eq!(
            subjects,
            [
                "history.base.log",
                "history.base.event.paid",
                "history.base.log",
                "history.base.block",
                "history.base.new.kind"
            ]
        );
        assert_eq!(all[1].1, "evm.event/1 b");
        assert_eq!(all[4].1, " e");
        assert_eq!(
            all.iter().map(|(.., remaining)| *remaining).collect::<Vec<_>>(),
            [4, 3, 2, 1, 0]
        );
        let logs = read(&["history.*.log"]);
        assert_eq!(logs.iter().map(|(.., remaining)| *remaining).collect::<Vec<_>>(), [1, 0]);
        assert_eq!(read(&["history.base.reorg"]), []);
    }

    #[test]
    fn the_past_of_polled_events_has_their_schemas() {
        for (chunk, tail, schema) in [
            ("history.market.chunk", "price.bitcoin", "market.price/1"),
            ("history.market.chunk", "funding-rate.bitcoin-usd", "metric/1"),
            ("history.sentiment.chunk", "fear-greed", "sentiment.index/1"),
            ("history.network.chunk", "hashrate.bitcoin", "metric/1"),
        ] {
            let mut writer = ChunkWriter::default();
            writer.push(tail, b"body");
            let message =
                StreamMessage { subject: chunk.to_owned(), ..message(writer.finish().unwrap()) };
            let mut messages = Vec::new();
            filter("HISTORY", &["history.>"]).unpack(message, &mut messages);
            assert_eq!(messages[0].schema.as_deref(), Some(schema), "{tail}");
        }
    }

    #[test]
    fn an_unreadable_chunk_is_left_to_its_reader() {
        let mut messages = Vec::new();
        filter("HISTORY", &["history.base.block"])
            .unpack(message(b"no frame".to_vec()), &mut messages);
        assert_eq!(messages.len(), 1);
        assert_eq!(messages[0].subject, "history.base.chunk");
    }
}
