//! What the types of the configuration cannot express.

use std::collections::BTreeSet;

use crypto_intel_schemas::{Address, subjects};

use super::{ChainConfig, Config, presets};
use crate::abis;

impl Config {
    /// Checks what the types cannot express.
    ///
    /// # Errors
    /// One sentence per problem, with the key, the problem and how to correct it.
    pub fn validate(&self) -> Result<(), Vec<String>> {
        let mut problems = self.look_alikes.problems();
        for (slug, chain) in &self.chains {
            let key = format!("evm.chains.{slug}");
            if !subjects::is_chain_slug(slug) {
                problems.push(format!(
                    "{key}: {slug:?} is not a chain slug; use 1 to 32 of the characters a-z, 0-9 and -"
                ));
            }
            // On the history lane both are in the same place of a subject.
            if subjects::POLLED_FAMILIES.contains(&slug.as_str()) {
                problems.push(format!(
                    "{key}: subjects of polled events begin with {slug:?}; use another name for the chain"
                ));
            }
            chain.validate(&key, &mut problems);
        }
        if problems.is_empty() { Ok(()) } else { Err(problems) }
    }
}

impl ChainConfig {
    fn validate(&self, key: &str, problems: &mut Vec<String>) {
        if !self.enabled {
            return;
        }
        if self.chain_id == 0 {
            problems
                .push(format!("{key}.chain_id: missing; set the chain's EIP-155 id, such as 1"));
        }
        if self.endpoints.is_empty() {
            problems.push(format!(
                "{key}.endpoints: empty; add at least one, such as {{ url = \"wss://…\" }}"
            ));
        }
        let mut labels = BTreeSet::new();
        for (index, endpoint) in self.endpoints.iter().enumerate() {
            endpoint.validate(&format!("{key}.endpoints[{index}]"), problems);
            if !labels.insert(endpoint.label()) {
                problems.push(format!(
                    "{key}.endpoints[{index}].name: {:?} is used twice; give each endpoint a name of its own",
                    endpoint.label()
                ));
            }
        }
        if let Some(name) = self.preset.as_deref().filter(|name| !presets::is_known(name)) {
            problems.push(format!(
                "{key}.preset: {name:?} is not a preset; use one of {}, or \"none\"",
                presets::names().join(", ")
            ));
        }
        if let Some(wrapped) = &self.wrapped_native
            && wrapped.parse::<Address>().is_err()
        {
            problems.push(format!(
                "{key}.wrapped_native: {wrapped:?} is no address; write 0x and 40 hex digits"
            ));
        }
        for (index, contract) in self.contracts.iter().enumerate() {
            if contract.parse::<Address>().is_err() {
                problems.push(format!(
                    "{key}.contracts[{index}]: {contract:?} is no address; write 0x and 40 hex digits"
                ));
            }
        }
        self.scope.validate(&format!("{key}.scope"), problems);
        self.scope.validate_transactions(self.transactions, key, problems);
        abis::config::validate(&self.abis, key, problems);
        if !self.multicall.is_empty() && self.multicall.parse::<Address>().is_err() {
            problems.push(format!(
                "{key}.multicall: {:?} is no address; write 0x and 40 hex digits, or nothing",
                self.multicall
            ));
        }
        self.validate_explorers(key, problems);
        self.validate_numbers(key, problems);
    }

    fn validate_explorers(&self, key: &str, problems: &mut Vec<String>) {
        let mut labels = BTreeSet::new();
        for (index, explorer) in self.explorers.iter().enumerate() {
            explorer.validate(&format!("{key}.explorers[{index}]"), problems);
            if !labels.insert(explorer.label()) {
                problems.push(format!(
                    "{key}.explorers[{index}].name: {:?} is used twice; give each explorer a name of its own",
                    explorer.label()
                ));
            }
        }
    }

    fn validate_numbers(&self, key: &str, problems: &mut Vec<String>) {
        let positive = [
            ("max_reorg_depth", self.max_reorg_depth),
            ("finality_poll_ms", self.finality_poll_ms),
            ("silence_seconds", self.silence_seconds),
            ("stale_seconds", self.stale_seconds),
            ("request_timeout_ms", self.request_timeout_ms),
            ("http_poll_ms", self.http_poll_ms),
            ("traces_budget_ms", self.traces_budget_ms),
            ("block_time_ms", self.block_time_ms),
            ("balances_seconds", self.balances_seconds),
            ("lag_blocks", self.lag_blocks),
            ("lag_ms", self.lag_ms),
            ("status_seconds", self.status_seconds),
            ("breaker.failures", u64::from(self.breaker.failures)),
            ("breaker.open_seconds", self.breaker.open_seconds),
            ("breaker.successes", u64::from(self.breaker.successes)),
            ("fetch_concurrency", self.fetch_concurrency as u64),
            ("history_concurrency", self.history_concurrency as u64),
        ];
        for (name, value) in positive {
            if value == 0 {
                problems.push(format!("{key}.{name}: 0 is not possible; set 1 or more"));
            }
        }
        if !(1..=1_000).contains(&self.balances_calls) {
            problems.push(format!(
                "{key}.balances_calls: {} is out of range; set 1 to 1000",
                self.balances_calls
            ));
        }
        if !(1..=1_000).contains(&self.history_addresses) {
            problems.push(format!(
                "{key}.history_addresses: {} is out of range; set 1 to 1000",
                self.history_addresses
            ));
        }
        if !(32..=900_000).contains(&self.max_log_data_bytes) {
            problems.push(format!(
                "{key}.max_log_data_bytes: {} is out of range; set 32 to 900000",
                self.max_log_data_bytes
            ));
        }
        if self.native.decimals > 77 {
            problems.push(format!(
                "{key}.native.decimals: {} is out of range; set 0 to 77",
                self.native.decimals
            ));
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    #[test]
    fn problems_name_key_and_remedy_and_never_the_url() {
        let config: Config = toml::from_str(
            r#"
            [chains.Bad_Slug]
            contracts = ["0x12"]
            silence_seconds = 0
            endpoints = [{ url = "ftp://secret" }, { url = "wss:///secret" }]
            "#,
        )
        .unwrap();
        let problems = config.validate().unwrap_err().join("\n");
        for part in [
            "evm.chains.Bad_Slug: \"Bad_Slug\"",
            "chain_id: missing",
            "contracts[0]",
            "silence_seconds: 0",
            "endpoints[0].url: unknown scheme",
            "endpoints[1].url: no host",
        ] {
            assert!(problems.contains(part), "{part} in {problems}");
        }
        assert!(!problems.contains("secret"), "{problems}");
    }
}
