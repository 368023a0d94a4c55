use std::time::Duration;

use crypto_intel_service::Backoff;
use serde::Deserialize;
use serde_json::{Map, Value, json};
use tokio::time::Instant;

use super::chunks::ChunkFilter;
use super::reconcile::{self, Known};
use super::{
    Gone, Item, Notice, PullSession, PullSettings, ReadBatch, ReaderOptions, ReaderTrouble, Start,
};
use crate::client::api::{Nats, StreamInfo};
use crate::client::connect::{SUBSCRIPTION_CAPACITY, subject_token};
use crate::error::{NatsError, ReaderError};
use crate::message::{Position, StreamMessage};
use crate::publish::messages::unique_id;

/// The server deletes a consumer without requests after this.
const INACTIVE_THRESHOLD: Duration = Duration::from_secs(30);
/// Gaps in the sequences are looked at this often at most: filters make them ordinary.
const GAP_CHECK_INTERVAL: Duration = Duration::from_secs(1);

/// Reads a stream in order and trusts only its own position.
///
/// Its consumer is ephemeral, unacknowledged and its own; whatever happens to it, to the connection or to the server,
/// it is recreated after the last message that was returned. A message that holds many events is handed out as these. Events
/// of the stream itself are reported as a [`Notice`].
#[derive(Debug)]
pub struct StreamReader {
    nats: Nats,
    options: ReaderOptions,
    filter: ChunkFilter,
    start: Start,
    position: Position,
    passed: u64,
    created_at_us: i64,
    consumer_sequence: u64,
    pending: u64,
    session: Option<PullSession>,
    consumer: Option<String>,
    notices: Vec<Notice>,
    gap_from: Option<u64>,
    gap_checked: Option<Instant>,
    failures: u32,
    trouble: ReaderTrouble,
    closed: bool,
}

#[derive(Deserialize)]
struct ConsumerInfo {
    #[serde(default)]
    num_pending: u64,
}

impl StreamReader {
    /// Makes the reader and its consumer.
    ///
    /// # Errors
    /// Fails when the stream does not exist or does not answer. Once open, such trouble is only waited for.
    pub async fn open(nats: &Nats, options: ReaderOptions) -> Result<Self, ReaderError> {
        let position = match options.start {
            Start::After(position) => position,
            Start::Sequence(sequence) => {
                Position { sequence: sequence.saturating_sub(1), stored_at_us: 0 }
            }
            Start::First | Start::New | Start::Time(_) => Position::default(),
        };
        let mut reader = Self {
            nats: nats.clone(),
            start: options.start,
            filter: ChunkFilter::new(&options),
            options,
            position,
            passed: 0,
            created_at_us: 0,
            consumer_sequence: 0,
            pending: 0,
            session: None,
            consumer: None,
            notices: Vec::new(),
            gap_from: None,
            gap_checked: None,
            failures: 0,
            trouble: ReaderTrouble::default(),
            closed: false,
        };
        reader.build().await.map_err(|source| ReaderError::Open {
            stream: reader.options.stream.clone(),
            source,
        })?;
        Ok(reader)
    }

    /// What has arrived: at least one message or notice, at most `max` messages, or those of one chunk more. Waits while
    /// there is nothing.
    ///
    /// Cancel-safe: nothing that was received is lost when the future is dropped.
    ///
    /// # Errors
    /// Only when the client was closed.
    pub async fn next(&mut self, max: usize) -> Result<ReadBatch, ReaderError> {
        loop {
            if let Some(batch) = self.step(max).await? {
                return Ok(batch);
            }
        }
    }

    /// As [`next`](Self::next), but `None` at the stream's present end instead of waiting there.
    ///
    /// # Errors
    /// Only when the client was closed.
    pub async fn next_until_end(&mut self, max: usize) -> Result<Option<ReadBatch>, ReaderError> {
        while self.pending > 0 || self.session.is_none() || !self.notices.is_empty() {
            if let Some(batch) = self.step(max).await? {
                return Ok(Some(batch));
            }
        }
        Ok(None)
    }

    /// One look at what comes; `None` when it was nothing to hand out.
    async fn step(&mut self, max: usize) -> Result<Option<ReadBatch>, ReaderError> {
        if self.closed {
            return Err(ReaderError::Closed);
        }
        if self.session.is_none() {
            self.rebuild().await?;
        }
        self.check_gap().await;
        if !self.notices.is_empty() {
            let notices = std::mem::take(&mut self.notices);
            return Ok(Some(ReadBatch { messages: Vec::new(), notices }));
        }
        let Some(session) = self.session.as_mut() else { return Ok(None) };
        let item = session.next().await;
        let mut messages = Vec::new();
        self.take(item, &mut messages);
        self.drain(max.max(1), &mut messages);
        if messages.is_empty() {
            return Ok(None);
        }
        Ok(Some(ReadBatch { messages, notices: Vec::new() }))
    }

