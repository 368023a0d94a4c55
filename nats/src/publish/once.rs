use async_nats::header;

use crate::client::api::Nats;
use crate::error::PublishError;
use crate::message::{OutMessage, StreamMessage};

/// "maximum messages per subject exceeded", and the same code for a stream that is full.
const REFUSED_AS_TOO_MANY: u64 = 10_077;

/// What became of a message that its stream holds at most once.
#[derive(Debug, Clone)]
pub enum PublishedOnce {
    /// It is new.
    New,
    /// The stream has it already: what it holds, or nothing where it knew the message's id.
    Known(Option<Box<StreamMessage>>),
}

impl Nats {
    /// Publishes a message to a stream of one message per subject (`discard_new_per_subject`) and waits until it is on
    /// disk. What the stream holds already is no error: by its message id where it has one, else by its subject.
    ///
    /// # Errors
    /// See [`PublishError`]. `Full` where the stream refuses it and does not hold it: it is full, or the subject has
    /// another message. `UnknownOutcome` also where the stream cannot be asked; it is safe to try again.
    pub async fn publish_once(
        &self,
        stream: &str,
        message: OutMessage,
    ) -> Result<PublishedOnce, PublishError> {
        let (subject, id) = (message.subject.clone(), message.message_id.clone());
        let refused = match self.publish(message).await {
            Ok(ack) if ack.duplicate => return Ok(PublishedOnce::Known(None)),
            Ok(_) => return Ok(PublishedOnce::New),
            Err(refused @ PublishError::Full { code: REFUSED_AS_TOO_MANY, .. }) => refused,
            Err(error) => return Err(error),
        };
        let held = self
            .last_on_subject(stream, &subject)
            .await
            .map_err(|error| PublishError::UnknownOutcome { reason: error.to_string() })?;
        let is_same = |held: &StreamMessage| {
            id.as_deref().is_none_or(|id| held.header(header::NATS_MESSAGE_ID.as_ref()) == Some(id))
        };
        match held.filter(is_same) {
            Some(held) => Ok(PublishedOnce::Known(Some(Box::new(held)))),
            None => Err(refused),
        }
    }
}
