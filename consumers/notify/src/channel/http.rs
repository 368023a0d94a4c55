use std::time::Duration;

use crypto_intel_service::{OutboundGuard, error_chain, retry_after};
use reqwest::{
    Client, ClientBuilder, RequestBuilder, Response, StatusCode, header::CONTENT_TYPE, redirect,
    retry,
};

use super::{DEFAULT_WAIT, Outcome, Request, Scope};
use crate::config::{Config, Policy};

const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
/// Shorter than any service keeps an idle connection: a request on a connection that the service is
/// closing would have an unknown outcome.
const IDLE_TIMEOUT: Duration = Duration::from_secs(4);
/// Answers are short; a longer one is a page of a proxy and is not read to its end.
const MAX_ANSWER_BYTES: usize = 64 << 10;
/// Makes the clients of channels.
#[derive(Debug, Clone)]
pub(crate) struct Clients {
    /// For the addresses of known services.
    pub(crate) services: Client,
    /// Whether there are certificates to check others by.
    tls: bool,
}

impl Clients {
    /// For an address that anything may stand behind: it connects to what the guard lets pass.
    pub(crate) fn guarded(&self, guard: &OutboundGuard) -> Result<Client, reqwest::Error> {
        build(builder().dns_resolver(guard.clone()), self.tls)
    }
}

/// Clients without retries and redirects: an attempt is recorded as one request.
pub(crate) fn clients(tls: bool) -> Result<Clients, reqwest::Error> {
    // Fails when the process has one already.
    let _ = rustls::crypto::ring::default_provider().install_default();
    Ok(Clients { services: build(builder(), tls)?, tls })
}

fn builder() -> ClientBuilder {
    Client::builder()
        .retry(retry::never())
        .redirect(redirect::Policy::none())
        .referer(false)
        .http1_only()
        .connect_timeout(CONNECT_TIMEOUT)
        .pool_idle_timeout(IDLE_TIMEOUT)
        .pool_max_idle_per_host(2)
}

/// A machine without certificates can still use a plain address.
fn build(builder: ClientBuilder, tls: bool) -> Result<Client, reqwest::Error> {
    if tls { builder.build() } else { builder.tls_certs_only([]).build() }
}

/// Whether any destination, or the dead man's switch, is reached by TLS.
pub(crate) fn needs_tls(config: &Config) -> bool {
    let ping = config.dead_man.as_ref().map(|dead_man| dead_man.url.expose());
    ping.is_some_and(|url| url.starts_with("https:"))
        || config.destinations.values().any(|destination| destination.settings().needs_tls())
}

/// Whether an address is one of the web.
pub(crate) fn is_web(address: &str) -> bool {
    reqwest::Url::parse(address)
        .is_ok_and(|url| matches!(url.scheme(), "http" | "https") && url.host().is_some())
}

/// Whether an address is encrypted; one that is no address is not reached anyway.
pub(super) fn is_https(address: &str) -> bool {
    !address.starts_with("http://")
}

/// The answer to a request.
#[derive(Debug)]
pub(super) struct Answer {
    pub(super) status: StatusCode,
    /// What `Retry-After` says, if present.
    pub(super) retry_after: Option<Duration>,
    /// How long until this address accepts another message, when its quota is used up.
    pub(super) pause: Option<Duration>,
    /// Whether the wait concerns all requests to the service.
    pub(super) is_global: bool,
    pub(super) body: Vec<u8>,
}

impl Answer {
    pub(super) fn json<'a, T: serde::Deserialize<'a>>(&'a self) -> Option<T> {
        serde_json::from_slice(&self.body).ok()
    }

    /// How long it asks to wait, or this long where it does not say.
    pub(super) fn wait_or(&self, default: Duration) -> Duration {
        self.retry_after.unwrap_or(default)
    }

    /// Outcome of an answer that is not the service's own: a proxy's page, a truncated body.
    pub(super) fn foreign(&self) -> Outcome {
        let why = format!("answer {} is not of the service itself", self.status);
        if self.status == StatusCode::TOO_MANY_REQUESTS {
            // A proxy in front of the service counts addresses, not chats.
            return Outcome::wait(self.wait_or(DEFAULT_WAIT), Scope::Service, why);
        }
        if self.status.is_client_error() || self.status.is_redirection() {
            // A proxy rejected it before it reached the service.
            return Outcome::NotSent { why };
        }
        Outcome::Uncertain { why }
    }
}

