use std::time::Duration;

use anyhow::Context as _;
use bytes::Bytes;
use crypto_intel_service::{
    OutboundGuard, Secret, error_chain, now_us, outbound_client, retry_after,
};
use reqwest::{
    Client, Method, Response, StatusCode, Url,
    header::{
        CONTENT_TYPE, ETAG, HeaderMap, HeaderValue, IF_MODIFIED_SINCE, IF_NONE_MATCH,
        LAST_MODIFIED, LOCATION,
    },
};

use super::{error::FetchError, pages::Page};
use crate::{
    catalogue::{Endpoint, Provider},
    config::Config,
    mapping::filter::shorten,
    quota::signals::Signals,
};

/// Largest answer that is kept until the next one.
const MAX_KNOWN_BYTES: usize = 1 << 20;
/// How much of an error's body is read, and how much of it is shown.
const ERROR_BODY_BYTES: usize = 16 << 10;
const EXCERPT_CHARACTERS: usize = 160;
/// How long to wait where the provider does not say it.
const LIMITED_WAIT: Duration = Duration::from_secs(60);
const BANNED_WAIT: Duration = Duration::from_secs(120);

/// What a provider answered.
#[derive(Debug, Clone)]
pub(crate) struct Answer {
    pub(crate) body: Bytes,
    pub(crate) content_type: String,
    /// When its last byte came, microseconds.
    pub(crate) received_at_us: i64,
    pub(crate) validators: Validators,
    /// What its headers say of the quota.
    pub(crate) signals: Signals,
}

/// What lets a provider say that an answer has not changed.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Validators {
    pub(crate) etag: Option<HeaderValue>,
    pub(crate) last_modified: Option<HeaderValue>,
}

/// What differs from one request of an endpoint to the next.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Ask<'a> {
    pub(crate) key: Option<&'a Secret>,
    /// Query parameters of a further page, in place of those of the endpoint; empty for the first.
    pub(crate) page: &'a Page,
    /// The last answer, if the provider may say that it has not changed.
    pub(crate) known: Option<&'a Answer>,
}

impl Answer {
    /// An answer that came another way than over HTTP.
    pub(crate) fn recorded(body: Vec<u8>) -> Self {
        Self {
            body: body.into(),
            content_type: String::new(),
            received_at_us: now_us(),
            validators: Validators::default(),
            signals: Signals::default(),
        }
    }

    /// Whether it is worth keeping, to be asked again whether it has changed.
    pub(crate) fn can_be_confirmed(&self) -> bool {
        self.body.len() <= MAX_KNOWN_BYTES && self.validators != Validators::default()
    }
}

impl Validators {
    fn of(headers: &HeaderMap) -> Self {
        let value = |name| headers.get(name).cloned();
        Self { etag: value(ETAG), last_modified: value(LAST_MODIFIED) }
    }

    fn add_to(&self, headers: &mut HeaderMap) {
        let conditions = [(IF_NONE_MATCH, &self.etag), (IF_MODIFIED_SINCE, &self.last_modified)];
        for (name, value) in conditions {
            if let Some(value) = value {
                headers.insert(name, value.clone());
            }
        }
    }
}

/// Sends requests to providers over HTTP.
#[derive(Debug, Clone)]
pub(crate) struct Fetcher {
    client: Client,
    guard: OutboundGuard,
}

impl Fetcher {
    /// A client for all providers.
    ///
    /// # Errors
    /// When TLS cannot be set up.
    pub(crate) fn new(config: &Config) -> anyhow::Result<Self> {
        let guard = OutboundGuard::new(config.named_hosts());
        let client = outbound_client(&guard, &config.user_agent).context("set up http client")?;
        Ok(Self { client, guard })
    }

