use std::sync::Arc;
use std::time::{Duration, Instant};

use async_nats::client::Request;
use async_nats::{HeaderMap, RequestErrorKind};
use bytes::Bytes;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use tokio::sync::watch;

use crate::client::complaint::Complaints;
use crate::client::refusals::{Refusals, Refused};
use crate::error::ApiError;
use crate::error::NatsError;
use crate::kv::{Bucket, Kv};
use crate::message::StreamState;
use crate::message::parse_time_us;

/// `stream not found`
pub(crate) const NO_SUCH_STREAM: u64 = 10_059;
/// Prefix of the API of our own account.
pub(crate) const OWN_API: &str = "$JS.API";

/// A connection to NATS: cheap to clone, all clones share it.
#[derive(Clone)]
pub struct Nats {
    inner: Arc<Inner>,
}

struct Inner {
    connection: Connection,
    jetstream: async_nats::jetstream::Context,
}

/// What [`connect`](crate::connect) made.
pub(crate) struct Connection {
    pub(crate) client: async_nats::Client,
    pub(crate) name: String,
    pub(crate) user: String,
    pub(crate) epoch: watch::Receiver<u64>,
    pub(crate) refusals: Arc<Refusals>,
    pub(crate) complaints: Complaints,
    pub(crate) request_timeout: Duration,
}

impl std::fmt::Debug for Nats {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter
            .debug_struct("Nats")
            .field("name", &self.inner.connection.name)
            .field("connected", &self.is_connected())
            .finish_non_exhaustive()
    }
}

impl Nats {
    pub(crate) fn new(connection: Connection) -> Self {
        let jetstream = async_nats::jetstream::context::ContextBuilder::new()
            .timeout(connection.request_timeout)
            .ack_timeout(connection.request_timeout)
            .build(connection.client.clone());
        Self { inner: Arc::new(Inner { connection, jetstream }) }
    }

    /// The user of the connection; empty for a server without users.
    #[must_use]
    pub fn user(&self) -> &str {
        &self.inner.connection.user
    }

    /// Told when the server refuses a publish to the subject, `None` = to any; to be made before it is sent.
    pub(crate) fn refused(&self, subject: Option<&str>) -> Refused {
        self.inner.connection.refusals.wait(subject)
    }

    /// What the server's refusal of a subject means.
    pub(crate) fn forbidden(&self, subject: impl Into<String>) -> NatsError {
        NatsError::Forbidden { user: self.user().to_owned(), what: subject.into() }
    }

    /// The client itself, for core NATS.
    #[must_use]
    pub fn client(&self) -> &async_nats::Client {
        &self.inner.connection.client
    }

    /// JetStream as async-nats offers it, for what this crate does not.
    #[must_use]
    pub fn jetstream(&self) -> &async_nats::jetstream::Context {
        &self.inner.jetstream
    }

    /// The name given to [`connect`](crate::connect).
    #[must_use]
    pub fn name(&self) -> &str {
        &self.inner.connection.name
    }

    /// Version of the server, e.g. `2.12.1`.
    #[must_use]
    pub fn server_version(&self) -> String {
        self.inner.connection.client.server_info().version
    }

    /// Whether the connection is up now.
    #[must_use]
    pub fn is_connected(&self) -> bool {
        self.inner.connection.client.connection_state() == async_nats::connection::State::Connected
    }

    /// Whether the connection is up now, and if not, why.
    ///
    /// # Errors
    /// What server or client last said against it.
    pub fn connection(&self) -> Result<(), String> {
        if self.is_connected() {
            Ok(())
        } else {
            Err(self.inner.connection.complaints.disconnected())
        }
    }

    /// The newest refusal of a subject to this user since `instant`, in the server's words: the request itself only
    /// times out.
    pub(crate) fn refusal_since(&self, instant: Instant) -> Option<String> {
        self.inner.connection.complaints.refusal_since(instant)
    }

    /// The connection's epoch: one more after every (re)connect.
    #[must_use]
    pub fn connected(&self) -> watch::Receiver<u64> {
        self.inner.connection.epoch.clone()
    }

    /// How long one answer is waited for.
    #[must_use]
    pub fn request_timeout(&self) -> Duration {
        self.inner.connection.request_timeout
    }

