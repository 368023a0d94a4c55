use std::{
    collections::BTreeMap,
    net::{IpAddr, Ipv4Addr, SocketAddr},
};

use crypto_intel_notify::Language;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crypto_intel_evm::ListedToken;
use crypto_intel_schemas::{ApiRole, Explorers};

use crate::{auth::jwt::config::JwtConfig, live::config::LiveConfig};

/// The API over HTTP.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    /// Whether it runs; it needs a database.
    pub enabled: bool,
    /// Address to listen on; port 0 takes a free one. On another address than loopback put a proxy with TLS before it, and name
    /// its hosts in `hosts`.
    #[schemars(with = "String")]
    pub listen: SocketAddr,
    /// Host names, without port, by which clients may call it, beside `localhost` and loopback addresses. A request for another
    /// host is refused: a web page cannot reach this port under a name of its own.
    pub hosts: Vec<String>,
    /// Role of clients without a key: `viewer`, `analyst`, `operator` or `admin`. Default: none, every request needs a key.
    pub anonymous_role: Option<ApiRole>,
    /// Maximum number of connections to the database.
    pub pool_size: usize,
    /// How long one statement may take before the server cancels it, in milliseconds.
    pub statement_timeout_ms: u64,
    /// How long a request may wait for a free connection before it is refused, in milliseconds.
    pub pool_wait_ms: u64,
    /// How long one request may take in all, in milliseconds.
    pub request_timeout_ms: u64,
    /// How long a client may take to send the line and the headers of a request, in milliseconds; a connection that is quiet for
    /// longer is closed.
    pub header_timeout_ms: u64,
    /// Maximum size of a request's body, in bytes.
    pub max_body_bytes: usize,
    /// Requests of one key, or of one address without a key, that may be answered at the same time.
    pub max_requests_at_once: usize,
    /// Cost that a key may use each minute; a look-up costs 1, a list 2, a summary 5.
    pub cost_per_minute: u32,
    /// The same for each address of clients without a key; an IPv6 address counts by its /64.
    pub anonymous_cost_per_minute: u32,
    /// Changes that a key, or a client without one, may make each minute, whatever else they cost.
    pub changes_per_minute: u32,
    /// Networks of proxies whose `X-Forwarded-For` is believed, such as `"10.0.0.0/8"`. Default: none.
    pub trusted_proxies: Vec<String>,
    /// Whether clients of other machines may call it without TLS, where everybody on the way reads their keys.
    pub plain_http: bool,
    /// People whom an identity provider knows.
    pub jwt: JwtConfig,
    /// Live events.
    pub live: LiveConfig,
    /// Names of the destinations that rules may route to; filled in by the process from its configuration. Routes are not checked
    /// where it is absent.
    #[serde(skip)]
    pub destinations: Option<Vec<String>>,
    /// The same with the languages of their messages: what dead letters are handed back to.
    #[serde(skip)]
    pub languages: BTreeMap<String, Language>,
    /// Block explorers of chains; filled in by the process from its configuration.
    #[serde(skip)]
    pub explorers: Explorers,
    /// The list of tokens; filled in by the process from its configuration.
    #[serde(skip)]
    pub tokens: Vec<ListedToken>,
    /// Which providers are polled; filled in by the process from its configuration.
    #[serde(skip)]
    pub poll: crypto_intel_poll::Config,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            enabled: true,
            listen: SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 8420),
            hosts: Vec::new(),
            anonymous_role: None,
            pool_size: 8,
            statement_timeout_ms: 5_000,
            pool_wait_ms: 250,
            request_timeout_ms: 15_000,
            header_timeout_ms: 30_000,
            max_body_bytes: 64 << 10,
            max_requests_at_once: 32,
            cost_per_minute: 600,
            anonymous_cost_per_minute: 120,
            changes_per_minute: 60,
            trusted_proxies: Vec::new(),
            plain_http: false,
            jwt: JwtConfig::default(),
            live: LiveConfig::default(),
            destinations: None,
            languages: BTreeMap::new(),
            explorers: Explorers::default(),
            tokens: Vec::new(),
            poll: crypto_intel_poll::Config::default(),
        }
    }
}