/// A request with a body of JSON, as far as all services want the same.
pub(super) fn post_json(call: RequestBuilder, policy: &Policy, body: Vec<u8>) -> RequestBuilder {
    call.timeout(policy.timeout()).header(CONTENT_TYPE, "application/json").body(body)
}

/// A request with the body that was made for it.
pub(super) fn post_request(
    call: RequestBuilder,
    policy: &Policy,
    request: Request,
) -> RequestBuilder {
    match request.content_type {
        Some(form) => call.timeout(policy.timeout()).header(CONTENT_TYPE, form).body(request.body),
        None => post_json(call, policy, request.body),
    }
}

/// One attempt: sends once, and says what the answer means.
pub(super) async fn attempt(
    request: RequestBuilder,
    meaning: impl FnOnce(&Answer) -> Outcome,
) -> Outcome {
    match exchange(request).await {
        Ok(answer) => meaning(&answer),
        Err(outcome) => outcome,
    }
}

/// Asks a service about itself, for a check.
///
/// # Errors
/// What is wrong, for people.
pub(super) async fn ask(request: RequestBuilder, policy: &Policy) -> Result<Answer, String> {
    exchange(request.timeout(policy.timeout())).await.map_err(|outcome| match outcome {
        Outcome::NotSent { why } | Outcome::Uncertain { why } => why,
        other => other.label().to_owned(),
    })
}

/// Sends once and reads the answer.
///
/// # Errors
/// The outcome where no complete answer arrived.
pub(super) async fn exchange(request: RequestBuilder) -> Result<Answer, Outcome> {
    let mut response = request.send().await.map_err(classify)?;
    let status = response.status();
    let retry_after = retry_after(response.headers());
    let header = |name: &str| response.headers().get(name)?.to_str().ok().map(ToOwned::to_owned);
    let is_used_up = header("x-ratelimit-remaining").is_some_and(|left| left.trim() == "0");
    let pause = header("x-ratelimit-reset-after")
        .filter(|_| is_used_up)
        .and_then(|seconds| seconds.parse().ok())
        .map(wait_seconds);
    let is_global = header("x-ratelimit-global").is_some_and(|value| value == "true")
        || header("x-ratelimit-scope").is_some_and(|scope| scope == "global");
    let body = read(&mut response).await.map_err(|error| match status {
        // Perhaps accepted: the id is lost, the message may have arrived.
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
        if body.len() > MAX_ANSWER_BYTES {
            break;
        }
    }
    Ok(body)
}

/// Without a connection nothing can have arrived; with one it may have.
fn classify(error: reqwest::Error) -> Outcome {
    let certain = error.is_connect() || error.is_builder();
    let why = describe(error);
    if certain { Outcome::NotSent { why } } else { Outcome::Uncertain { why } }
}

/// The error with its causes and the host, but without the rest of the address, which holds the
/// secret.
fn describe(error: reqwest::Error) -> String {
    let host = error.url().and_then(|url| {
        let host = url.host_str()?;
        Some(url.port().map_or_else(|| host.to_owned(), |port| format!("{host}:{port}")))
    });
    let text = error_chain(&error.without_url());
    host.map_or_else(|| text.clone(), |host| format!("{host}: {text}"))
}

pub(super) fn wait_seconds(seconds: f64) -> Duration {
    // The number is not trusted.
    Duration::try_from_secs_f64(seconds.clamp(0.0, 86_400.0)).unwrap_or(DEFAULT_WAIT)
}

#[cfg(test)]
impl Answer {
    /// One of a service, without headers that say more.
    pub(super) fn of(status: u16, body: &str) -> Self {
        Self {
            status: StatusCode::from_u16(status).unwrap_or_default(),
            retry_after: None,
            pause: None,
            is_global: false,
            body: body.as_bytes().to_vec(),
        }
    }

    /// The same with `Retry-After`.
    pub(super) fn after(self, seconds: u64) -> Self {
        Self { retry_after: Some(Duration::from_secs(seconds)), ..self }
    }
}