    /// One of our key-value buckets.
    ///
    /// # Errors
    /// Fails when the bucket does not exist.
    pub async fn kv(&self, bucket: Bucket) -> Result<Kv, NatsError> {
        Kv::open(self, bucket).await
    }

    /// One request and its answer, for what this crate does not offer.
    ///
    /// # Errors
    /// Fails when there is no answer, or the server refuses this user the subject.
    pub async fn ask(&self, subject: &str, body: impl Into<Bytes>) -> Result<Bytes, NatsError> {
        Ok(self.request(subject, None, body.into()).await?.payload)
    }

    /// What a stream holds.
    ///
    /// # Errors
    /// Fails when the stream does not exist or does not answer.
    pub async fn stream_state(&self, stream: &str) -> Result<StreamState, NatsError> {
        let info: StreamInfo = self.stream_info(stream).await?;
        Ok(info.into_state())
    }

    /// Names of the streams that hold some subject of a pattern, without those behind key-value buckets.
    ///
    /// # Errors
    /// Fails when the server does not answer, or not this user.
    pub async fn streams_with(&self, pattern: &str) -> Result<Vec<String>, NatsError> {
        let names = self.all_streams_with(pattern).await?;
        Ok(names.into_iter().filter(|name| !Bucket::is_stream(name)).collect())
    }

    /// The same with those behind key-value buckets; `>` means all.
    pub(crate) async fn all_streams_with(&self, pattern: &str) -> Result<Vec<String>, NatsError> {
        let names: StreamNames = self.api("STREAM.NAMES", &json!({ "subject": pattern })).await?;
        Ok(names.streams.unwrap_or_default())
    }

    /// The subjects of a stream that match a filter; not for filters that match very many.
    ///
    /// # Errors
    /// Fails when the stream does not exist or does not answer.
    pub async fn subjects_of(&self, stream: &str, filter: &str) -> Result<Vec<String>, NatsError> {
        let request = json!({ "subjects_filter": filter });
        let mut info: Value = self.api(&format!("STREAM.INFO.{stream}"), &request).await?;
        let subjects = info.pointer_mut("/state/subjects").map(Value::take);
        let Some(Value::Object(subjects)) = subjects else { return Ok(Vec::new()) };
        Ok(subjects.into_iter().map(|(subject, _)| subject).collect())
    }

    pub(crate) async fn stream_info<T: DeserializeOwned>(
        &self,
        stream: &str,
    ) -> Result<T, NatsError> {
        self.stream_info_in(OWN_API, stream).await
    }

    /// The same in another account, whose API has another prefix.
    pub(crate) async fn stream_info_in<T: DeserializeOwned>(
        &self,
        api: &str,
        stream: &str,
    ) -> Result<T, NatsError> {
        let answer = self.api_in(api, &format!("STREAM.INFO.{stream}"), &json!({})).await;
        answer.map_err(|error| match error {
            NatsError::Api { code: NO_SUCH_STREAM, .. } => {
                NatsError::NoStream { stream: stream.to_owned() }
            }
            other => other,
        })
    }

    /// One request to `$JS.API.<subject>`, with no body for `Value::Null`.
    pub(crate) async fn api<T: DeserializeOwned>(
        &self,
        subject: &str,
        body: &Value,
    ) -> Result<T, NatsError> {
        self.api_within(subject, body, self.inner.connection.request_timeout).await
    }

    /// The same in another account, whose API has another prefix.
    pub(crate) async fn api_in<T: DeserializeOwned>(
        &self,
        api: &str,
        subject: &str,
        body: &Value,
    ) -> Result<T, NatsError> {
        self.api_request(format!("{api}.{subject}"), body, self.inner.connection.request_timeout)
            .await
    }

    /// As [`api`](Self::api) for what may take longer than the configured timeout.
    pub(crate) async fn api_within<T: DeserializeOwned>(
        &self,
        subject: &str,
        body: &Value,
        timeout: Duration,
    ) -> Result<T, NatsError> {
        self.api_request(format!("{OWN_API}.{subject}"), body, timeout).await
    }

