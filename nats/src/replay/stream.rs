use std::{borrow::Cow, time::Duration};

use crypto_intel_service::{Backoff, Retryable as _};
use serde_json::{Map, Value};

use super::{
    ORIGINAL_REMAINING_HEADER, ORIGINAL_SEQUENCE_HEADER, ORIGINAL_STREAM_HEADER,
    ORIGINAL_TIME_HEADER, ReplayError, ReplayTarget, target::Found,
};
use crate::client::api::Nats;
use crate::error::{NatsError, PublishError};
use crate::message::{
    Batch, CONTENT_TYPE_HEADER, Fence, OutMessage, Position, SCHEMA_HEADER, StreamMessage,
    parse_time_us,
};
use crate::reader::range::{StreamRange, time_text};

/// A batch is one sync of the server's disk: large enough for that, below the default limit of 1,000.
const BATCH_MESSAGES: usize = 500;
const BATCH_BYTES: usize = 4 << 20;
/// How often the same batch is tried before its user is asked.
const ATTEMPTS: usize = 10;

/// The stream of one replay. It knows how far the replay came by its own last message.
#[derive(Debug)]
pub struct ReplayStream {
    nats: Nats,
    target: ReplayTarget,
    range: StreamRange,
    /// Sequence of its last message here; 0 = none yet.
    last_sequence: u64,
    /// Its last message's place in the original stream.
    last_original: Original,
}

/// The place of an event in the original stream.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
struct Original {
    /// Of its message; sequence 0 = none yet.
    position: Position,
    /// How many events of that message follow it.
    remaining: u32,
}

impl Original {
    fn of(message: &StreamMessage) -> Self {
        Self { position: message.position(), remaining: message.remaining }
    }

    /// Whether an event is this one, or comes before it.
    fn covers(&self, message: &StreamMessage) -> bool {
        let own = self.position.sequence;
        message.sequence < own || message.sequence == own && message.remaining >= self.remaining
    }
}

impl ReplayStream {
    /// The stream of this replay as an earlier run left it; `None` when there is none. Limits follow the target.
    ///
    /// # Errors
    /// When it holds another replay, or does not know any more how far it came.
    pub async fn find(nats: &Nats, target: &ReplayTarget) -> Result<Option<Self>, ReplayError> {
        let name = target.stream();
        let config = match nats.stream_info::<Value>(&name).await {
            Ok(mut info) => match info["config"].take() {
                Value::Object(config) => config,
                _ => Map::new(),
            },
            Err(NatsError::NoStream { .. }) => return Ok(None),
            Err(error) => return Err(error.into()),
        };
        let found = match target.read(&config) {
            Some(found) if found.what == target.what => found,
            other => {
                let found =
                    other.map_or("not one of `crypto-intel replay`".to_owned(), |it| it.what);
                return Err(ReplayError::Other { stream: name, found });
            }
        };
        adapt(nats, target, config, &found).await?;
        let mut stream = Self {
            nats: nats.clone(),
            target: target.clone(),
            range: found.range,
            last_sequence: 0,
            last_original: Original::default(),
        };
        stream.look().await?;
        if stream.last_sequence == 0 && nats.stream_state(&name).await?.last_sequence > 0 {
            return Err(ReplayError::Emptied { stream: name });
        }
        Ok(Some(stream))
    }

    /// Makes the stream, empty, for a replay of this range.
    ///
    /// # Errors
    /// When the server refuses, for instance because it has too little room.
    pub async fn create(
        nats: &Nats,
        target: &ReplayTarget,
        range: StreamRange,
    ) -> Result<Self, ReplayError> {
        let subject = format!("STREAM.CREATE.{}", target.stream());
        nats.api::<Value>(&subject, &target.config(range)).await?;
        let (nats, target) = (nats.clone(), target.clone());
        Ok(Self { nats, target, range, last_sequence: 0, last_original: Original::default() })
    }

    /// Deletes the stream with all it holds, whatever replay that was; harmless when there is none.
    ///
    /// # Errors
    /// When it is not a stream of this prefix, or the server refuses.
    pub async fn delete(nats: &Nats, target: &ReplayTarget) -> Result<(), ReplayError> {
        let name = target.stream();
        let info = match nats.stream_info::<Value>(&name).await {
            Ok(info) => info,
            Err(NatsError::NoStream { .. }) => return Ok(()),
            Err(error) => return Err(error.into()),
        };
        if info["config"].as_object().and_then(|config| target.read(config)).is_none() {
            let found = "not one of `crypto-intel replay`".to_owned();
            return Err(ReplayError::Other { stream: name, found });
        }
        nats.api::<Value>(&format!("STREAM.DELETE.{name}"), &Value::Null).await?;
        Ok(())
    }

    /// Name of the stream.
    #[must_use]
    pub fn name(&self) -> String {
        self.target.stream()
    }

    /// What is replayed, as it was fixed when the stream was made.
    #[must_use]
    pub fn range(&self) -> StreamRange {
        self.range
    }

    /// Where reading the original stream goes on: after the last message that is stored here whole; sequence 0 = none yet.
    #[must_use]
    pub fn last_original(&self) -> Position {
        let Original { position, remaining } = self.last_original;
        match remaining {
            0 => position,
            _ => Position { sequence: position.sequence - 1, stored_at_us: 0 },
        }
    }

