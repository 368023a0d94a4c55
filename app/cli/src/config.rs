use std::{
    net::SocketAddr,
    path::{Path, PathBuf},
};

use anyhow::Context as _;
use crypto_intel_alerts::{RuleFiles, RuleSet};
use crypto_intel_nats::{NatsConfig, Topology, TopologyConfig};
use crypto_intel_schemas::Explorers;
use crypto_intel_service::{ConfigError, TelemetryConfig, load_completed, unreadable_secrets};
use crypto_intel_store::{StoreConfig, policies::StorageConfig};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{args::Arguments, roles::Role};

/// The file that is read where none is named.
pub const DEFAULT_FILE: &str = "crypto-intel.toml";

/// Everything that can be configured.
#[derive(Debug, Clone, Default, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct AppConfig {
    /// How to reach NATS.
    pub nats: NatsConfig,
    /// How to reach PostgreSQL.
    pub database: StoreConfig,
    /// How long rows are kept and when they are compressed.
    pub storage: StorageConfig,
    /// Limits of the streams, where they differ from those of this version.
    pub streams: TopologyConfig,
    /// Logs.
    pub telemetry: TelemetryConfig,
    /// The port for operators.
    pub admin: AdminConfig,
    /// Chains.
    pub evm: crypto_intel_evm::Config,
    /// Polled APIs.
    pub poll: crypto_intel_poll::Config,
    /// From streams to tables.
    pub persist: crypto_intel_persist::Config,
    /// Alert rules.
    pub alerts: crypto_intel_alerts::Config,
    /// Destinations of alerts.
    pub notify: crypto_intel_notify::Config,
    /// The API over HTTP.
    pub api: crypto_intel_api::Config,
    /// Secrets whose files cannot be read, by their keys: they matter to those who need them.
    #[serde(skip)]
    pub(crate) unreadable: Vec<(String, String)>,
}

/// The port for operators: `/live`, `/ready`, `/metrics`.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct AdminConfig {
    /// Address to listen on; nothing there is authenticated, so keep it on a private network.
    #[schemars(with = "String")]
    pub listen: SocketAddr,
}

impl Default for AdminConfig {
    fn default() -> Self {
        Self { listen: SocketAddr::from(([127, 0, 0, 1], 9464)) }
    }
}

impl AppConfig {
    /// Reads defaults, file, environment and flags, and validates the whole.
    ///
    /// # Errors
    /// Every problem with its key, its place and its remedy.
    pub fn load(arguments: &Arguments) -> Result<Self, ConfigError> {
        let file = config_file(arguments.config.as_deref());
        let overrides = match &arguments.log {
            Some(filter) => serde_json::json!({ "telemetry": { "log": filter } }),
            None => serde_json::json!({}),
        };
        Self::load_from(file.as_deref(), std::env::vars(), &overrides)
    }

    /// The same from a named file and a given environment.
    ///
    /// # Errors
    /// As [`load`](Self::load).
    pub fn load_from(
        file: Option<&Path>,
        environment: impl IntoIterator<Item = (String, String)>,
        overrides: &serde_json::Value,
    ) -> Result<Self, ConfigError> {
        let mut unreadable = Vec::new();
        let mut config: Self = load_completed(file, environment, overrides, |given| {
            unreadable = unreadable_secrets(given);
            serde_json::json!({ "evm": crypto_intel_evm::complete_config(&given["evm"]) })
        })?;
        config.unreadable = unreadable;
        if let Some(folder) = file.and_then(Path::parent) {
            config.resolve_paths(folder);
        }
        config.validate()?;
        config.alerts.destinations = Some(config.notify.destinations.keys().cloned().collect());
        config.poll.used_assets = config.evm.priced_assets();
        config.alerts.explorers =
            Explorers::new(config.evm.chains.values().filter_map(|chain| {
                chain.explorer.clone().map(|explorer| (chain.chain_id, explorer))
            }));
        // The API checks rules as alerts does.
        config.api.destinations = config.alerts.destinations.clone();
        config.api.languages = config.notify.languages();
        config.api.explorers = config.alerts.explorers.clone();
        config.api.tokens = config.evm.listed_tokens();
        Ok(config)
    }

    /// Files lie beside the configuration that names them: relative paths begin at its folder.
    fn resolve_paths(&mut self, folder: &Path) {
        let chains = self.evm.chains.values_mut();
        let abis = chains.flat_map(|chain| &mut chain.abis).filter_map(|abi| abi.abi.as_mut());
        let single = [
            &mut self.nats.credentials_file,
            &mut self.nats.tls_ca_file,
            &mut self.database.tls_ca_file,
            &mut self.telemetry.file,
            &mut self.evm.assets,
            &mut self.poll.catalogue,
            &mut self.poll.assets,
            &mut self.notify.routes,
        ];
        let paths = self.alerts.rules.iter_mut().chain(single.into_iter().flatten()).chain(abis);
        paths.for_each(|path| *path = folder.join(&*path));
    }

    /// The rules, if nothing is wrong with them.
    ///
    /// # Errors
    /// A text per problem, with its file and place.
    pub fn check_rules(&self) -> Result<RuleSet, Vec<String>> {
        let destinations = self.alerts.destinations.clone().unwrap_or_default();
        crypto_intel_alerts::load_rules(&self.alerts.rules, Some(&destinations))
            .map_err(|problems| problems.iter().map(ToString::to_string).collect())
    }

    /// Whether the configuration says where rules are, and does not leave it at the default.
    pub(crate) fn names_rules(&self) -> bool {
        let default = crypto_intel_alerts::Config::default().rules;
        let rules = &self.alerts.rules;
        rules.len() != default.len()
            || rules.iter().zip(&default).any(|(path, default)| !path.ends_with(default))
    }