    async fn api_request<T: DeserializeOwned>(
        &self,
        subject: String,
        body: &Value,
        timeout: Duration,
    ) -> Result<T, NatsError> {
        // Some requests must be empty, `null` is refused.
        let payload = if body.is_null() { Bytes::new() } else { Bytes::from(body.to_string()) };
        let answer = self.request_within(&subject, payload, timeout).await?;
        let invalid = |error: serde_json::Error| NatsError::Answer {
            what: subject.clone(),
            text: error.to_string(),
        };
        let value: Value = serde_json::from_slice(&answer.payload).map_err(invalid)?;
        if let Some(error) = value.get("error") {
            let error = ApiError::deserialize(error).map_err(invalid)?;
            return Err(NatsError::Api {
                what: subject,
                code: error.err_code,
                text: error.description,
                status: error.code,
            });
        }
        T::deserialize(value).map_err(invalid)
    }

    /// A core request with the configured timeout.
    pub(crate) async fn request(
        &self,
        subject: &str,
        headers: Option<HeaderMap>,
        payload: Bytes,
    ) -> Result<async_nats::Message, NatsError> {
        let mut request = Request::new().payload(payload);
        if let Some(headers) = headers {
            request = request.headers(headers);
        }
        self.send_request(subject, request, self.inner.connection.request_timeout).await
    }

    /// The same with a timeout of its own, for what may take longer.
    pub(crate) async fn request_within(
        &self,
        subject: &str,
        payload: Bytes,
        timeout: Duration,
    ) -> Result<async_nats::Message, NatsError> {
        self.send_request(subject, Request::new().payload(payload), timeout).await
    }

    async fn send_request(
        &self,
        subject: &str,
        request: Request,
        timeout: Duration,
    ) -> Result<async_nats::Message, NatsError> {
        let request = request.timeout(Some(timeout));
        let timed_out = || NatsError::TimedOut {
            what: subject.to_owned(),
            timeout_ms: u64::try_from(timeout.as_millis()).unwrap_or(u64::MAX),
        };
        let mut refused = self.refused(Some(subject));
        let client = &self.inner.connection.client;
        // The client's timeout begins when the request is queued, and the queue may be full while disconnected.
        let answer =
            tokio::time::timeout(timeout * 2, client.send_request(subject.to_owned(), request));
        let answer = tokio::select! {
            answer = answer => answer.map_err(|_| timed_out())?,
            subject = refused.next() => return Err(self.forbidden(subject)),
        };
        answer.map_err(|error| match error.kind() {
            RequestErrorKind::TimedOut => timed_out(),
            RequestErrorKind::NoResponders => NatsError::NoResponders { what: subject.to_owned() },
            RequestErrorKind::Other => NatsError::Closed,
            _ => NatsError::Answer { what: subject.to_owned(), text: error.to_string() },
        })
    }
}

/// `STREAM.NAMES`; the server writes `null` for none.
#[derive(Debug, Deserialize)]
struct StreamNames {
    #[serde(default)]
    streams: Option<Vec<String>>,
}

/// The part of `STREAM.INFO` that we read.
#[derive(Debug, Deserialize)]
pub(crate) struct StreamInfo {
    #[serde(default)]
    pub(crate) created: String,
    #[serde(default)]
    ts: String,
    pub(crate) config: Limits,
    pub(crate) state: State,
}

#[derive(Debug, Deserialize)]
pub(crate) struct Limits {
    #[serde(default)]
    max_bytes: i64,
    #[serde(default)]
    max_age: u64,
    #[serde(default)]
    discard: String,
}

#[derive(Debug, Deserialize)]
pub(crate) struct State {
    messages: u64,
    bytes: u64,
    first_seq: u64,
    first_ts: String,
    last_seq: u64,
    last_ts: String,
}

impl StreamInfo {
    pub(crate) fn into_state(self) -> StreamState {
        let state = self.state;
        let first_sequence = if state.messages == 0 { state.last_seq + 1 } else { state.first_seq };
        let time = |text: &str| if state.messages == 0 { None } else { parse_time_us(text) };
        StreamState {
            first_sequence,
            last_sequence: state.last_seq,
            first_stored_at_us: time(&state.first_ts),
            last_stored_at_us: time(&state.last_ts),
            messages: state.messages,
            bytes: state.bytes,
            max_bytes: u64::try_from(self.config.max_bytes).ok().filter(|limit| *limit > 0),
            max_age_seconds: Some(self.config.max_age / 1_000_000_000).filter(|age| *age > 0),
            created_at_us: parse_time_us(&self.created).unwrap_or(0),
            refuses_when_full: self.config.discard == "new",
            server_time_us: parse_time_us(&self.ts).unwrap_or_else(crypto_intel_service::now_us),
        }
    }
}