    /// What is buffered now, at most `max` messages, without waiting.
    pub fn try_more(&mut self, max: usize) -> Vec<StreamMessage> {
        let mut messages = Vec::new();
        self.drain(max, &mut messages);
        messages
    }

    /// The last message handed out, or where the reader was started.
    #[must_use]
    pub fn position(&self) -> Position {
        self.position
    }

    /// How many matching messages the stream held after the last one handed out, when that one was delivered.
    #[must_use]
    pub fn pending(&self) -> u64 {
        self.pending
    }

    /// What keeps it from reading, also while [`next`](Self::next) waits.
    #[must_use]
    pub fn trouble(&self) -> ReaderTrouble {
        self.trouble.clone()
    }

    /// Reads again from after `position`, e.g. when what was handed out could not be applied.
    pub fn seek(&mut self, position: Position) {
        self.drop_session();
        self.start = Start::After(position);
        self.position = position;
        self.passed = 0;
        self.gap_from = None;
        self.notices.clear();
    }

    fn drain(&mut self, max: usize, messages: &mut Vec<StreamMessage>) {
        while messages.len() < max {
            let Some(item) = self.session.as_mut().and_then(PullSession::try_next) else { return };
            self.take(item, messages);
        }
    }

    fn take(&mut self, item: Item, messages: &mut Vec<StreamMessage>) {
        match item {
            Item::Nothing => {}
            Item::Idle { delivered, passed } => {
                if delivered > self.consumer_sequence {
                    self.read_dropped_again();
                    return;
                }
                self.failures = 0;
                // What was counted may be gone meanwhile.
                self.pending = 0;
                self.passed = self.passed.max(passed);
            }
            Item::Message { message, delivery, .. } => {
                if delivery.consumer_sequence != self.consumer_sequence + 1 {
                    self.read_dropped_again();
                    return;
                }
                self.consumer_sequence += 1;
                let expected = self.position.sequence.max(self.passed) + 1;
                if message.sequence > expected && self.gap_from.is_none() {
                    self.gap_from = Some(expected);
                }
                self.position = message.position();
                self.pending = delivery.pending;
                self.failures = 0;
                self.filter.unpack(message, messages);
            }
            Item::Gone(Gone::Closed) => {
                self.closed = true;
                self.drop_session();
            }
            Item::Gone(reason) => {
                if reason != Gone::Reconnected {
                    tracing::warn!(stream = %self.options.stream, reader = %self.options.name, ?reason, "reader lost its consumer, making a new one");
                }
                self.drop_session();
            }
        }
    }

    fn read_dropped_again(&mut self) {
        tracing::warn!(stream = %self.options.stream, reader = %self.options.name, "messages were dropped on the way, reading them again");
        self.drop_session();
    }

    /// A gap in the stream's sequences is ordinary with filters. It is a loss when the stream begins behind it.
    async fn check_gap(&mut self) {
        let Some(from) = self.gap_from else { return };
        if self.gap_checked.is_some_and(|checked| checked.elapsed() < GAP_CHECK_INTERVAL) {
            return;
        }
        if let Ok(state) = self.nats.stream_state(&self.options.stream).await {
            self.gap_from = None;
            self.gap_checked = Some(Instant::now());
            if let Some(Notice::LostRange { from, to }) = reconcile::lost(from, &state) {
                // What lies behind the position was read, or will be reported when the reader gets there.
                let to = to.min(self.position.sequence.saturating_sub(1));
                if from <= to {
                    self.notices.push(Notice::LostRange { from, to });
                }
            }
        }
    }

    async fn rebuild(&mut self) -> Result<(), ReaderError> {
        let backoff = Backoff { first: Duration::from_millis(50), longest: Duration::from_secs(5) };
        let mut delays = backoff.delays();
        if self.failures > 0 {
            // Built, yet gone at once: a consumer that is deleted again and again must not spin.
            tokio::time::sleep(delays.next().unwrap_or(backoff.longest) * self.failures.min(20))
                .await;
        }
        self.failures += 1;
        loop {
            match self.build().await {
                Ok(()) => return Ok(()),
                Err(NatsError::Closed) => {
                    self.closed = true;
                    return Err(ReaderError::Closed);
                }
                Err(error) => {
                    let delay = delays.next().unwrap_or(backoff.longest);
                    self.trouble.set(Some(format!("cannot read stream: {error:#}")));
                    tracing::warn!(stream = %self.options.stream, reader = %self.options.name, error = %format!("{error:#}"), delay_ms = delay.as_millis() as u64, "cannot read stream, trying again");
                    tokio::time::sleep(delay).await;
                }
            }
        }
    }