impl Config {
    /// Checks what the types cannot express.
    ///
    /// # Errors
    /// One sentence per problem, with the key, the problem and how to correct it.
    pub fn validate(&self) -> Result<(), Vec<String>> {
        let mut problems = self.live.problems();
        problems.extend(self.jwt.problems());
        if !self.listen.ip().is_loopback() {
            if self.hosts.is_empty() {
                problems.push(format!(
                    "api.hosts: names no host, and api.listen is {}: name the hosts by which clients call it, or listen on 127.0.0.1",
                    self.listen
                ));
            }
            if let Some(host) = self.hosts.iter().find(|host| !is_of_this_machine(host))
                && self.trusted_proxies.is_empty()
                && !self.plain_http
            {
                problems.push(format!(
                    "api.trusted_proxies: names no proxy with TLS, and {host:?} is called from other machines: name the network of yours, or set api.plain_http to true where keys may be read on the way"
                ));
            }
            if self.anonymous_role.is_some_and(|role| role != ApiRole::Viewer) {
                problems.push(format!(
                    "api.anonymous_role: would let anybody who reaches {} change things: use \"viewer\", or none and keys (`crypto-intel keys add`)",
                    self.listen
                ));
            }
        }
        for (place, host) in self.hosts.iter().enumerate() {
            if host.is_empty()
                || host.contains(['/', ':', '*', ' ']) && host.parse::<IpAddr>().is_err()
            {
                problems.push(format!(
                    "api.hosts[{place}]: {host:?} is no host name: write it without scheme, port and wildcard"
                ));
            }
        }
        for (place, network) in self.trusted_proxies.iter().enumerate() {
            if let Err(reason) = network.parse::<crate::layers::client::Network>() {
                problems.push(format!("api.trusted_proxies[{place}]: {reason}"));
            }
        }
        for (key, is_zero) in [
            ("pool_size", self.pool_size == 0),
            ("statement_timeout_ms", self.statement_timeout_ms == 0),
            ("request_timeout_ms", self.request_timeout_ms == 0),
            ("header_timeout_ms", self.header_timeout_ms == 0),
            ("max_body_bytes", self.max_body_bytes == 0),
            ("max_requests_at_once", self.max_requests_at_once == 0),
            ("changes_per_minute", self.changes_per_minute == 0),
            ("cost_per_minute", self.cost_per_minute == 0),
            ("anonymous_cost_per_minute", self.anonymous_cost_per_minute == 0),
        ] {
            if is_zero {
                problems.push(format!("api.{key}: must be above 0"));
            }
        }
        if problems.is_empty() { Ok(()) } else { Err(problems) }
    }
}

fn is_of_this_machine(host: &str) -> bool {
    host.eq_ignore_ascii_case("localhost")
        || host.parse::<IpAddr>().is_ok_and(|address| address.is_loopback())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_open_address_needs_hosts_and_gives_strangers_nothing_to_change() {
        let open = Config { listen: "0.0.0.0:8420".parse().unwrap(), ..Config::default() };
        assert!(open.validate().unwrap_err()[0].starts_with("api.hosts"));
        let named = Config { hosts: vec!["api.example.org".into()], ..open.clone() };
        assert!(named.validate().unwrap_err()[0].starts_with("api.trusted_proxies"));
        Config { plain_http: true, ..named.clone() }.validate().unwrap();
        // A published port of a container that only this machine reaches.
        Config { hosts: vec!["localhost".into()], ..open }.validate().unwrap();
        let named = Config { trusted_proxies: vec!["10.0.0.0/8".into()], ..named };
        named.validate().unwrap();
        let anonymous = |role| Config { anonymous_role: Some(role), ..named.clone() };
        assert!(anonymous(ApiRole::Viewer).validate().is_ok());
        assert!(anonymous(ApiRole::Admin).validate().unwrap_err()[0].contains("anonymous_role"));
        let local = Config { anonymous_role: Some(ApiRole::Admin), ..Config::default() };
        local.validate().unwrap();
    }

    #[test]
    fn hosts_and_networks_are_checked() {
        for host in ["", "https://x", "x:80", "*.x.org"] {
            let config = Config { hosts: vec![host.to_owned()], ..Config::default() };
            assert!(config.validate().is_err(), "{host}");
        }
        let config = Config {
            hosts: vec!["api.example.org".into(), "10.1.2.3".into(), "::1".into()],
            trusted_proxies: vec!["10.0.0.0/8".into(), "fd00::/8".into()],
            ..Config::default()
        };
        config.validate().unwrap();
        let config = Config { trusted_proxies: vec!["10.0.0.0/33".into()], ..Config::default() };
        assert!(config.validate().is_err());
    }
}
