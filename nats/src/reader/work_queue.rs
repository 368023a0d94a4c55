use std::collections::VecDeque;
use std::time::Duration;

use bytes::Bytes;
use crypto_intel_service::Backoff;
use serde_json::{Map, Value, json};

use crate::client::api::Nats;
use crate::error::{NatsError, ReaderError};
use crate::message::StreamMessage;
use crate::reader::{Gone, Item, PullSession, PullSettings};

const NO_SUCH_CONSUMER: u64 = 10_014;

/// How a [`WorkQueue`] hands out its messages. The consumer is created or changed to this when it is opened.
#[derive(Debug, Clone)]
pub struct WorkQueueOptions {
    /// Subject filter; empty = everything in the stream.
    pub filter: String,
    /// A message that was neither acknowledged nor reported in progress for this long is redelivered.
    pub ack_wait: Duration,
    /// How many messages may be unacknowledged at once, over all instances.
    pub max_ack_pending: u32,
    /// How many messages to fetch ahead; they count as delivered. Small where processing is slow.
    pub prefetch: usize,
}

impl Default for WorkQueueOptions {
    fn default() -> Self {
        Self {
            filter: String::new(),
            ack_wait: Duration::from_secs(30),
            max_ack_pending: 1_000,
            prefetch: 64,
        }
    }
}

/// A durable consumer with explicit acknowledgements: every message is redelivered until it is acknowledged.
#[derive(Debug)]
pub struct WorkQueue {
    nats: Nats,
    stream: String,
    durable: String,
    options: WorkQueueOptions,
    session: Option<PullSession>,
    ready: VecDeque<Work>,
    closed: bool,
}

/// A message to be processed. Dropped without an answer it is redelivered after `ack_wait`.
#[derive(Debug)]
pub struct Work {
    /// The message.
    pub message: StreamMessage,
    /// How often it was delivered, including this time.
    pub delivered: u64,
    /// How many messages waited behind it when it was delivered.
    pub pending: u64,
    nats: Nats,
    reply: String,
}

impl WorkQueue {
    /// Creates or updates the durable consumer and starts reading.
    ///
    /// # Errors
    /// Fails when the stream does not exist, does not answer, or has a consumer of this name and another kind.
    pub async fn open(
        nats: &Nats,
        stream: &str,
        durable: &str,
        options: WorkQueueOptions,
    ) -> Result<Self, ReaderError> {
        let mut queue = Self {
            nats: nats.clone(),
            stream: stream.to_owned(),
            durable: durable.to_owned(),
            options,
            session: None,
            ready: VecDeque::new(),
            closed: false,
        };
        queue
            .build()
            .await
            .map_err(|source| ReaderError::Open { stream: stream.to_owned(), source })?;
        Ok(queue)
    }

    /// The next message. Cancel-safe. It does not end on failures: the consumer is recreated.
    ///
    /// # Errors
    /// Only when the client was closed.
    pub async fn next(&mut self) -> Result<Work, ReaderError> {
        loop {
            if let Some(work) = self.ready.pop_front() {
                return Ok(work);
            }
            if self.closed {
                return Err(ReaderError::Closed);
            }
            if self.session.is_none() {
                self.rebuild().await?;
            }
            let Some(session) = self.session.as_mut() else { continue };
            match session.next().await {
                Item::Nothing | Item::Idle { .. } => {}
                Item::Message { message, delivery, reply } => self.ready.push_back(Work {
                    message,
                    delivered: delivery.delivered,
                    pending: delivery.pending,
                    nats: self.nats.clone(),
                    reply,
                }),
                Item::Gone(Gone::Closed) => self.closed = true,
                Item::Gone(reason) => {
                    if reason != Gone::Reconnected {
                        tracing::warn!(stream = %self.stream, consumer = %self.durable, ?reason, "lost the consumer, opening it again");
                        tokio::time::sleep(Duration::from_millis(100)).await;
                    }
                    self.session = None;
                }
            }
        }
    }

    /// How many messages wait, including delivered ones.
    ///
    /// # Errors
    /// Fails when the server does not answer.
    pub async fn waiting(&self) -> Result<u64, NatsError> {
        let info: Value = self
            .nats
            .api(&format!("CONSUMER.INFO.{}.{}", self.stream, self.durable), &Value::Null)
            .await?;
        let count = |field: &str| info.get(field).and_then(Value::as_u64).unwrap_or(0);
        Ok(count("num_pending") + count("num_ack_pending"))
    }

