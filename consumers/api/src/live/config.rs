use axum::http::Uri;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Live events over websockets and server-sent events.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct LiveConfig {
    /// Maximum number of connections of this process.
    pub max_connections: usize,
    /// Maximum number of connections of one key.
    pub max_connections_per_key: usize,
    /// Maximum number of connections without a key from one address; an IPv6 address counts by its /64.
    pub max_connections_per_address: usize,
    /// Origins of other web pages that may connect, such as `"https://desk.example"`; pages of the API's own host may.
    pub allowed_origins: Vec<String>,
    /// Events of each stream that are kept in memory for clients that come back.
    pub ring_events: usize,
    /// The same in mebibytes, by an estimate.
    pub ring_megabytes: usize,
    /// Addresses that the filters of all clients may name together.
    pub max_addresses: usize,
}

impl Default for LiveConfig {
    fn default() -> Self {
        Self {
            max_connections: 10_000,
            max_connections_per_key: 50,
            max_connections_per_address: 20,
            allowed_origins: Vec::new(),
            ring_events: 65_536,
            ring_megabytes: 64,
            max_addresses: 1_000_000,
        }
    }
}

impl LiveConfig {
    /// One sentence per problem, with the key, the problem and how to correct it.
    pub(crate) fn problems(&self) -> Vec<String> {
        let mut problems = Vec::new();
        for (place, origin) in self.allowed_origins.iter().enumerate() {
            let uri = origin.parse::<Uri>().ok();
            let is_origin = uri
                .is_some_and(|uri| uri.scheme().is_some() && uri.authority().is_some())
                && origin.matches('/').count() == 2;
            if !is_origin {
                problems.push(format!(
                    "api.live.allowed_origins[{place}]: {origin:?} is no origin: write scheme and host, such as \"https://desk.example\""
                ));
            }
        }
        for (key, is_zero) in [
            ("max_connections", self.max_connections == 0),
            ("max_connections_per_key", self.max_connections_per_key == 0),
            ("max_connections_per_address", self.max_connections_per_address == 0),
            ("ring_events", self.ring_events == 0),
            ("ring_megabytes", self.ring_megabytes == 0),
            ("max_addresses", self.max_addresses == 0),
        ] {
            if is_zero {
                problems.push(format!("api.live.{key}: must be above 0"));
            }
        }
        problems
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn wrong_settings_are_named() {
        assert_eq!(LiveConfig::default().problems(), Vec::<String>::new());
        let origins = ["https://desk.example", "desk.example", "https://desk.example/", "*"];
        let wrong = LiveConfig {
            allowed_origins: origins.map(ToOwned::to_owned).to_vec(),
            ring_events: 0,
            ..LiveConfig::default()
        };
        let problems = wrong.problems();
        assert_eq!(problems.len(), 4, "{problems:?}");
        assert!(problems[0].contains("allowed_origins[1]") && problems[3].contains("ring_events"));
    }
}
