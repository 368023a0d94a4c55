use std::time::Duration;

use crypto_intel_service::{Address, Retryable};
use serde::Deserialize;

/// No connection was made.
#[derive(Debug, thiserror::Error)]
pub enum ConnectError {
    /// The address is not one.
    #[error(
        "nats.url is not a NATS address ({url}): write nats://host:port{}",
        credentials_hint(url)
    )]
    Address {
        /// What was configured.
        url: Address,
    },
    /// User and password are given twice, and differ.
    #[error("nats.url names a user, and so does nats.user: remove one of them")]
    TwoUsers,
    /// The credentials or certificate file cannot be used.
    #[error("cannot use {path}")]
    File {
        /// The configured path.
        path: String,
        /// Why.
        source: std::io::Error,
    },
    /// The server refuses user and password.
    #[error(
        "nats server at {url} refuses user {user:?}: set nats.user and nats.password to a user of its server.conf"
    )]
    Refused {
        /// The address.
        url: Address,
        /// The configured user.
        user: String,
    },
    /// No server answered in time.
    #[error(
        "no nats server at {url} within {seconds} s (last: {last}): start one or correct nats.url"
    )]
    TimedOut {
        /// The address.
        url: Address,
        /// How long it was tried.
        seconds: u64,
        /// The last failure.
        last: String,
    },
    /// The server is too old for atomic batches.
    #[error("nats server at {url} is version {found}, 2.12 or newer is needed: upgrade it")]
    Version {
        /// The address.
        url: Address,
        /// What the server says it is.
        found: String,
    },
    /// The server runs without JetStream.
    #[error("nats server at {url} has no JetStream: start it with nats/server.conf or with -js")]
    NoJetStream {
        /// The address.
        url: Address,
    },
    /// The process was told to stop while connecting.
    #[error("stopped while connecting to nats")]
    Stopped,
}

fn credentials_hint(url: &Address) -> &'static str {
    if url.has_credentials() {
        "; in a user or password write special characters percent-encoded (# is %23, / is %2F, @ is %40), or use nats.user and nats.password"
    } else {
        ""
    }
}

impl Retryable for ConnectError {
    fn is_retryable(&self) -> bool {
        matches!(self, Self::TimedOut { .. })
    }
}

/// An error as JetStream sends it.
#[derive(Debug, Clone, Deserialize)]
pub(crate) struct ApiError {
    #[serde(default)]
    pub(crate) code: u64,
    #[serde(default)]
    pub(crate) err_code: u64,
    #[serde(default)]
    pub(crate) description: String,
}

/// A read or an API call failed.
#[derive(Debug, Clone, thiserror::Error)]
pub enum NatsError {
    /// There is no such stream.
    #[error("no stream {stream}: run `crypto-intel streams apply`")]
    NoStream {
        /// The stream asked for.
        stream: String,
    },
    /// The server refuses this user the subject.
    #[error(
        "nats user {user:?} may not use {what}: use a user that may (admin may everything), or correct server.conf"
    )]
    Forbidden {
        /// The user of the connection.
        user: String,
        /// The subject.
        what: String,
    },
    /// No answer in time: the server is away or slow.
    #[error("no answer from nats within {timeout_ms} ms to {what}")]
    TimedOut {
        /// The request's subject.
        what: String,
        /// How long it was waited for.
        timeout_ms: u64,
    },
    /// There is no responder on this subject: JetStream is starting, or the object is gone.
    #[error("no responder for {what}")]
    NoResponders {
        /// The request's subject.
        what: String,
    },
    /// JetStream refused.
    #[error("jetstream refuses {what}: {text} ({code})")]
    Api {
        /// The request's subject.
        what: String,
        /// JetStream's error code, e.g. 10059.
        code: u64,
        /// JetStream's text.
        text: String,
        /// HTTP-like status; 5xx are temporary.
        status: u64,
    },
    /// An answer that we do not understand.
    #[error("unexpected answer to {what}: {text}")]
    Answer {
        /// The request's subject.
        what: String,
        /// What is wrong with it.
        text: String,
    },
    /// The client was closed.
    #[error("nats connection is closed")]
    Closed,
}

