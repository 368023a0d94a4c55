use crypto_intel_nats::{Batch, Nats, OutMessage, PublishError};
use crypto_intel_schemas::{Event, Kind, Stream, subjects};
use crypto_intel_service::retry;

/// Header under which JetStream keeps a message's id.
const MESSAGE_ID: &str = "Nats-Msg-Id";

/// How an answer got into the stream.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Published {
    /// By us, now.
    Stored,
    /// Another instance, or an attempt whose acknowledgement was lost, had published it.
    Before,
}

/// The stream that takes events of a kind that can be polled.
fn stream_of(kind: Kind) -> &'static str {
    kind.streams().first().map_or(Stream::Market, |(stream, _)| *stream).name()
}

/// Publishes the events of one answer as one atomic batch, retrying without limit.
/// `message_id` names the answer; the stream takes it once.
///
/// # Errors
/// A refusal that retrying does not change.
pub(crate) async fn publish(
    nats: &Nats,
    message_id: &str,
    events: &[Event],
) -> Result<Published, PublishError> {
    let mut messages: Vec<OutMessage> = events
        .iter()
        .map(|event| {
            OutMessage::new(subjects::of(event), event.encode()).schema(event.kind().schema())
        })
        .collect();
    let Some(last) = messages.last_mut() else { return Ok(Published::Before) };
    last.message_id = Some(message_id.to_owned());
    let last_subject = last.subject.clone();
    let stream = stream_of(events.last().map_or(Kind::Price, Event::kind));
    let attempt = || async {
        let batch = Batch { messages: messages.clone(), fence: None };
        match nats.publish_batch(batch).await {
            Ok(_) => Ok(Published::Stored),
            Err(PublishError::DuplicateId) => Ok(Published::Before),
            // The duplicate window may end before the next attempt: look into the stream.
            Err(error @ PublishError::UnknownOutcome { .. }) => {
                match holds(nats, stream, &last_subject, message_id).await {
                    true => Ok(Published::Before),
                    false => Err(error),
                }
            }
            Err(error) => Err(error),
        }
    };
    retry("publish polled events", attempt).await
}

/// Whether the newest message on the subject is the last one of this answer.
async fn holds(nats: &Nats, stream: &str, subject: &str, message_id: &str) -> bool {
    let newest = nats.last_on_subject(stream, subject).await;
    newest.is_ok_and(|message| {
        message.is_some_and(|message| message.header(MESSAGE_ID) == Some(message_id))
    })
}
