use std::time::Duration;

use crypto_intel_service::Secret;
use reqwest::{StatusCode, header};
use serde::{Deserialize, Serialize};
use serde_json::{json, value::RawValue};

use super::{
    answer::Answer,
    error::{EndpointError, tls_hint},
};
use crate::endpoint::config::{EndpointConfig, host_of};

/// Maximum size of an answer; nothing that we ask for is larger.
const MAX_BODY_BYTES: usize = 128 << 20;

/// JSON-RPC over HTTP.
#[derive(Debug)]
pub(crate) struct HttpClient {
    client: reqwest::Client,
    url: Secret,
}

#[derive(Deserialize)]
struct Envelope {
    #[serde(default)]
    result: Option<Box<RawValue>>,
    #[serde(default)]
    error: Option<RpcFailure>,
}

#[derive(Deserialize)]
struct RpcFailure {
    #[serde(default)]
    code: i64,
    #[serde(default)]
    message: String,
    #[serde(default)]
    data: Option<Box<RawValue>>,
}

impl HttpClient {
    pub(crate) fn new(label: &str, config: &EndpointConfig) -> Result<Self, EndpointError> {
        let unusable =
            |reason: String| EndpointError::Connect { endpoint: label.to_owned(), reason };
        if rustls::crypto::CryptoProvider::get_default().is_none() {
            // Another task may have been quicker: either provider will do.
            let _ = rustls::crypto::ring::default_provider().install_default();
        }
        let mut builder = reqwest::Client::builder()
            .connect_timeout(Duration::from_secs(10))
            // The target of a redirect would receive the headers, which may hold a key.
            .redirect(reqwest::redirect::Policy::none())
            .default_headers(config.full_headers().map_err(unusable)?);
        if !config.proxy.is_empty() {
            let proxy = reqwest::Proxy::all(config.proxy.expose())
                .map_err(|_| unusable("proxy is not the URL of a proxy".to_owned()))?;
            builder = builder.proxy(proxy);
        }
        let client = builder.build().map_err(|error| unusable(error.without_url().to_string()))?;
        Ok(Self { client, url: config.full_url().map_err(unusable)? })
    }

    pub(crate) async fn call(
        &self,
        label: &str,
        method: &'static str,
        params: impl Serialize + Send,
    ) -> Result<Answer, EndpointError> {
        let invalid =
            |reason: String| EndpointError::Answer { endpoint: label.to_owned(), method, reason };
        let lost = |error: reqwest::Error| {
            let text = chain(&error.without_url());
            let hint = tls_hint(self.url.expose(), &text);
            EndpointError::Connect { endpoint: label.to_owned(), reason: format!("{text}{hint}") }
        };
        let body = json!({ "jsonrpc": "2.0", "id": 1, "method": method, "params": params });
        let mut response =
            self.client.post(self.url.expose()).json(&body).send().await.map_err(lost)?;
        let status = response.status();
        let retry_after = seconds(&response);
        if status.is_redirection() {
            return Err(redirected(label, &response));
        }
        let mut bytes = Vec::new();
        while let Some(chunk) = response.chunk().await.map_err(lost)? {
            if bytes.len() + chunk.len() > MAX_BODY_BYTES {
                return Err(invalid(format!("more than {MAX_BODY_BYTES} bytes")));
            }
            bytes.extend_from_slice(&chunk);
        }
        let asks_to_wait = status == StatusCode::SERVICE_UNAVAILABLE && retry_after.is_some();
        if status == StatusCode::TOO_MANY_REQUESTS || asks_to_wait {
            let reason = format!("HTTP {}", status.as_u16());
            return Err(EndpointError::RateLimited {
                endpoint: label.to_owned(),
                reason,
                retry_after,
            });
        }
        match serde_json::from_slice::<Envelope>(&bytes) {
            Ok(Envelope { error: Some(error), .. }) => {
                let data = error.data.as_deref().map(RawValue::get);
                Err(EndpointError::from_rpc(label, method, (error.code, &error.message, data)))
            }
            Ok(Envelope { result, .. }) if status.is_success() => {
                // A `null` result is read as an absent one.
                let null = || serde_json::value::to_raw_value(&()).ok();
                result.or_else(null).map(Answer::new).ok_or_else(|| invalid("no result".to_owned()))
            }
            Err(error) if status.is_success() => Err(invalid(error.to_string())),
            _ => Err(EndpointError::Refused {
                endpoint: label.to_owned(),
                method,
                code: i64::from(status.as_u16()),
                reason: format!("HTTP {status}"),
            }),
        }
    }
}

/// A redirect is never followed: only the configuration may name another target.
fn redirected(label: &str, response: &reqwest::Response) -> EndpointError {
    let target = response.headers().get(header::LOCATION).and_then(|value| value.to_str().ok());
    // The rest of the URL may hold a key.
    let host = target.and_then(host_of).unwrap_or("another path");
    EndpointError::Connect {
        endpoint: label.to_owned(),
        reason: format!(
            "HTTP {}, it leads to {host}, which is not followed: set url to where it leads",
            response.status()
        ),
    }
}

fn seconds(response: &reqwest::Response) -> Option<Duration> {
    let text = response.headers().get(header::RETRY_AFTER)?.to_str().ok()?;
    let seconds: u64 = text.trim().parse().ok()?;
    Some(Duration::from_secs(seconds.min(600)))
}

/// reqwest reports the cause only in its sources.
fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(inner) = source {
        text = format!("{text}: {inner}");
        source = inner.source();
    }
    text
}