    /// Everything that keeps a role from working at all and that only its files or its catalogue can say.
    #[must_use]
    pub fn problems_of(&self, role: Role) -> Vec<String> {
        match role {
            Role::Evm => self
                .evm
                .check_assets()
                .err()
                .map(|error| format!("{error:#}"))
                .into_iter()
                .collect(),
            Role::Poll => match crypto_intel_poll::check_settings(&self.poll)
                .and_then(|()| crypto_intel_poll::check_facts(&self.poll))
            {
                Ok(()) => Vec::new(),
                Err(error) => vec![format!("{:#}", anyhow::Error::from(error))],
            },
            // Rules that are wrong keep the last good ones in force: their role says it.
            Role::Alerts | Role::Persist | Role::Notify | Role::Api => Vec::new(),
        }
    }

    /// Whether there are rule files, whatever is in them: rules may be changed while their role runs.
    pub(crate) fn has_rules(&self) -> bool {
        !RuleFiles::of(&self.alerts.rules).files.is_empty()
    }

    /// Checks what a single field cannot say.
    ///
    /// # Errors
    /// Every problem, each with its remedy.
    pub fn validate(&self) -> Result<(), ConfigError> {
        let mut problems = self.evm.validate().err().unwrap_or_default();
        problems.extend(self.persist.validate().err().unwrap_or_default());
        problems.extend(self.storage.validate().err().unwrap_or_default());
        problems.extend(self.api.validate().err().unwrap_or_default());
        let notify = self.notify.validate().err().unwrap_or_default();
        problems.extend(notify.iter().map(ToString::to_string));
        if problems.is_empty() { Ok(()) } else { Err(ConfigError { problems }) }
    }

    /// Says which secrets under these sections cannot be read.
    ///
    /// # Errors
    /// Each of them with its key and why.
    pub(crate) fn require_secrets(&self, sections: &[&str]) -> Result<(), ConfigError> {
        let is_needed = |key: &str| {
            let rests = sections.iter().filter_map(|section| key.strip_prefix(section));
            rests.into_iter().any(|rest| rest.is_empty() || rest.starts_with('.'))
        };
        let needed = self.unreadable.iter().filter(|(key, _)| is_needed(key));
        let problems: Vec<String> =
            needed.map(|(key, problem)| format!("{key}: {problem}")).collect();
        if problems.is_empty() { Ok(()) } else { Err(ConfigError { problems }) }
    }

    /// The roles that have something to do under this configuration.
    #[must_use]
    pub fn enabled_roles(&self) -> Vec<Role> {
        Role::ALL.into_iter().filter(|role| self.enables(*role)).collect()
    }

    /// Whether a role has something to do under this configuration.
    #[must_use]
    pub fn enables(&self, role: Role) -> bool {
        match role {
            Role::Evm => !self.evm.chains.is_empty(),
            Role::Poll => self.poll.enabled,
            Role::Persist => !self.database.url.is_empty() && self.persist.is_enabled(),
            Role::Alerts => self.alerts.enabled && self.has_rules(),
            Role::Notify => self.notify.is_enabled(),
            Role::Api => self.api.enabled && !self.database.url.is_empty(),
        }
    }

    /// The streams of this version under the configured limits.
    pub(crate) fn topology(&self) -> anyhow::Result<Topology> {
        Topology::embedded()
            .and_then(|topology| topology.with_config(&self.streams))
            .context("read the stream definitions")
    }
}

fn config_file(named: Option<&Path>) -> Option<PathBuf> {
    match named {
        Some(path) => Some(path.to_owned()),
        None => Some(PathBuf::from(DEFAULT_FILE)).filter(|path| path.exists()),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    #[test]
    fn files_are_looked_for_beside_the_configuration_that_names_them() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("crypto-intel.toml");
        let text = r#"
            database = { tls_ca_file = "ca.pem" }
            alerts = { rules = ["rules/*.toml", "/elsewhere/rules.toml"] }
            evm = { assets = "assets.toml", chains.ethereum.abis = [{ name = "pool", abi = "pool.json" }] }
        "#;
        std::fs::write(&file, text).unwrap();
        let abi = r#"[{"type": "event", "name": "Made", "inputs": []}]"#;
        std::fs::write(folder.path().join("pool.json"), abi).unwrap();
        let config = AppConfig::load_from(Some(&file), [], &serde_json::json!({})).unwrap();
        let beside = |name: &str| folder.path().join(name);
        assert_eq!(config.database.tls_ca_file, Some(beside("ca.pem")));
        assert_eq!(config.evm.assets, Some(beside("assets.toml")));
        assert_eq!(config.evm.chains["ethereum"].abis[0].abi, Some(beside("pool.json")));
        let rules = [beside("rules/*.toml"), PathBuf::from("/elsewhere/rules.toml")];
        assert_eq!(config.alerts.rules, rules);
    }

    #[test]
    fn alerts_link_to_the_explorers_of_the_configured_chains() {
        let given = serde_json::json!({ "evm": { "chains": {
            "ethereum": {},
            "mine": { "chain_id": 4242, "explorer": "https://mine.example/", "endpoints": [{ "url": "wss://one.example" }] },
        } } });
        let config = AppConfig::load_from(None, [], &given).unwrap();
        let explorers = &config.alerts.explorers;
        assert_eq!(explorers.of(4242), Some("https://mine.example"));
        assert_eq!(explorers.of(1), Some("https://etherscan.io"));
        assert_eq!(
            explorers.of(5000),
            Some("https://mantlescan.xyz"),
            "known without being configured"
        );
    }
}
