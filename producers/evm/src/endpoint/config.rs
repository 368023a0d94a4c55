use std::{collections::BTreeMap, num::NonZeroU32};

use crypto_intel_service::Secret;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Where the key goes in URL and headers.
const KEY_PLACE: &str = "{key}";

/// One JSON-RPC endpoint.
#[derive(Debug, Clone, Default, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct EndpointConfig {
    /// Name in logs, metrics and `status.node` events. Default: the host of the URL.
    pub name: Option<String>,
    /// Who runs it. Endpoints of one operator count once wherever two must agree. Default: the registrable domain of
    /// the URL's host, or its address.
    pub operator: Option<String>,
    /// `ws://`, `wss://`, `http://` or `https://`; a key in it is never shown. `{key}` in it is replaced
    /// by `key`. No default.
    pub url: Secret,
    /// `"primary"` serves whenever it can; `"fallback"` only while no primary can. Default: `"primary"`.
    pub role: Role,
    /// Headers of every request (of the handshake, for a websocket); `{key}` in them is replaced by
    /// `key`. Default: none.
    pub headers: BTreeMap<String, Secret>,
    /// What replaces `{key}` in `url` and `headers`; `key_file` names a file that holds it. Default: none.
    pub key: Secret,
    /// An HTTP proxy for this endpoint, `http://[user:password@]host:port`; a websocket goes through it
    /// by `CONNECT`. Default: none.
    pub proxy: Secret,
    /// Maximum requests per second, including those for heads; further ones wait. Default: no limit.
    pub requests_per_second: Option<f64>,
    /// Maximum compute units per second; further requests wait. Default: no limit.
    pub compute_units_per_second: Option<u32>,
    /// Compute units of a request by method, as the provider bills them. `default` is for methods that are not listed,
    /// 20 if it is not set. Default: none.
    pub compute_units: BTreeMap<String, u32>,
}

/// When an endpoint serves.
#[derive(
    Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema,
)]
#[serde(rename_all = "lowercase")]
pub enum Role {
    /// Whenever it can.
    #[default]
    Primary,
    /// Only while no primary can.
    Fallback,
}

impl Role {
    /// Its name: `primary` or `fallback`.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Primary => "primary",
            Self::Fallback => "fallback",
        }
    }
}

/// Circuit breaker: when a failing endpoint is left alone.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct BreakerConfig {
    /// Failures in a row after which an endpoint is left alone. Default: 5.
    pub failures: u32,
    /// For how long, the first time, seconds; doubled, up to 600, each time a trial fails as well.
    /// Default: 30.
    pub open_seconds: u64,
    /// Trial requests that must succeed before it is used as before. Default: 3.
    pub successes: u32,
}

impl Default for BreakerConfig {
    fn default() -> Self {
        Self { failures: 5, open_seconds: 30, successes: 3 }
    }
}

impl EndpointConfig {
    /// An endpoint by its URL alone.
    #[must_use]
    pub fn at(url: impl Into<String>) -> Self {
        Self { url: Secret::new(url), ..Self::default() }
    }

    /// What logs and metrics call it: the configured name, else host and port of the URL.
    #[must_use]
    pub fn label(&self) -> String {
        match &self.name {
            Some(name) => name.clone(),
            None => host_of(self.trimmed()).unwrap_or("unnamed").to_owned(),
        }
    }

    /// Who runs it: the configured operator, else the registrable domain of the host.
    #[must_use]
    pub fn operator(&self) -> String {
        match &self.operator {
            Some(operator) => operator.clone(),
            None => operator_of(host_of(self.trimmed()).unwrap_or("unnamed")),
        }
    }

    /// The URL without surrounding whitespace.
    fn trimmed(&self) -> &str {
        self.url.expose().trim()
    }

    pub(crate) fn is_websocket(&self) -> bool {
        self.trimmed().starts_with("ws")
    }

    /// The URL with its key.
    ///
    /// # Errors
    /// When the key's file cannot be read.
    pub(crate) fn full_url(&self) -> Result<Secret, String> {
        Ok(Secret::new(self.trimmed().replace(KEY_PLACE, self.read_key()?.expose())))
    }

    /// The headers with the key.
    ///
    /// # Errors
    /// When the key's file cannot be read, or a header is malformed.
    pub(crate) fn full_headers(&self) -> Result<reqwest::header::HeaderMap, String> {
        let key = self.read_key()?;
        let mut headers = reqwest::header::HeaderMap::new();
        for (name, value) in &self.headers {
            let value = value.expose().replace(KEY_PLACE, key.expose());
            let header = reqwest::header::HeaderName::try_from(name.as_str());
            let value = reqwest::header::HeaderValue::try_from(value);
            // Neither error may repeat the value.
            let (Ok(header), Ok(mut value)) = (header, value) else {
                return Err(format!("header {name:?} is malformed"));
            };
            value.set_sensitive(true);
            headers.insert(header, value);
        }
        Ok(headers)
    }

    fn read_key(&self) -> Result<&Secret, String> {
        self.key.problem().map_or(Ok(&self.key), |problem| Err(problem.to_owned()))
    }

    /// Compute units of a method.
    pub(crate) fn weight_of(&self, method: &str) -> NonZeroU32 {
        let weight = self.compute_units.get(method).or_else(|| self.compute_units.get("default"));
        NonZeroU32::new(weight.copied().unwrap_or(20)).unwrap_or(NonZeroU32::MIN)
    }