    /// Sends one request.
    pub(crate) async fn fetch(
        &self,
        provider: &Provider,
        endpoint: &Endpoint,
        ask: Ask<'_>,
    ) -> Result<Answer, FetchError> {
        let key = provider.key_place.as_ref().zip(ask.key);
        let rendered =
            endpoint.request.render(&endpoint.base_url, &endpoint.variables, key, ask.page);
        let mut rendered = rendered.map_err(|mistake| FetchError::Request {
            field: mistake.field.join("."),
            problem: provider.redact(&mistake.problem),
        })?;
        let method = endpoint.request.method.clone();
        let known = ask.known.filter(|_| method == Method::GET && ask.page.is_empty());
        if let Some(known) = known {
            known.validators.add_to(&mut rendered.headers);
        }
        self.guard
            .check_host(rendered.url.host_str().unwrap_or_default())
            .map_err(|refused| FetchError::Inside { reason: refused.to_string() })?;
        let mut request = self.client.request(method, rendered.url).headers(rendered.headers);
        if let Some(body) = rendered.body {
            request = request.body(body);
        }
        let work = async {
            let response =
                request.send().await.map_err(|error| match self.guard.refusal(&error) {
                    Some(refused) => FetchError::Inside { reason: refused.to_string() },
                    None => transport(provider, error),
                })?;
            read(provider, endpoint, known, response).await
        };
        let timeout_ms = u64::try_from(endpoint.timeout.as_millis()).unwrap_or(u64::MAX);
        tokio::time::timeout(endpoint.timeout, work)
            .await
            .unwrap_or(Err(FetchError::Timeout { timeout_ms }))
    }
}

async fn read(
    provider: &Provider,
    endpoint: &Endpoint,
    known: Option<&Answer>,
    response: Response,
) -> Result<Answer, FetchError> {
    let status = response.status();
    let signals = provider.signals.read(response.headers(), now_us());
    if let Some(known) = known.filter(|_| status == StatusCode::NOT_MODIFIED) {
        return Ok(Answer { received_at_us: now_us(), signals, ..known.clone() });
    }
    let content_type = response.headers().get(CONTENT_TYPE);
    let content_type = content_type
        .map(|value| shorten(&String::from_utf8_lossy(value.as_bytes()), 60))
        .unwrap_or_default();
    if status.is_success() {
        let validators = Validators::of(response.headers());
        let body = read_body(provider, response, endpoint.max_body_bytes, false).await?;
        return Ok(Answer {
            body: body.into(),
            content_type,
            received_at_us: now_us(),
            validators,
            signals,
        });
    }
    if status.is_redirection() && status != StatusCode::NOT_MODIFIED {
        let target = response.headers().get(LOCATION).map(|to| target_of(response.url(), to));
        let to = target.unwrap_or_else(|| "nowhere".to_owned());
        return Err(FetchError::Redirect { status: status.as_u16(), to: provider.redact(&to) });
    }
    let wait = retry_after(response.headers());
    // Of a limited request, the end of the window says the same.
    let wait = wait.or_else(|| signals.reset.filter(|_| status == StatusCode::TOO_MANY_REQUESTS));
    // The status decides; the readable part of the body only explains it.
    let body = read_body(provider, response, ERROR_BODY_BYTES, true).await.unwrap_or_default();
    Err(classify(status, wait, excerpt(provider, &body)))
}

fn classify(status: StatusCode, wait: Option<Duration>, excerpt: String) -> FetchError {
    let code = status.as_u16();
    let reason = || format!("status {code}: {excerpt}");
    match code {
        429 => FetchError::RateLimited { reason: reason(), wait: wait.or(Some(LIMITED_WAIT)) },
        418 => FetchError::Banned { reason: reason(), wait: wait.unwrap_or(BANNED_WAIT) },
        401 | 402 | 403 | 451 => FetchError::Refused { status: code, excerpt },
        500..=599 => FetchError::Server { status: code, excerpt, wait },
        _ => FetchError::Status { status: code, excerpt },
    }
}

/// Host and path of a redirect's target: its query may repeat a key.
fn target_of(from: &Url, location: &HeaderValue) -> String {
    let location = String::from_utf8_lossy(location.as_bytes());
    match from.join(&location) {
        Ok(url) => {
            let host = url.host_str().unwrap_or_default();
            shorten(&format!("{}://{host}{}", url.scheme(), url.path()), EXCERPT_CHARACTERS)
        }
        Err(_) => "an address that is none".to_owned(),
    }
}

/// At most `limit` bytes once they are decompressed; more is an error, or cut.
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
