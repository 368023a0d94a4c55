use std::{path::PathBuf, time::Duration};

use crypto_intel_schemas::Explorers;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Evaluation of alert rules.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    /// Whether this process evaluates rules.
    pub enabled: bool,
    /// Rule files. A path may have `*` in its last part: `rules/*.toml`. Relative paths are relative
    /// to the folder of the configuration file.
    pub rules: Vec<PathBuf>,
    /// How often the active instance looks for changed rule files, in milliseconds. What is new and right is in force after
    /// the next block; of what is wrong, the last good rules stay in force.
    pub reload_ms: u64,
    /// Whether the active instance publishes the time into the streams that rules read, once a
    /// second. Off only where another process does.
    pub ticks: bool,
    /// At the very first start, how far back rules look, in seconds. Later starts go on where the
    /// last one ended.
    pub lookback_seconds: u64,
    /// How often the state is stored, in milliseconds. What came since is evaluated again after a
    /// crash; alerts that were published stay single.
    pub snapshot_interval_ms: u64,
    /// How many messages at most lie between two stores of the state.
    pub snapshot_messages: u64,
    /// Names of the destinations that rules may route to; filled in by the process from its
    /// configuration. Routes are not checked where it is absent.
    #[serde(skip)]
    pub destinations: Option<Vec<String>>,
    /// Block explorers of chains; filled in by the process from its configuration.
    #[serde(skip)]
    pub explorers: Explorers,
}

/// Shorter than this, files would be read all the time.
const MIN_RELOAD_MS: u64 = 20;

impl Config {
    /// How often files are looked at.
    pub(crate) fn reload_interval(&self) -> Duration {
        Duration::from_millis(self.reload_ms.max(MIN_RELOAD_MS))
    }
}

impl Default for Config {
    fn default() -> Self {
        Self {
            enabled: true,
            rules: vec![PathBuf::from("rules/*.toml")],
            reload_ms: 2_000,
            ticks: true,
            lookback_seconds: 600,
            snapshot_interval_ms: 1_000,
            snapshot_messages: 10_000,
            destinations: None,
            explorers: Explorers::default(),
        }
    }
}