    pub(crate) fn validate(&self, key: &str, problems: &mut Vec<String>) {
        if self.url.problem().is_some() {
            return;
        }
        let url = self.trimmed();
        if url.is_empty() {
            problems.push(format!("{key}.url: missing; set ws://, wss://, http:// or https://"));
            return;
        }
        let known =
            ["ws://", "wss://", "http://", "https://"].iter().any(|scheme| url.starts_with(scheme));
        // The URL may hold a key: it is not repeated.
        if !known {
            problems
                .push(format!("{key}.url: unknown scheme; use ws://, wss://, http:// or https://"));
        } else if url.contains(char::is_whitespace) {
            problems.push(format!("{key}.url: there is a blank in it; remove it"));
        } else if host_of(url).is_none() {
            problems.push(format!("{key}.url: no host in it; write it as wss://host/path"));
        }
        self.validate_access(key, problems);
    }

    fn validate_access(&self, key: &str, problems: &mut Vec<String>) {
        let proxy = self.proxy.expose();
        if !proxy.is_empty() && (!proxy.starts_with("http://") || host_of(proxy).is_none()) {
            problems.push(format!("{key}.proxy: write it as http://[user:password@]host:port"));
        }
        // A process without this role need not be able to read its key.
        if self.key.problem().is_none()
            && let Err(problem) = self.full_headers()
        {
            problems.push(format!("{key}: {problem}"));
        }
        if self.requests_per_second.is_some_and(|rate| !(0.01..=100_000.0).contains(&rate)) {
            problems.push(format!("{key}.requests_per_second: set 0.01 to 100000"));
        }
        if self.compute_units_per_second == Some(0) {
            problems
                .push(format!("{key}.compute_units_per_second: 0 is not possible; set 1 or more"));
        }
    }
}

/// Host and port of a URL: never its user, password, path or query, where keys are.
pub(crate) fn host_of(url: &str) -> Option<&str> {
    let rest = url.split_once("://")?.1;
    let authority = rest.split(['/', '?', '#']).next()?;
    let host = authority.rsplit('@').next()?;
    (!host.is_empty() && !host.starts_with(':')).then_some(host)
}

/// Labels under a country's domain below which names are registered, as in `example.co.uk`.
const SECOND_LEVEL: &[&str] = &["ac", "co", "com", "edu", "gov", "ne", "net", "or", "org"];

/// The registrable domain of a host, or its IP address. A domain that is too short merges two operators, which makes
/// checks stricter and never weaker.
fn operator_of(host: &str) -> String {
    let name = match host.strip_prefix('[') {
        Some(address) => address.split(']').next().unwrap_or(address),
        None => host.split(':').next().unwrap_or(host),
    };
    let name = name.trim_end_matches('.').to_ascii_lowercase();
    if name.parse::<std::net::IpAddr>().is_ok() {
        return name;
    }
    let labels: Vec<&str> = name.split('.').collect();
    let of_country = |labels: &[&str]| matches!(labels, [.., second, top] if top.len() == 2 && SECOND_LEVEL.contains(second));
    let kept = if of_country(&labels) { 3 } else { 2 };
    labels[labels.len().saturating_sub(kept)..].join(".")
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    #[test]
    fn labels_never_show_a_key() {
        for url in [
            "wss://user:secret@node.example:8546/v2/secret?key=secret",
            "https://node.example:8546/secret",
            "ws://node.example:8546?secret",
        ] {
            assert_eq!(EndpointConfig::at(url).label(), "node.example:8546");
        }
    }

    #[test]
    fn the_operator_is_the_registrable_domain() {
        for (url, operator) in [
            ("wss://eth.provider.example/key", "provider.example"),
            ("https://rpc.eth.Provider.example:443", "provider.example"),
            ("https://node.provider.co.uk", "provider.co.uk"),
            ("ws://127.0.0.1:8546", "127.0.0.1"),
            ("http://[::1]:8545", "::1"),
            ("http://geth:8545", "geth"),
        ] {
            assert_eq!(EndpointConfig::at(url).operator(), operator, "{url}");
        }
        let own = EndpointConfig {
            operator: Some("mine".to_owned()),
            ..EndpointConfig::at("wss://a.provider.example")
        };
        assert_eq!(own.operator(), "mine");
    }

    #[test]
    fn the_key_replaces_its_placeholder() {
        let config: EndpointConfig = toml::from_str(
            "url = \"wss://node.example/{key}/ws\"\nkey = \"hush\"\nheaders = { authorization = \"Bearer {key}\" }",
        )
        .unwrap();
        assert_eq!(config.full_url().unwrap().expose(), "wss://node.example/hush/ws");
        assert_eq!(config.full_headers().unwrap()["authorization"], "Bearer hush");
        assert!(!format!("{config:?}").contains("Bearer"));
    }

    #[test]
    fn methods_weigh_what_the_provider_bills() {
        let config: EndpointConfig =
            toml::from_str("compute_units = { eth_getLogs = 60, default = 10 }").unwrap();
        assert_eq!(config.weight_of("eth_getLogs").get(), 60);
        assert_eq!(config.weight_of("eth_chainId").get(), 10);
        assert_eq!(EndpointConfig::default().weight_of("eth_chainId").get(), 20);
    }
}
