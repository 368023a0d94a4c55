use std::time::Duration;

use crypto_intel_service::error_chain;
use reqwest::{Client, RequestBuilder, Response, StatusCode, header::RETRY_AFTER, redirect, retry};

use super::{Outcome, Scope};
use crate::config::{Config, Destination};

const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
/// Shorter than any service keeps an idle connection: a request on one that the other side has
/// just closed would be of unknown outcome.
const IDLE: Duration = Duration::from_secs(4);
/// Answers are short; a page of somebody else's is not read to its end.
const LONGEST_ANSWER_BYTES: usize = 64 << 10;
/// When a service is busy and does not say for how long.
pub(super) const UNSAID_WAIT: Duration = Duration::from_secs(5);

/// A client that tries once: an attempt is recorded as one, so nothing below may repeat or
/// redirect it.
pub(crate) fn client(tls: bool) -> Result<Client, reqwest::Error> {
    // An error says that the process has one already.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let builder = Client::builder()
        .retry(retry::never())
        .redirect(redirect::Policy::none())
        .referer(false)
        .http1_only()
        .connect_timeout(CONNECT_TIMEOUT)
        .pool_idle_timeout(IDLE)
        .pool_max_idle_per_host(1);
    // A machine without certificates can still write to a plain address.
    if tls { builder.build() } else { builder.tls_certs_only([]).build() }
}

/// Whether any destination is reached by `https`.
pub(crate) fn needs_tls(config: &Config) -> bool {
    config.destinations.values().any(|destination| match destination {
        Destination::Telegram(telegram) => !telegram.api_url.expose().starts_with("http://"),
        Destination::Discord(discord) => !discord.webhook_url.expose().starts_with("http://"),
    })
}

/// What came back.
#[derive(Debug)]
pub(super) struct Answer {
    pub(super) status: StatusCode,
    /// `Retry-After` in whole seconds, if it is there.
    pub(super) retry_after: Option<Duration>,
    /// How long until this address takes another message, where its present share is used up.
    pub(super) pause: Option<Duration>,
    /// Whether the wait concerns everything that goes to the service from here.
    pub(super) is_global: bool,
    pub(super) body: Vec<u8>,
}

impl Answer {
    pub(super) fn json<'a, T: serde::Deserialize<'a>>(&'a self) -> Option<T> {
        serde_json::from_slice(&self.body).ok()
    }

    /// What to make of an answer that is not the service's own: a proxy's page, half a body.
    pub(super) fn foreign(&self) -> Outcome {
        let why = format!("answer {} is not of the service itself", self.status);
        if self.status == StatusCode::TOO_MANY_REQUESTS {
            let after = self.retry_after.unwrap_or(UNSAID_WAIT);
            // What stands before the service counts addresses, not chats.
            return Outcome::Wait { after, scope: Scope::Service, why };
        }
        if self.status.is_client_error() || self.status.is_redirection() {
            // Somebody in between turned it away before the service.
            return Outcome::NotSent { why };
        }
        Outcome::Uncertain { why }
    }
}

/// Sends once and reads the answer.
///
/// # Errors
/// `Err` is the outcome where no whole answer came.
pub(super) async fn exchange(request: RequestBuilder) -> Result<Answer, Outcome> {
    let mut response = request.send().await.map_err(classify)?;
    let status = response.status();
    let retry_after = response
        .headers()
        .get(RETRY_AFTER)
        .and_then(|value| value.to_str().ok()?.parse::<u64>().ok())
        .map(Duration::from_secs);
    let header = |name: &str| response.headers().get(name)?.to_str().ok().map(ToOwned::to_owned);
    let is_used_up = header("x-ratelimit-remaining").is_some_and(|left| left.trim() == "0");
    let pause = header("x-ratelimit-reset-after")
        .filter(|_| is_used_up)
        .and_then(|seconds| seconds.parse().ok())
        .map(wait_seconds);
    let is_global = header("x-ratelimit-global").is_some_and(|value| value == "true")
        || header("x-ratelimit-scope").is_some_and(|scope| scope == "global");
    let body = read(&mut response).await.map_err(|error| match status {
        // Taken or half-way taken: the id is lost, the message perhaps not.
        status if status.is_success() || status.is_server_error() => {
            Outcome::Uncertain { why: describe(error) }
        }
        _ => Outcome::NotSent { why: format!("answer {status}, its body was cut") },
    })?;
    Ok(Answer { status, retry_after, pause, is_global, body })
}

async fn read(response: &mut Response) -> Result<Vec<u8>, reqwest::Error> {
    let mut body = Vec::new();
    while let Some(chunk) = response.chunk().await? {
        body.extend_from_slice(&chunk);
        if body.len() > LONGEST_ANSWER_BYTES {
            break;
        }
    }
    Ok(body)
}

/// Before a connection stands nothing can have arrived; after that, it may have.
fn classify(error: reqwest::Error) -> Outcome {
    let certain = error.is_connect() || error.is_builder();
    let why = describe(error);
    if certain { Outcome::NotSent { why } } else { Outcome::Uncertain { why } }
}

/// The error with its causes and the host, but without the rest of the address, which holds the
/// secret.
pub(super) fn describe(error: reqwest::Error) -> String {
    let host = error.url().and_then(|url| {
        let host = url.host_str()?;
        Some(url.port().map_or_else(|| host.to_owned(), |port| format!("{host}:{port}")))
    });
    let text = error_chain(&error.without_url());
    host.map_or_else(|| text.clone(), |host| format!("{host}: {text}"))
}

pub(super) fn wait_seconds(seconds: f64) -> Duration {
    // What a service says is not trusted to be a sane number.
    Duration::try_from_secs_f64(seconds.clamp(0.0, 86_400.0)).unwrap_or(UNSAID_WAIT)
}