    /// Stores messages in order, each once: what is known to be stored is left out. Returns how many were new.
    ///
    /// # Errors
    /// When the stream is full, or after many attempts. What was stored before stays, and the next run goes on there.
    pub async fn publish(
        &mut self,
        original: &str,
        messages: &[StreamMessage],
    ) -> Result<u64, ReplayError> {
        let known = messages.partition_point(|message| self.last_original.covers(message));
        let mut rest = &messages[known..];
        while !rest.is_empty() {
            let (batch, tail) = rest.split_at(batch_length(rest));
            self.store(original, batch).await?;
            rest = tail;
        }
        Ok((messages.len() - known) as u64)
    }

    /// One atomic batch behind a fence: however often it is tried, it is stored once.
    async fn store(&mut self, original: &str, batch: &[StreamMessage]) -> Result<(), ReplayError> {
        let end = batch.last().map(Original::of).unwrap_or_default();
        let backoff = Backoff { first: Duration::from_millis(100), ..Backoff::default() };
        let mut last_error = PublishError::Empty;
        for delay in backoff.delays().take(ATTEMPTS) {
            let fence = Fence { filter: self.target.subjects(), last_sequence: self.last_sequence };
            let messages = batch.iter().map(|message| self.copy_of(original, message)).collect();
            match self.nats.publish_batch(Batch { messages, fence: Some(fence) }).await {
                Ok(ack) => {
                    (self.last_sequence, self.last_original) = (ack.last_sequence, end);
                    return Ok(());
                }
                Err(PublishError::WrongLastSequence { .. }) => {
                    let before = self.last_sequence;
                    self.look().await?;
                    // An own attempt whose answer was lost.
                    if self.last_original == end {
                        return Ok(());
                    }
                    if self.last_sequence != before {
                        return Err(ReplayError::Raced { stream: self.name() });
                    }
                }
                Err(error @ PublishError::Full { .. }) => {
                    return Err(ReplayError::Publish { stream: self.name(), source: error });
                }
                // The fence refuses the next attempt where this one was stored.
                Err(error) if error.is_retryable() => last_error = error,
                Err(error) => {
                    return Err(ReplayError::Publish { stream: self.name(), source: error });
                }
            }
            tokio::time::sleep(delay).await;
        }
        Err(ReplayError::Publish { stream: self.name(), source: last_error })
    }

    /// Reads how far the replay came.
    async fn look(&mut self) -> Result<(), ReplayError> {
        let last = self.nats.last_on_subject(&self.name(), &self.target.subjects()).await?;
        let original = last.as_ref().and_then(original_of);
        (self.last_sequence, self.last_original) = match (last, original) {
            (None, _) => (0, Original::default()),
            (Some(message), Some(original)) => (message.sequence, original),
            (Some(_), None) => return Err(ReplayError::Raced { stream: self.name() }),
        };
        Ok(())
    }

    fn copy_of(&self, original: &str, message: &StreamMessage) -> OutMessage {
        let headers = message.headers.iter().flat_map(async_nats::HeaderMap::iter);
        let kept = headers
            .map(|(name, values)| (name.to_string(), values))
            // Fences and batches of the original would be obeyed again.
            .filter(|(name, _)| !name.to_ascii_lowercase().starts_with("nats-"))
            .filter(|(name, _)| name != SCHEMA_HEADER && name != CONTENT_TYPE_HEADER)
            .filter_map(|(name, values)| Some((name, values.first()?.as_str().to_owned())));
        let mut headers: Vec<(String, String)> = kept.collect();
        headers.extend([
            (ORIGINAL_STREAM_HEADER.to_owned(), original.to_owned()),
            (ORIGINAL_SEQUENCE_HEADER.to_owned(), message.sequence.to_string()),
            (ORIGINAL_TIME_HEADER.to_owned(), time_text(message.stored_at_us)),
        ]);
        if message.remaining > 0 {
            let remaining = message.remaining.to_string();
            headers.push((ORIGINAL_REMAINING_HEADER.to_owned(), remaining));
        }
        OutMessage {
            subject: format!("{}.{}", self.target.prefix, message.subject),
            schema: message.schema.clone().map(Cow::Owned),
            payload: message.payload.clone(),
            message_id: None,
            headers,
        }
    }
}

/// Where a copy was read.
fn original_of(copy: &StreamMessage) -> Option<Original> {
    let position = Position {
        sequence: copy.header(ORIGINAL_SEQUENCE_HEADER)?.parse().ok()?,
        stored_at_us: parse_time_us(copy.header(ORIGINAL_TIME_HEADER)?)?,
    };
    let remaining =
        copy.header(ORIGINAL_REMAINING_HEADER).map_or(Some(0), |text| text.parse().ok())?;
    Some(Original { position, remaining })
}

/// How many messages the next batch takes: at least one.
fn batch_length(messages: &[StreamMessage]) -> usize {
    let mut bytes = 0;
    let fits = messages.iter().take(BATCH_MESSAGES).take_while(|message| {
        bytes += message.payload.len();
        bytes <= BATCH_BYTES
    });
    fits.count().max(1)
}

/// Gives the stream the target's limits where they changed: a full one is made larger that way.
async fn adapt(
    nats: &Nats,
    target: &ReplayTarget,
    mut config: Map<String, Value>,
    found: &Found,
) -> Result<(), ReplayError> {
    if (found.max_bytes, found.max_age_seconds) == (target.max_bytes, target.max_age_seconds) {
        return Ok(());
    }
    let wanted = target.config(found.range);
    for key in ["max_bytes", "max_age"] {
        config.insert(key.to_owned(), wanted[key].clone());
    }
    let subject = format!("STREAM.UPDATE.{}", target.stream());
    nats.api::<Value>(&subject, &Value::Object(config)).await?;
    Ok(())
}
