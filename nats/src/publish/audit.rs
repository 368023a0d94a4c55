use std::time::Duration;

use crypto_intel_schemas::{Audit, Event, subjects};

use crate::client::api::Nats;
use crate::error::PublishError;
use crate::message::OutMessage;

const MAX_TRIES: u32 = 3;
const TRY_AGAIN: Duration = Duration::from_millis(200);

/// Writes a change into the stream AUDIT and waits until it is on disk. Its id makes it one message, however often it is sent.
///
/// # Errors
/// When it was not acknowledged after some tries.
pub async fn write_audit(nats: &Nats, audit: &Audit) -> Result<(), PublishError> {
    let event = Event::from(audit.clone());
    let message = OutMessage::new(subjects::of(&event), event.encode())
        .schema(event.kind().schema())
        .message_id(event.id());
    let mut tries = 1;
    loop {
        match nats.publish(message.clone()).await {
            Ok(_) => return Ok(()),
            Err(error) if tries == MAX_TRIES => return Err(error),
            Err(_) => tokio::time::sleep(TRY_AGAIN * tries).await,
        }
        tries += 1;
    }
}
