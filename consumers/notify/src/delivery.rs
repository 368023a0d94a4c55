use bytes::Bytes;
use crypto_intel_nats::{Nats, OutMessage, PublishError, StreamMessage, dead_letter};
use crypto_intel_schemas::{Alert, Delivery, DeliveryState, Event, Notification, subjects};
use crypto_intel_service::now_us;
use tokio_util::sync::CancellationToken;

use crate::retry::keep_trying;

/// The name under which this role reads and leaves dead letters.
pub(crate) const CONSUMER: &str = "notify";
/// The stream of messages that are not sent yet.
pub(crate) const STREAM: &str = "OUTBOX";
const TRACE_HEADER: &str = "traceparent";

/// Id of the message that tells one state of an alert to one destination: the same over every
/// redelivery, restart and replay.
#[must_use]
pub fn delivery_id(alert: &Alert, destination: &str) -> String {
    format!("{}:{}:{}:{destination}", alert.alert, alert.state.as_str(), alert.n)
}

/// The message that is to be sent to a destination. The same alert makes the same bytes.
pub(crate) fn notification(alert: &Alert, destination: &str) -> Notification {
    Notification {
        id: delivery_id(alert, destination),
        event_at_us: alert.event_at_us,
        observed_at_us: alert.observed_at_us,
        destination: destination.to_owned(),
        alert: alert.clone(),
        ..Notification::empty()
    }
}

/// What became of a message: everything but who, when and which.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Ending {
    pub(crate) state: DeliveryState,
    pub(crate) attempts: u32,
    pub(crate) message_id: Option<String>,
    pub(crate) error: Option<String>,
    pub(crate) done_at_us: i64,
}

impl Ending {
    pub(crate) fn dead(attempts: u32, why: &str) -> Self {
        Self::unsent(DeliveryState::Dead, attempts, why)
    }

    /// An ending without an answer of the service.
    pub(crate) fn unsent(state: DeliveryState, attempts: u32, why: &str) -> Self {
        let error = Some(why.to_owned());
        Self { state, attempts, message_id: None, error, done_at_us: now_us() }
    }
}

pub(crate) fn delivery(
    alert: &Alert,
    destination: &str,
    channel: &str,
    ending: Ending,
) -> Delivery {
    let id = delivery_id(alert, destination);
    Delivery {
        id: format!("{id}:done"),
        event_at_us: ending.done_at_us,
        observed_at_us: ending.done_at_us,
        delivery: id,
        destination: destination.to_owned(),
        channel: channel.to_owned(),
        alert: alert.alert.clone(),
        rule: alert.rule.clone(),
        severity: alert.severity,
        state: ending.state,
        attempts: ending.attempts,
        message_id: ending.message_id,
        error: ending.error,
        seen_at_us: alert.seen_at_us,
        done_at_us: ending.done_at_us,
        ..Delivery::empty()
    }
}

/// Publishes and tries again for ever; `None` when told to stop first. The event's id is the
/// message id, so that twice within the stream's window is once.
///
/// # Errors
/// When the message can never be published, such as one that is too large.
pub(crate) async fn publish(
    nats: &Nats,
    event: Event,
    trace: Option<&str>,
    shutdown: &CancellationToken,
) -> Option<Result<(), PublishError>> {
    // A message to be sent and its result are told apart: both go to one stream.
    let mut message = OutMessage::new(subjects::of(&event), Bytes::from(event.encode()))
        .schema(event.kind().schema())
        .message_id(event.id());
    if let Some(trace) = trace {
        message = message.header(TRACE_HEADER, trace);
    }
    keep_trying("publish on NOTIFY", shutdown, || async {
        nats.publish(message.clone()).await.map(|_| ())
    })
    .await
}

pub(crate) fn trace_of(message: &StreamMessage) -> Option<&str> {
    message.header(TRACE_HEADER)
}

/// Keeps what can never be handled; `None` when told to stop first.
pub(crate) async fn bury(
    nats: &Nats,
    stream: &str,
    message: &StreamMessage,
    error: &str,
    shutdown: &CancellationToken,
) -> Option<Result<(), PublishError>> {
    keep_trying("publish dead letter", shutdown, || {
        dead_letter(nats, CONSUMER, stream, message, error)
    })
    .await
}

#[cfg(test)]
mod tests {
    use crypto_intel_schemas::AlertState;

    use super::*;

    #[test]
    fn every_state_of_an_alert_is_a_message_of_its_own() {
        let fired = Alert { alert: "k".into(), n: 1, ..Alert::empty() };
        let corrected = Alert { state: AlertState::Corrected, n: 2, ..fired.clone() };
        assert_eq!(delivery_id(&fired, "ops"), "k:fired:1:ops");
        assert_eq!(delivery_id(&corrected, "ops"), "k:corrected:2:ops");
    }

    #[test]
    fn a_message_and_its_result_never_share_an_id() {
        let alert = Alert { alert: "k".into(), ..Alert::empty() };
        let done = delivery(&alert, "ops", "telegram", Ending::dead(0, "gone"));
        assert_ne!(done.id, notification(&alert, "ops").id);
        assert_eq!(done.delivery, notification(&alert, "ops").id);
    }
}