    async fn rebuild(&mut self) -> Result<(), ReaderError> {
        let backoff = Backoff { first: Duration::from_millis(50), longest: Duration::from_secs(5) };
        let mut delays = backoff.delays();
        loop {
            match self.build().await {
                Ok(()) => return Ok(()),
                Err(NatsError::Closed) => {
                    self.closed = true;
                    return Err(ReaderError::Closed);
                }
                Err(error) => {
                    let delay = delays.next().unwrap_or(backoff.longest);
                    tracing::warn!(stream = %self.stream, consumer = %self.durable, error = %format!("{error:#}"), delay_ms = delay.as_millis() as u64, "cannot open the consumer, trying again");
                    tokio::time::sleep(delay).await;
                }
            }
        }
    }

    async fn build(&mut self) -> Result<(), NatsError> {
        self.nats.stream_info::<Value>(&self.stream).await?;
        let mut config = Map::new();
        let durable = &self.durable;
        config.insert("durable_name".to_owned(), json!(durable));
        config.insert("deliver_policy".to_owned(), json!("all"));
        config.insert("ack_policy".to_owned(), json!("explicit"));
        config.insert("replay_policy".to_owned(), json!("instant"));
        config.insert("ack_wait".to_owned(), json!(self.options.ack_wait.as_nanos() as u64));
        config.insert("max_deliver".to_owned(), json!(-1));
        config.insert("max_ack_pending".to_owned(), json!(self.options.max_ack_pending));
        let mut subject = format!("CONSUMER.CREATE.{}.{durable}", self.stream);
        if !self.options.filter.is_empty() {
            subject = format!("{subject}.{}", self.options.filter);
            config.insert("filter_subject".to_owned(), json!(self.options.filter));
        }
        self.declare(&subject, config).await?;
        let settings = PullSettings {
            max_messages: self.options.prefetch.max(1),
            max_bytes: (8 << 20_usize).max(4 * self.nats.client().max_payload()),
        };
        self.session =
            Some(PullSession::open(&self.nats, &self.stream, &self.durable, settings).await?);
        Ok(())
    }

    /// Makes the consumer, or changes what differs. What its definition has beyond our options stays.
    async fn declare(&self, subject: &str, wanted: Map<String, Value>) -> Result<(), NatsError> {
        let info = format!("CONSUMER.INFO.{}.{}", self.stream, self.durable);
        let config = match self.nats.api::<Value>(&info, &Value::Null).await {
            Ok(mut info) => {
                let mut found = match info.get_mut("config").map(Value::take) {
                    Some(Value::Object(found)) => found,
                    _ => Map::new(),
                };
                if wanted.iter().all(|(field, value)| found.get(field) == Some(value)) {
                    return Ok(());
                }
                found.extend(wanted);
                found
            }
            Err(NatsError::Api { code: NO_SUCH_CONSUMER, .. }) => wanted,
            Err(error) => return Err(error),
        };
        let body = json!({ "stream_name": self.stream, "config": Value::Object(config) });
        self.nats.api::<Value>(subject, &body).await.map(|_| ())
    }
}

impl Work {
    /// Done. Waits until the server has it; if that fails the message comes again.
    ///
    /// # Errors
    /// Fails when the server does not answer.
    pub async fn ack(&self) -> Result<(), NatsError> {
        self.answer("+ACK".to_owned()).await
    }

    /// Not now: the message comes again after `delay`.
    ///
    /// # Errors
    /// Fails when the server does not answer.
    pub async fn retry_after(&self, delay: Duration) -> Result<(), NatsError> {
        // Without a delay it would come back at once, and spin.
        let delay = delay.max(Duration::from_millis(1)).as_nanos() as u64;
        self.answer(format!("-NAK {}", json!({ "delay": delay }))).await
    }

    /// Still in progress: the time until redelivery restarts.
    ///
    /// # Errors
    /// Fails when the server does not answer.
    pub async fn in_progress(&self) -> Result<(), NatsError> {
        self.answer("+WPI".to_owned()).await
    }

    /// Never again, e.g. after it became a dead letter.
    ///
    /// # Errors
    /// Fails when the server does not answer.
    pub async fn term(&self) -> Result<(), NatsError> {
        self.answer("+TERM".to_owned()).await
    }

    async fn answer(&self, text: String) -> Result<(), NatsError> {
        self.nats.request(&self.reply, None, Bytes::from(text)).await.map(|_| ())
    }
}