impl Retryable for NatsError {
    fn is_retryable(&self) -> bool {
        match self {
            Self::TimedOut { .. } | Self::NoResponders { .. } => true,
            Self::Api { status, .. } => *status >= 500 || *status == 429,
            Self::NoStream { .. } | Self::Forbidden { .. } | Self::Answer { .. } | Self::Closed => {
                false
            }
        }
    }
}

/// A publish failed. Except where noted, nothing was stored.
#[derive(Debug, Clone, thiserror::Error)]
pub enum PublishError {
    /// The fence does not hold: another publisher wrote, or an own earlier attempt was stored. Read the last
    /// message under the fence and plan again from there.
    #[error("fence does not hold, last sequence is {}", actual.map_or("unknown".to_owned(), |sequence| sequence.to_string()))]
    WrongLastSequence {
        /// The last sequence under the fence, where the server says it.
        actual: Option<u64>,
    },
    /// No acknowledgement in time or the connection was lost: the message or batch may be stored, or may be
    /// stored a little later. Read before publishing again, or rely on the fence or the message id.
    #[error("unknown whether published: {reason}")]
    UnknownOutcome {
        /// What happened.
        reason: String,
    },
    /// The server refuses this user the subject.
    #[error(
        "nats user {user:?} may not publish to {subject}: use a user that may, or correct server.conf"
    )]
    Forbidden {
        /// The user of the connection.
        user: String,
        /// The subject.
        subject: String,
    },
    /// Not connected: nothing was sent that could be stored.
    #[error("not connected to nats")]
    Disconnected,
    /// No stream has this subject.
    #[error("no stream takes subject {subject}: run `crypto-intel streams apply`")]
    NoStream {
        /// The subject.
        subject: String,
    },
    /// A message of the batch carries an id that the stream has already: it was published before.
    #[error("a message id of the batch is known already")]
    DuplicateId,
    /// A message is larger than the server or stream takes.
    #[error("message on {subject} has {bytes} bytes, limit is {limit}")]
    TooLarge {
        /// The subject.
        subject: String,
        /// Headers and payload.
        bytes: usize,
        /// The limit in force; 0 where the server does not say it (`max_msg_size` of the stream).
        limit: usize,
    },
    /// More messages than the server takes in one batch: split it.
    #[error("batch of {messages} messages is longer than the server takes{}: raise jetstream.limits.batch.max_msgs or split", limit.map_or(String::new(), |limit| format!(" ({limit})")))]
    BatchTooLong {
        /// Length of the refused batch.
        messages: usize,
        /// The limit in force, where the server says it.
        limit: Option<usize>,
    },
    /// The server lost a part of the batch (reconnect in the middle, or too many batches open): try again.
    #[error("batch is incomplete: {text}")]
    Incomplete {
        /// The server's text.
        text: String,
    },
    /// The stream is at its limit and discards new messages, or the disk is full.
    #[error("stream is full: {text} ({code})")]
    Full {
        /// JetStream's error code.
        code: u64,
        /// The server's text.
        text: String,
    },
    /// Any other refusal.
    #[error("jetstream refuses: {text} ({code})")]
    Refused {
        /// JetStream's error code.
        code: u64,
        /// The server's text.
        text: String,
        /// HTTP-like status; 5xx and 429 are temporary.
        status: u64,
    },
    /// The batch holds no message.
    #[error("batch is empty")]
    Empty,
}

impl Retryable for PublishError {
    fn is_retryable(&self) -> bool {
        match self {
            Self::UnknownOutcome { .. }
            // Corrected in the server's configuration, while everything waits.
            | Self::Forbidden { .. }
            | Self::Disconnected
            | Self::Incomplete { .. }
            | Self::NoStream { .. }
            | Self::Full { .. } => true,
            Self::Refused { status, .. } => *status >= 500 || *status == 429,
            Self::WrongLastSequence { .. }
            | Self::DuplicateId
            | Self::TooLarge { .. }
            | Self::BatchTooLong { .. }
            | Self::Empty => false,
        }
    }

