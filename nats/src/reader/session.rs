use std::time::Duration;

use async_nats::{Message, StatusCode, Subscriber, header};
use bytes::Bytes;
use futures::{FutureExt as _, StreamExt as _};
use serde_json::json;
use tokio::time::Instant;

use crate::client::api::Nats;
use crate::client::refusals::Refused;
use crate::error::NatsError;
use crate::message::StreamMessage;
use crate::message::{Delivery, SCHEMA_HEADER};

const NEXT: &str = "$JS.API.CONSUMER.MSG.NEXT";
const PULL_EXPIRES: Duration = Duration::from_secs(30);
const HEARTBEAT: Duration = Duration::from_secs(5);
const MISSED_HEARTBEATS: u32 = 3;

/// How much a session asks for at a time.
#[derive(Debug, Clone, Copy)]
pub(crate) struct PullSettings {
    pub(crate) max_messages: usize,
    pub(crate) max_bytes: usize,
}

/// Pull requests on one consumer and their messages. Dropped and recreated after any failure.
///
/// It is ours rather than the client's because the client's own stream stands still for 15 s after a server restart
/// and cannot say without waiting what has arrived.
#[derive(Debug)]
pub(crate) struct PullSession {
    nats: Nats,
    stream: String,
    consumer: String,
    inbox: String,
    subscriber: Subscriber,
    settings: PullSettings,
    /// Messages asked for and not yet taken from the subscriber.
    outstanding: usize,
    refused: Refused,
    pub(crate) epoch: u64,
    silent_since: Option<Instant>,
}

/// What a session brings.
#[derive(Debug)]
pub(crate) enum Item {
    /// A message with its place in stream and consumer, and the subject that acknowledges it.
    Message { message: StreamMessage, delivery: Delivery, reply: String },
    /// Nothing to hand out.
    Nothing,
    /// Nothing left in the stream: how many messages the consumer has delivered, and the stream sequence up to
    /// which it has looked.
    Idle { delivered: u64, passed: u64 },
    /// The session is of no use any more.
    Gone(Gone),
}

/// Why a session ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Gone {
    /// The connection was re-established.
    Reconnected,
    /// No message and no heartbeat for too long.
    Silent,
    /// The server refuses to hand out anything to this user.
    Forbidden(String),
    /// The consumer is not there.
    ConsumerDeleted(String),
    /// The client is closed.
    Closed,
}

impl PullSession {
    pub(crate) async fn open(
        nats: &Nats,
        stream: &str,
        consumer: &str,
        settings: PullSettings,
    ) -> Result<Self, NatsError> {
        let epoch = *nats.connected().borrow();
        let inbox = nats.client().new_inbox();
        let subscriber =
            nats.client().subscribe(inbox.clone()).await.map_err(|_| NatsError::Closed)?;
        let mut session = Self {
            nats: nats.clone(),
            stream: stream.to_owned(),
            consumer: consumer.to_owned(),
            inbox,
            subscriber,
            settings,
            outstanding: 0,
            refused: nats.refused(Some(&format!("{NEXT}.{stream}.{consumer}"))),
            epoch,
            silent_since: None,
        };
        session.pull().await?;
        Ok(session)
    }

    /// Waits for the next item. Cancel-safe: an item that was received is returned.
    pub(crate) async fn next(&mut self) -> Item {
        if self.pull().await.is_err() {
            return Item::Gone(Gone::Closed);
        }
        // What is buffered comes first: it stays valid whatever happened to the connection.
        if let Some(item) = self.try_next() {
            return item;
        }
        let mut epoch = self.nats.connected();
        let changed = epoch.wait_for(|epoch| *epoch != self.epoch);
        let since = *self.silent_since.get_or_insert_with(Instant::now);
        let deadline = since + HEARTBEAT * MISSED_HEARTBEATS;
        let received = tokio::select! {
            biased;
            received = self.subscriber.next() => received,
            changed = changed => {
                return Item::Gone(if changed.is_ok() { Gone::Reconnected } else { Gone::Closed });
            }
            subject = self.refused.next() => {
                return Item::Gone(Gone::Forbidden(self.nats.forbidden(subject).to_string()));
            }
            () = tokio::time::sleep_until(deadline) => return Item::Gone(Gone::Silent),
        };
        match received {
            Some(message) => self.take(message),
            None => Item::Gone(Gone::Closed),
        }
    }

