//! Events of the past on their way out: many to a message, on the history lane.

use std::io;

use crypto_intel_nats::{Nats, OutMessage, PublishError};
use crypto_intel_schemas::{CHUNK_SCHEMA, ChunkWriter, Event, subjects};
use crypto_intel_service::retry;

/// A chunk is closed before it has more bytes than this before compression, or than an eighth less than the server takes:
/// it takes even what cannot be compressed.
const MAX_CHUNK_BYTES: usize = 512 << 10;

/// Publishes events, retrying without limit. What is published twice is stored once: rows are known by what they are of,
/// their provider and their time.
///
/// # Errors
/// A refusal that retrying does not change.
pub(crate) async fn publish_past(nats: &Nats, events: &[Event]) -> Result<(), PublishError> {
    let limit = nats.client().max_payload();
    let messages = chunks(events, MAX_CHUNK_BYTES.min(limit - limit / 8)).map_err(|error| {
        // Memory is short.
        PublishError::UnknownOutcome { reason: error.to_string() }
    })?;
    if messages.is_empty() {
        return Ok(());
    }
    retry("publish the past", || async { nats.publish_together(&messages, None).await }).await?;
    Ok(())
}

/// The messages of these events, which are of one subject's family mostly.
fn chunks(events: &[Event], max_bytes: usize) -> io::Result<Vec<OutMessage>> {
    let mut messages = Vec::new();
    let mut writer = ChunkWriter::default();
    let mut current = String::new();
    for event in events {
        let live = subjects::of(event);
        let (chunk, tail) = subjects::past_of(&live);
        let body = event.encode();
        let is_full = writer.bytes() + body.len() > max_bytes;
        if writer.events() > 0 && (is_full || chunk != current) {
            messages.push(OutMessage::new(current.clone(), writer.finish()?).schema(CHUNK_SCHEMA));
        }
        current = chunk;
        writer.push(tail, &body);
    }
    if writer.events() > 0 {
        messages.push(OutMessage::new(current, writer.finish()?).schema(CHUNK_SCHEMA));
    }
    Ok(messages)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use crypto_intel_schemas::{Chunk, Decimal, Index, Metric, Price};

    use super::*;

    #[test]
    fn events_keep_their_order_subjects_and_bodies() {
        let one = || Decimal::parse("1").unwrap();
        let price = |at| {
            Event::from(Price { asset: "bitcoin".into(), price: one(), ..Price::at("p", at, at) })
        };
        let metric = Event::from(Metric {
            name: "network.hashrate".into(),
            key: "bitcoin".into(),
            unit: "hash/s".into(),
            value: one(),
            ..Metric::at("p", 5, 5)
        });
        let index =
            Event::from(Index { index: "fear-greed".into(), value: one(), ..Index::at("p", 6, 6) });
        let events = [price(1), price(2), price(3), metric, index];
        let size = events[0].encode().len();
        let messages = chunks(&events, size * 2 + 64).unwrap();
        let shown: Vec<(&str, usize)> = messages
            .iter()
            .map(|message| {
                (message.subject.as_str(), Chunk::read(&message.payload).unwrap().events.len())
            })
            .collect();
        assert_eq!(
            shown,
            [
                ("history.market.chunk", 2),
                ("history.market.chunk", 1),
                ("history.network.chunk", 1),
                ("history.sentiment.chunk", 1)
            ]
        );
        let first = Chunk::read(&messages[0].payload).unwrap();
        assert_eq!(first.tail(0), "price.bitcoin");
        let body = &first.bytes[first.events[1].1.clone()];
        assert_eq!(Event::decode(body).unwrap(), price(2));
    }
}
