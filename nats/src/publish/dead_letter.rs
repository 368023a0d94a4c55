use bytes::Bytes;
use crypto_intel_schemas::{Stream, subjects};

use crate::client::api::Nats;
use crate::error::{NatsError, PublishError, ReaderError};
use crate::message::{OutMessage, StreamMessage};
use crate::reader::{ReaderOptions, Start, StreamReader};

const STREAM: &str = Stream::Dlq.name();
const STREAM_HEADER: &str = "Dlq-Stream";
const SUBJECT_HEADER: &str = "Dlq-Subject";
const ERROR_HEADER: &str = "Dlq-Error";
const SCHEMA_HEADER: &str = "Dlq-Schema";
const CUT_HEADER: &str = "Dlq-Cut-From-Bytes";
/// Headers must leave room for a payload of the largest size.
const MAX_ERROR_CHARACTERS: usize = 1_000;

/// A message that a consumer could not handle, with its error and origin.
#[derive(Debug, Clone)]
pub struct DeadLetter {
    /// Who could not handle it.
    pub consumer: String,
    /// The stream it came from.
    pub stream: String,
    /// Its sequence there.
    pub sequence: u64,
    /// Its store time there: microseconds since the Unix epoch.
    pub stored_at_us: i64,
    /// Its subject there.
    pub subject: String,
    /// Its `Schema` header.
    pub schema: Option<String>,
    /// Why it could not be handled.
    pub error: String,
    /// Its body.
    pub payload: Bytes,
    /// Length of the body if it was too long to be kept whole.
    pub cut_from_bytes: Option<u64>,
    /// Sequence in the dead-letter stream: what `show` takes.
    pub dlq_sequence: u64,
    /// When it was put there: microseconds since the Unix epoch.
    pub at_us: i64,
}

/// Keeps a message that can never be processed: complete, with its error and origin. Idempotent.
///
/// # Errors
/// As [`Nats::publish_once`]. Only after `Ok` may the consumer go on.
pub async fn dead_letter(
    nats: &Nats,
    consumer: &str,
    stream: &str,
    message: &StreamMessage,
    error: &str,
) -> Result<(), PublishError> {
    // Subjects are lower case; the stream's own name is in a header.
    let subject = subjects::dead_letter(
        consumer,
        &stream.to_ascii_lowercase(),
        message.sequence,
        message.stored_at_us,
        message.remaining,
    );
    let letter =
        letter(&subject, message, error, nats.client().max_payload()).header(STREAM_HEADER, stream);
    nats.publish_once(STREAM, letter).await.map(drop)
}

fn letter(subject: &str, message: &StreamMessage, error: &str, limit: usize) -> OutMessage {
    let error: String = error
        .chars()
        .map(|character| if character.is_control() { ' ' } else { character })
        .take(MAX_ERROR_CHARACTERS)
        .collect();
    let mut letter = OutMessage::new(subject, message.payload.clone())
        .header(SUBJECT_HEADER, &message.subject)
        .header(ERROR_HEADER, error);
    if let Some(schema) = &message.schema {
        letter = letter.schema(schema.clone()).header(SCHEMA_HEADER, schema);
    }
    // The error may have four bytes per character.
    let room = limit.saturating_sub(2_000 + 4 * MAX_ERROR_CHARACTERS);
    if letter.payload.len() > room {
        letter = letter.header(CUT_HEADER, message.payload.len().to_string());
        letter.payload.truncate(room);
    }
    letter
}

/// The newest dead letters, oldest first, at most `limit`; of one consumer or of all.
///
/// # Errors
/// Fails when the stream cannot be read.
pub async fn list_dead_letters(
    nats: &Nats,
    consumer: Option<&str>,
    limit: usize,
) -> Result<Vec<DeadLetter>, NatsError> {
    let filter = consumer
        .map_or("dlq.>".to_owned(), |consumer| format!("dlq.{}.>", subjects::token(consumer)));
    let options =
        ReaderOptions::new(STREAM, format!("dlq-{}", nats.name()), Start::First).filters([filter]);
    let mut reader = StreamReader::open(nats, options).await.map_err(|error| match error {
        ReaderError::Open { source, .. } => source,
        ReaderError::Closed => NatsError::Closed,
    })?;
    let mut letters = std::collections::VecDeque::new();
    while let Some(batch) = reader.next_until_end(1_000).await.map_err(|_| NatsError::Closed)? {
        for message in batch.messages {
            letters.extend(parse(message));
            if letters.len() > limit {
                letters.pop_front();
            }
        }
    }
    Ok(letters.into())
}

/// One dead letter by its sequence in the dead-letter stream.
///
/// # Errors
/// Fails when the stream cannot be read.
pub async fn show_dead_letter(
    nats: &Nats,
    dlq_sequence: u64,
) -> Result<Option<DeadLetter>, NatsError> {
    // Sequences begin at 1; the server takes 0 for a malformed request.
    if dlq_sequence == 0 {
        return Ok(None);
    }
    Ok(nats.get(STREAM, dlq_sequence).await?.and_then(parse))
}

/// Deletes one dead letter by its sequence in the dead-letter stream; `false` if there is none.
///
/// # Errors
/// Fails when the stream cannot be read or written.
pub async fn remove_dead_letter(nats: &Nats, dlq_sequence: u64) -> Result<bool, NatsError> {
    if nats.get(STREAM, dlq_sequence).await?.is_none() {
        return Ok(false);
    }
    let request = serde_json::json!({ "seq": dlq_sequence });
    nats.api::<serde_json::Value>(&format!("STREAM.MSG.DELETE.{STREAM}"), &request).await?;
    Ok(true)
}

fn parse(message: StreamMessage) -> Option<DeadLetter> {
    let mut tokens = message.subject.split('.').skip(1);
    let consumer = subjects::untoken(tokens.next()?)?;
    let stream = subjects::untoken(tokens.next()?)?;
    let sequence = tokens.next()?.parse().ok()?;
    let stored_at_us = tokens.next()?.parse().ok()?;
    let header = |name| message.header(name).map(ToOwned::to_owned);
    Some(DeadLetter {
        consumer,
        stream: header(STREAM_HEADER).unwrap_or(stream),
        sequence,
        stored_at_us,
        subject: header(SUBJECT_HEADER).unwrap_or_default(),
        schema: header(SCHEMA_HEADER),
        error: header(ERROR_HEADER).unwrap_or_default(),
        cut_from_bytes: header(CUT_HEADER).and_then(|bytes| bytes.parse().ok()),
        dlq_sequence: message.sequence,
        at_us: message.stored_at_us,
        payload: message.payload,
    })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn a_letter_fits_whatever_the_error_and_payload_are() {
        let message = StreamMessage {
            subject: "evm.x.log".to_owned(),
            schema: None,
            headers: None,
            payload: Bytes::from(vec![0; 1 << 20]),
            sequence: 1,
            stored_at_us: 2,
            remaining: 0,
        };
        let letter = letter("dlq.a.EVM.1.2", &message, &"ü\n".repeat(9_000), 1 << 20);
        assert!(crate::publish::messages::check_size(&letter, 1 << 20).is_ok());
        assert!(letter.headers.iter().all(|(_, value)| !value.contains('\n')));
        assert!(letter.headers.contains(&(CUT_HEADER.to_owned(), (1 << 20).to_string())));
    }
}