    /// What has arrived, without waiting.
    pub(crate) fn try_next(&mut self) -> Option<Item> {
        // Without `unconstrained` tokio's cooperative budget would make a full buffer look empty.
        let received = tokio::task::unconstrained(self.subscriber.next()).now_or_never()?;
        Some(match received {
            Some(message) => self.take(message),
            None => Item::Gone(Gone::Closed),
        })
    }

    /// Keeps up to `max_messages` under way: asks again as soon as half of them has been taken.
    async fn pull(&mut self) -> Result<(), NatsError> {
        let half = (self.settings.max_messages / 2).max(1);
        while self.outstanding + half <= self.settings.max_messages.max(half) {
            let body = json!({
                "batch": half,
                "max_bytes": self.settings.max_bytes / 2,
                "expires": PULL_EXPIRES.as_nanos() as u64,
                "idle_heartbeat": HEARTBEAT.as_nanos() as u64,
            });
            let subject = format!("{NEXT}.{}.{}", self.stream, self.consumer);
            let reply = self.inbox.clone();
            self.nats
                .client()
                .publish_with_reply(subject, reply, Bytes::from(body.to_string()))
                .await
                .map_err(|_| NatsError::Closed)?;
            self.outstanding += half;
        }
        Ok(())
    }

    fn take(&mut self, message: Message) -> Item {
        self.silent_since = None;
        let Some(status) = message.status else {
            return self.take_message(message);
        };
        let number = |name| message.headers.as_ref()?.get(name)?.as_str().parse::<u64>().ok();
        match status {
            StatusCode::IDLE_HEARTBEAT => {
                let delivered = number(header::NATS_LAST_CONSUMER).unwrap_or(0);
                let passed = number(header::NATS_LAST_STREAM).unwrap_or(0);
                Item::Idle { delivered, passed }
            }
            StatusCode::NO_RESPONDERS => {
                Item::Gone(Gone::ConsumerDeleted("no responder".to_owned()))
            }
            _ => self.take_status(status, &message),
        }
    }

    /// Ends of single pull requests: expired, or full by bytes. They say how much of the request is unused.
    fn take_status(&mut self, status: StatusCode, message: &Message) -> Item {
        let unused = message
            .headers
            .as_ref()
            .and_then(|headers| headers.get("Nats-Pending-Messages"))
            .and_then(|value| value.as_str().parse::<usize>().ok());
        let text = message.description.clone().unwrap_or_default();
        let ordinary = status == StatusCode::TIMEOUT
            || text.contains("MaxBytes")
            || text.eq_ignore_ascii_case("Batch Completed");
        match unused {
            Some(unused) if ordinary => {
                self.outstanding = self.outstanding.saturating_sub(unused);
                Item::Nothing
            }
            _ => Item::Gone(Gone::ConsumerDeleted(format!("{status} {text}"))),
        }
    }

    fn take_message(&mut self, message: Message) -> Item {
        self.outstanding = self.outstanding.saturating_sub(1);
        let Some(reply) = message.reply else {
            return Item::Nothing;
        };
        let Some(delivery) = Delivery::parse(&reply) else {
            return Item::Nothing;
        };
        let schema = message
            .headers
            .as_ref()
            .and_then(|headers| headers.get(SCHEMA_HEADER))
            .map(|schema| schema.as_str().to_owned());
        let message = StreamMessage {
            subject: message.subject.into_string(),
            schema,
            headers: message.headers,
            payload: message.payload,
            sequence: delivery.stream_sequence,
            stored_at_us: delivery.stored_at_us,
            remaining: 0,
        };
        Item::Message { message, delivery, reply: reply.into_string() }
    }
}