    fn retry_after(&self) -> Option<Duration> {
        // An operator must act first: retrying sooner does not help.
        match self {
            Self::Full { .. } | Self::NoStream { .. } | Self::Forbidden { .. } => {
                Some(Duration::from_secs(2))
            }
            _ => None,
        }
    }
}

impl PublishError {
    pub(crate) fn from_api(error: ApiError, subject: &str, bytes: usize, messages: usize) -> Self {
        let text = error.description;
        match error.err_code {
            // 10164 is the same refusal without the number.
            10_071 | 10_164 => Self::WrongLastSequence { actual: last_number(&text) },
            10_201 => Self::DuplicateId,
            10_199 => Self::BatchTooLong {
                messages,
                limit: last_number(&text).and_then(|limit| usize::try_from(limit).ok()),
            },
            10_176 => Self::Incomplete { text },
            10_054 => Self::TooLarge { subject: subject.to_owned(), bytes, limit: 0 },
            code @ (10_077 | 10_047 | 10_023) => Self::Full { code, text },
            code => Self::Refused { code, text, status: error.code },
        }
    }
}

fn last_number(text: &str) -> Option<u64> {
    text.split(|character: char| !character.is_ascii_digit())
        .rfind(|digits| !digits.is_empty())
        .and_then(|digits| digits.parse().ok())
}

/// A reader cannot be opened or go on.
#[derive(Debug, Clone, thiserror::Error)]
pub enum ReaderError {
    /// The stream cannot be read.
    #[error("cannot read stream {stream}: {source}")]
    Open {
        /// The stream.
        stream: String,
        /// Why.
        source: NatsError,
    },
    /// The client was closed: nothing more will come.
    #[error("nats connection is closed")]
    Closed,
}

impl Retryable for ReaderError {
    fn is_retryable(&self) -> bool {
        match self {
            Self::Open { source, .. } => source.is_retryable(),
            Self::Closed => false,
        }
    }
}

/// A key-value operation failed.
#[derive(Debug, Clone, thiserror::Error)]
pub enum KvError {
    /// The key exists.
    #[error("key {key} exists already")]
    AlreadyExists {
        /// The key.
        key: String,
    },
    /// The key has another revision than expected.
    #[error("key {key} has another revision than expected{}", actual.map_or(String::new(), |revision| format!(": {revision}")))]
    WrongRevision {
        /// The key.
        key: String,
        /// The revision in force, where the server says it.
        actual: Option<u64>,
    },
    /// The key has characters that NATS does not take: use [`escape_key`](crate::escape_key).
    #[error("{key:?} is no valid key")]
    InvalidKey {
        /// The key.
        key: String,
    },
    /// The bucket is at its limit.
    #[error(
        "bucket {bucket} is full: raise streams.streams.KV_{bucket}.max_bytes in the configuration and run `crypto-intel streams apply`; what is there stays"
    )]
    Full {
        /// The bucket.
        bucket: &'static str,
        /// The server's text.
        text: String,
    },
    /// A value in parts is not whole.
    #[error("value of key {key} is not whole: {reason}; write it again")]
    Damaged {
        /// The key.
        key: String,
        /// What is wrong with it.
        reason: String,
    },
    /// A read failed.
    #[error(transparent)]
    Read(#[from] NatsError),
    /// A write failed.
    #[error(transparent)]
    Write(PublishError),
}

impl Retryable for KvError {
    fn is_retryable(&self) -> bool {
        match self {
            Self::Read(error) => error.is_retryable(),
            Self::Write(error) => error.is_retryable(),
            // Corrected in the configuration, while everything waits.
            Self::Full { .. } => true,
            _ => false,
        }
    }

    fn retry_after(&self) -> Option<Duration> {
        match self {
            Self::Write(error) => error.retry_after(),
            _ => None,
        }
    }
}
