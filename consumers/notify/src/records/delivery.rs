use anyhow::Context as _;
use bytes::Bytes;
use crypto_intel_nats::{Nats, OutMessage, PublishError, StreamMessage, dead_letter};
use crypto_intel_schemas::{Alert, Delivery, DeliveryState, Event, Notification, Stream, subjects};
use crypto_intel_service::{RecordingRetry, Stopped, now_us};

use crate::render::Words;

/// Name of this role's consumers, also in dead letters.
pub(crate) const CONSUMER: &str = "notify";
/// Stream of messages that are not sent yet.
pub(crate) const STREAM: &str = Stream::Outbox.name();
const TRACE_HEADER: &str = "traceparent";

/// Id of the message about one state of an alert for one destination: the same over every redelivery,
/// restart and replay.
#[must_use]
pub fn delivery_id(alert: &Alert, destination: &str) -> String {
    format!("{}:{}:{}:{destination}", alert.alert, alert.state.as_str(), alert.n)
}

/// The message for a destination. The same alert gives the same bytes.
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

/// The same message for the fallback of a destination. Its age starts now, and `line` says where it comes from.
pub(crate) fn handed_over(
    notification: &Notification,
    fallback: &str,
    line: String,
) -> Notification {
    let mut alert = notification.alert.clone();
    alert.lines.push(line);
    Notification {
        id: delivery_id(&alert, fallback),
        observed_at_us: now_us(),
        destination: fallback.to_owned(),
        alert,
        ..notification.clone()
    }
}

/// The same message once more, because a person wants it sent again.
pub(crate) fn sent_again(
    alert: &Alert,
    destination: &str,
    letter: u64,
    now_us: i64,
    words: &Words,
) -> Notification {
    let mut first = notification(alert, destination);
    first.alert.lines.push(words.sent_again.to_owned());
    // A message ends once: what is sent again is a new message.
    Notification { id: format!("{}:again:{letter}", first.id), observed_at_us: now_us, ..first }
}

/// What ends the id of a message that says only that someone takes care of an alert.
const ACKNOWLEDGED: &str = ":acknowledged";

/// For a service in which an alert is an incident: someone takes care of it.
pub(crate) fn acknowledgement(alert: &Alert, destination: &str, now_us: i64) -> Notification {
    let first = notification(alert, destination);
    Notification { id: format!("{}{ACKNOWLEDGED}", first.id), observed_at_us: now_us, ..first }
}

pub(crate) fn is_acknowledgement(notification: &Notification) -> bool {
    notification.id.ends_with(ACKNOWLEDGED)
}

/// Since when a message has been waiting, for its age; 0 = unknown.
pub(crate) fn waits_since_us(notification: &Notification) -> i64 {
    let alert = &notification.alert;
    // Handed over by another destination or by a person: its age starts then.
    if notification.observed_at_us > alert.observed_at_us {
        notification.observed_at_us
    } else if alert.seen_at_us > 0 {
        alert.seen_at_us
    } else {
        alert.observed_at_us
    }
}

/// How a message ended.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Ending {
    pub(crate) state: DeliveryState,
    pub(crate) attempts: u32,
    pub(crate) message_id: Option<String>,
    pub(crate) error: Option<String>,
    pub(crate) done_at_us: i64,
}

impl Ending {
    /// Without an attempt.
    pub(crate) fn dead(why: &str) -> Self {
        Self {
            state: DeliveryState::Dead,
            attempts: 0,
            message_id: None,
            error: Some(why.to_owned()),
            done_at_us: now_us(),
        }
    }
}

pub(crate) fn delivery(notification: &Notification, channel: &str, ending: Ending) -> Delivery {
    let alert = &notification.alert;
    Delivery {
        id: format!("{}:done", notification.id),
        event_at_us: ending.done_at_us,
        observed_at_us: ending.done_at_us,
        delivery: notification.id.clone(),
        destination: notification.destination.clone(),
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

/// Publishes an event. Its id is the message id: a copy within the stream's window is not stored, and
/// the answer is `false`.
///
/// # Errors
/// When stopped first; inside, when the message can never be published, such as one that is too large.
pub(crate) async fn publish(
    nats: &Nats,
    event: Event,
    trace: Option<&str>,
    retry: &RecordingRetry,
) -> Result<Result<bool, PublishError>, Stopped> {
    let subject = subjects::of(&event);
    let mut message = OutMessage::new(subject, Bytes::from(event.encode()))
        .schema(event.kind().schema())
        .message_id(event.id());
    if let Some(trace) = trace {
        message = message.header(TRACE_HEADER, trace);
    }
    let what = format!("publish on {}", message.subject);
    retry.run(&what, async || nats.publish(message.clone()).await.map(|ack| !ack.duplicate)).await
}

pub(crate) fn trace_of(message: &StreamMessage) -> Option<&str> {
    message.header(TRACE_HEADER)
}

/// Publishes a message that can never be processed as a dead letter.
///
/// # Errors
/// When stopped first, or when the dead letter can never be published.
pub(crate) async fn publish_dead_letter(
    nats: &Nats,
    stream: &str,
    message: &StreamMessage,
    error: &str,
    retry: &RecordingRetry,
) -> anyhow::Result<()> {
    retry
        .run("publish dead letter", || dead_letter(nats, CONSUMER, stream, message, error))
        .await?
        .context("publish a dead letter")
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
    fn a_message_that_is_handed_over_is_new_there_and_says_where_it_comes_from() {
        let alert = Alert { seen_at_us: 5, observed_at_us: 7, ..Alert::empty() };
        let first = notification(&alert, "ops");
        assert_eq!(waits_since_us(&first), 5);
        let second = handed_over(&first, "desk", "for ops, which takes nothing".to_owned());
        assert!(waits_since_us(&second) > 7);
        assert_eq!(second.alert.lines, ["for ops, which takes nothing"]);
        assert_eq!(second.id, notification(&alert, "desk").id, "sent once, by whatever route");
    }

    #[test]
    fn a_message_and_its_result_never_share_an_id() {
        let alert = Alert { alert: "k".into(), ..Alert::empty() };
        let done = delivery(&notification(&alert, "ops"), "telegram", Ending::dead("gone"));
        assert_ne!(done.id, notification(&alert, "ops").id);
        assert_eq!(done.delivery, notification(&alert, "ops").id);
    }
}