    async fn build(&mut self) -> Result<(), NatsError> {
        let stream = self.options.stream.clone();
        let state = self.nats.stream_info::<StreamInfo>(&stream).await?.into_state();
        if self.start == Start::New {
            // Made concrete once, so that a rebuild before the first message skips nothing.
            self.passed = state.last_sequence;
            self.start = Start::First;
        }
        let known = Known {
            position: self.position,
            passed: self.passed,
            created_at_us: self.created_at_us,
        };
        let plan = reconcile::plan(&self.nats, &stream, known, &state).await?;
        let consumer = format!("{}-{}", subject_token(&self.options.name), unique_id(&self.nats));
        let info = self.create_consumer(&consumer, plan.from).await?;
        let settings = PullSettings {
            max_messages: self.options.max_batch.clamp(2, SUBSCRIPTION_CAPACITY * 6 / 10),
            // A single message larger than the bound would never come.
            max_bytes: self.options.prefetch_bytes.max(4 * self.nats.client().max_payload()),
        };
        let session = PullSession::open(&self.nats, &stream, &consumer, settings).await?;
        // From here on nothing waits: either all of the state changes or none of it.
        if let Some(notice) = plan.notice {
            self.apply_notice(notice);
        }
        if plan.from.is_none() {
            // What was gone before we came is not lost to us.
            self.passed = self.passed.max(state.first_sequence - 1);
        }
        self.created_at_us = state.created_at_us;
        self.consumer_sequence = 0;
        self.pending = info.num_pending;
        self.gap_from = None;
        self.consumer = Some(consumer);
        self.session = Some(session);
        self.trouble.set(None);
        Ok(())
    }

    fn apply_notice(&mut self, notice: Notice) {
        match notice {
            Notice::StreamReset { .. } => {
                self.position = Position::default();
                self.passed = 0;
                self.start = Start::First;
            }
            // Told once: the next look begins behind it.
            Notice::LostRange { to, .. } => self.passed = self.passed.max(to),
        }
        self.notices.push(notice);
    }

    async fn create_consumer(
        &self,
        name: &str,
        from: Option<u64>,
    ) -> Result<ConsumerInfo, NatsError> {
        let mut config = Map::new();
        config.insert("name".to_owned(), json!(name));
        config.insert("ack_policy".to_owned(), json!("none"));
        config.insert("replay_policy".to_owned(), json!("instant"));
        config.insert("mem_storage".to_owned(), json!(true));
        config.insert("num_replicas".to_owned(), json!(1));
        let threshold = INACTIVE_THRESHOLD.as_nanos() as u64;
        config.insert("inactive_threshold".to_owned(), json!(threshold));
        match (from, self.start) {
            (Some(sequence), _) => {
                config.insert("deliver_policy".to_owned(), json!("by_start_sequence"));
                config.insert("opt_start_seq".to_owned(), json!(sequence));
            }
            (None, Start::Time(time_us)) => {
                let time = jiff::Timestamp::from_microsecond(time_us).unwrap_or_default();
                config.insert("deliver_policy".to_owned(), json!("by_start_time"));
                config.insert("opt_start_time".to_owned(), json!(time.to_string()));
            }
            (None, _) => {
                config.insert("deliver_policy".to_owned(), json!("all"));
            }
        }
        let stream = &self.options.stream;
        let mut subject = format!("CONSUMER.CREATE.{stream}.{name}");
        match self.filter.server.as_slice() {
            [] => {}
            [filter] => {
                // In the subject too, so that the server's permissions can hold a user to a filter.
                subject = format!("{subject}.{filter}");
                config.insert("filter_subject".to_owned(), json!(filter));
            }
            filters => {
                config.insert("filter_subjects".to_owned(), json!(filters));
            }
        }
        let body = json!({ "stream_name": stream, "config": Value::Object(config) });
        self.nats.api(&subject, &body).await
    }

    fn drop_session(&mut self) {
        self.session = None;
        let Some(consumer) = self.consumer.take() else { return };
        // The server would forget it by itself: no need to wait for an answer, nor to care for one.
        if let Ok(runtime) = tokio::runtime::Handle::try_current()
            && self.nats.is_connected()
        {
            let client = self.nats.client().clone();
            let subject = format!("$JS.API.CONSUMER.DELETE.{}.{consumer}", self.options.stream);
            runtime.spawn(async move {
                let _ = client.publish(subject, bytes::Bytes::new()).await;
            });
        }
    }
}

impl Drop for StreamReader {
    fn drop(&mut self) {
        self.drop_session();
    }
}
