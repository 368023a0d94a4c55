use std::{collections::BTreeMap, time::Duration};

use anyhow::Context as _;
use crypto_intel_service::{Secret, error_chain, now_us};
use jiff::Timestamp;
use reqwest::{
    Client, Response, StatusCode,
    header::CONTENT_TYPE,
    redirect::{Attempt, Policy},
};
use rustls::crypto::CryptoProvider;

use super::{error::FetchError, retry_after::retry_after};
use crate::{
    catalogue::{Endpoint, Provider},
    mapping::filter::shorten,
};

const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);
const MAX_REDIRECTS: usize = 3;
/// How much of an error's body is read, and how much of it is shown.
const ERROR_BODY_BYTES: usize = 16 << 10;
const EXCERPT_CHARACTERS: usize = 160;

/// What a provider answered.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) body: Vec<u8>,
    pub(crate) content_type: String,
    /// When its last byte came, microseconds.
    pub(crate) received_at_us: i64,
}

/// Sends requests to providers over HTTP.
#[derive(Debug, Clone)]
pub(crate) struct Fetcher {
    client: Client,
}

impl Fetcher {
    /// A client for all providers.
    ///
    /// # Errors
    /// When TLS cannot be set up.
    pub(crate) fn new(user_agent: &str) -> anyhow::Result<Self> {
        if CryptoProvider::get_default().is_none() {
            // Fails when another thread was faster, which is fine.
            let _ = rustls::crypto::ring::default_provider().install_default();
        }
        let builder = || {
            Client::builder()
                .user_agent(user_agent)
                .connect_timeout(CONNECT_TIMEOUT)
                .redirect(Policy::custom(follow))
                // It would send the address, and the key in it, to the target of a redirect.
                .referer(false)
        };
        let client = match builder().build() {
            Ok(client) => client,
            Err(error) => {
                tracing::warn!(
                    error = error_chain(&error),
                    "cannot use this machine's certificate authorities, https providers will fail: install ca-certificates"
                );
                builder().tls_certs_only([]).build().context("set up http client")?
            }
        };
        Ok(Self { client })
    }

    /// Sends one request.
    pub(crate) async fn fetch(
        &self,
        provider: &Provider,
        endpoint: &Endpoint,
        key: Option<&Secret>,
    ) -> Result<Answer, FetchError> {
        let key = provider.key_place.as_ref().zip(key);
        let rendered = endpoint.request.render(&endpoint.variables, key, &BTreeMap::new());
        let rendered = rendered.map_err(|mistake| FetchError::Request {
            field: mistake.field.join("."),
            problem: provider.redact(&mistake.problem),
        })?;
        let method = endpoint.request.method.clone();
        let mut request = self.client.request(method, rendered.url).headers(rendered.headers);
        if let Some(body) = rendered.body {
            request = request.body(body);
        }
        let work = async {
            let response = request.send().await.map_err(|error| transport(provider, error))?;
            read(provider, endpoint, response).await
        };
        let timeout_ms = u64::try_from(endpoint.timeout.as_millis()).unwrap_or(u64::MAX);
        tokio::time::timeout(endpoint.timeout, work)
            .await
            .unwrap_or(Err(FetchError::Timeout { timeout_ms }))
    }
}

/// Follows within the same host and never from https to http, so that a key is sent nowhere else.
fn follow(attempt: Attempt<'_>) -> reqwest::redirect::Action {
    let Some(first) = attempt.previous().first() else { return attempt.stop() };
    let target = attempt.url();
    let same_place = first.host_str() == target.host_str()
        && first.port_or_known_default() == target.port_or_known_default()
        && first.scheme() == target.scheme();
    if same_place && attempt.previous().len() <= MAX_REDIRECTS {
        return attempt.follow();
    }
    // The redirect itself is then the answer, with an unexpected status.
    attempt.stop()
}

async fn read(
    provider: &Provider,
    endpoint: &Endpoint,
    response: Response,
) -> Result<Answer, FetchError> {
    let status = response.status();
    let content_type = response.headers().get(CONTENT_TYPE);
    let content_type = content_type
        .map(|value| shorten(&String::from_utf8_lossy(value.as_bytes()), 60))
        .unwrap_or_default();
    if status.is_success() {
        let body = read_body(provider, response, endpoint.max_body_bytes, false).await?;
        return Ok(Answer { body, content_type, received_at_us: now_us() });
    }
    let wait = retry_after(response.headers(), Timestamp::now());
    // The status decides; the readable part of the body only explains it.
    let body = read_body(provider, response, ERROR_BODY_BYTES, true).await.unwrap_or_default();
    Err(classify(status, wait, excerpt(provider, &body)))
}

fn classify(status: StatusCode, wait: Option<Duration>, excerpt: String) -> FetchError {
    let code = status.as_u16();
    let limited = |default_seconds: u64| FetchError::RateLimited {
        reason: format!("status {code}: {excerpt}"),
        wait: wait.or(Some(Duration::from_secs(default_seconds))),
    };
    match code {
        429 => limited(60),
        // Banned for not stopping after 429.
        418 => limited(120),
        401 | 402 | 403 | 451 => FetchError::Refused { status: code, excerpt },
        500..=599 => FetchError::Server { status: code, excerpt, wait },
        _ => FetchError::Status { status: code, excerpt },
    }
}

/// At most `limit` bytes; more is an error, or cut.
async fn read_body(
    provider: &Provider,
    mut response: Response,
    limit: usize,
    cut: bool,
) -> Result<Vec<u8>, FetchError> {
    let announced = response.content_length().unwrap_or(0);
    if !cut && announced > limit as u64 {
        return Err(FetchError::TooLarge { limit });
    }
    let mut body = Vec::new();
    while let Some(chunk) = response.chunk().await.map_err(|error| transport(provider, error))? {
        if body.len() + chunk.len() > limit {
            if !cut {
                return Err(FetchError::TooLarge { limit });
            }
            body.extend_from_slice(&chunk[..limit - body.len()]);
            break;
        }
        body.extend_from_slice(&chunk);
    }
    Ok(body)
}

/// Beginning of a body, for messages, without the key.
pub(super) fn excerpt(provider: &Provider, body: &[u8]) -> String {
    let begin = &body[..body.len().min(ERROR_BODY_BYTES)];
    let text = provider.redact(&String::from_utf8_lossy(begin));
    match text.trim().is_empty() {
        true => "(empty)".to_owned(),
        false => shorten(&text, EXCERPT_CHARACTERS),
    }
}

fn transport(provider: &Provider, error: reqwest::Error) -> FetchError {
    let error = error.without_url();
    FetchError::Transport { reason: provider.redact(&error_chain(&error)) }
}
