use std::time::Duration;

use crypto_intel_schemas::QuotaWindow;
use crypto_intel_service::Retryable;

/// A request to a provider yielded no events. No text here holds a key or an address with one.
#[derive(Debug, Clone, thiserror::Error)]
pub enum FetchError {
    /// A filter of the request fails, such as one that reads the clock.
    #[error("cannot make the request, {field} of the endpoint: {problem}")]
    Request {
        /// Its field.
        field: String,
        /// What is wrong with it.
        problem: String,
    },
    /// No whole answer in time.
    #[error("no whole answer within {timeout_ms} ms")]
    Timeout {
        /// The limit.
        timeout_ms: u64,
    },
    /// No connection, or it broke.
    #[error("cannot reach the provider: {reason}")]
    Transport {
        /// What happened.
        reason: String,
    },
    /// Too many requests.
    #[error(
        "the provider wants us to wait{} ({reason})",
        wait.map_or(String::new(), |wait| format!(" {} s", wait.as_secs()))
    )]
    RateLimited {
        /// Status or the provider's text.
        reason: String,
        /// How long, if stated.
        wait: Option<Duration>,
    },
    /// This address is banned for a while, for it did not stop after [`RateLimited`](Self::RateLimited).
    #[error("the provider bans us for {} s ({reason})", wait.as_secs())]
    Banned {
        /// Status and the provider's text.
        reason: String,
        /// How long.
        wait: Duration,
    },
    /// The quota of a day or month is used up, by the provider's own word.
    #[error("the quota of the {spent} is used up, it ends in {} s: {reason}", wait.as_secs())]
    Spent {
        /// Which one.
        spent: QuotaWindow,
        /// The provider's text.
        reason: String,
        /// Until it begins again.
        wait: Duration,
    },
    /// This address or account is not permitted.
    #[error("the provider refuses us with status {status}: {excerpt}")]
    Refused {
        /// HTTP status; 200 when the answer itself says so.
        status: u16,
        /// Beginning of the answer.
        excerpt: String,
    },
    /// The provider fails.
    #[error("the provider fails with status {status}: {excerpt}")]
    Server {
        /// HTTP status.
        status: u16,
        /// Beginning of the answer.
        excerpt: String,
        /// How long to wait, if stated.
        wait: Option<Duration>,
    },
    /// An address of this machine or its networks, which no file of a provider may ask.
    #[error(
        "{reason}: if it is meant, name its host in base_url of the provider in the configuration"
    )]
    Inside {
        /// Host and address.
        reason: String,
    },
    /// A redirect to another host, or one of too many.
    #[error(
        "the provider redirects to {to} (status {status}), which is not followed: correct base_url or path"
    )]
    Redirect {
        /// HTTP status.
        status: u16,
        /// Address without its query.
        to: String,
    },
    /// Any other status that is not success.
    #[error("unexpected status {status}: {excerpt}")]
    Status {
        /// HTTP status.
        status: u16,
        /// Beginning of the answer.
        excerpt: String,
    },
    /// More than the endpoint's limit.
    #[error("answer is larger than {limit} bytes: raise max_body_bytes of the endpoint")]
    TooLarge {
        /// The limit.
        limit: usize,
    },
    /// A web page, plain text or broken JSON instead of JSON, or no feed where one is expected.
    #[error("answer {problem} (content type {content_type:?}): {excerpt}")]
    NotJson {
        /// What is wrong with it.
        problem: String,
        /// Its declared type.
        content_type: String,
        /// Its beginning.
        excerpt: String,
    },
    /// An error in the body of a successful answer.
    #[error("the provider reports: {message}")]
    Fault {
        /// Its text.
        message: String,
    },
    /// An answer without one event, such as `{}` when no asset is known there.
    #[error("answer holds no event, nothing of what was asked for is known there: {excerpt}")]
    Empty {
        /// Its beginning.
        excerpt: String,
    },
    /// The filter fails on the answer, or all its output is wrong.
    #[error("filter jq.events of the endpoint: {problem}")]
    Shape {
        /// What is wrong, and what was produced.
        problem: String,
    },
}

impl FetchError {
    /// Label of metrics.
    #[must_use]
    pub const fn outcome(&self) -> &'static str {
        match self {
            Self::Request { .. } => "request",
            Self::Timeout { .. } => "timeout",
            Self::Transport { .. } => "transport",
            Self::RateLimited { .. } => "rate_limited",
            Self::Banned { .. } => "banned",
            Self::Spent { .. } => "spent",
            Self::Refused { .. } => "refused",
            Self::Server { .. } => "server_error",
            Self::Inside { .. } => "inside",
            Self::Redirect { .. } => "redirect",
            Self::Status { .. } => "status",
            Self::TooLarge { .. } => "too_large",
            Self::NotJson { .. } => "not_json",
            Self::Fault { .. } => "fault",
            Self::Empty { .. } => "empty",
            Self::Shape { .. } => "shape",
        }
    }
}

impl Retryable for FetchError {
    /// Whether another attempt before the next slot makes sense.
    fn is_retryable(&self) -> bool {
        matches!(
            self,
            Self::Timeout { .. }
                | Self::Transport { .. }
                | Self::RateLimited { .. }
                | Self::Banned { .. }
                | Self::Server { .. }
        )
    }

    fn retry_after(&self) -> Option<Duration> {
        match self {
            Self::Spent { wait, .. } | Self::Banned { wait, .. } => Some(*wait),
            Self::RateLimited { wait, .. } => Some(wait.unwrap_or(Duration::from_secs(60))),
            Self::Server { wait, .. } => *wait,
            _ => None,
        }
    }
}
