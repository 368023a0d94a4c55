//! Presets of known chains, and defaults that follow from a chain's block time.

use std::{collections::BTreeMap, sync::LazyLock};

use crypto_intel_schemas::known_explorer;
use serde_json::{Map, Value, json};

use crate::ChainConfig;

/// The value of `preset` that means none.
const NONE: &str = "none";

static PRESETS: LazyLock<BTreeMap<String, Map<String, Value>>> = LazyLock::new(|| {
    // Embedded and tested: it always parses.
    toml::from_str(include_str!("../../presets.toml")).unwrap_or_default()
});

/// The names of all presets.
#[must_use]
pub fn names() -> Vec<&'static str> {
    PRESETS.keys().map(String::as_str).collect()
}

/// Whether `preset` may have this value.
pub(crate) fn is_known(name: &str) -> bool {
    name == NONE || PRESETS.contains_key(name)
}

/// The preset of a chain: the named one, else that of its own name.
pub(crate) fn name_of<'a>(slug: &'a str, named: Option<&'a str>) -> &'a str {
    named.unwrap_or(slug)
}

/// Defaults for what is not set in `[evm]`: for each chain the options of its preset, those that follow from its block
/// time, and the known explorer of its chain id. Argument and result are JSON objects in the form of
/// [`Config`](crate::Config).
#[must_use]
pub fn complete(given: &Value) -> Value {
    let mut chains = Map::new();
    for (slug, chain) in given["chains"].as_object().into_iter().flatten() {
        let preset = name_of(slug, chain["preset"].as_str());
        let mut options = PRESETS.get(preset).cloned().unwrap_or_default();
        let chain_id = chain.get("chain_id").or_else(|| options.get("chain_id"));
        if let Some(explorer) = chain_id.and_then(Value::as_u64).and_then(known_explorer) {
            options.insert("explorer".to_owned(), json!(explorer));
        }
        let block_time = chain.get("block_time_ms").or_else(|| options.get("block_time_ms"));
        if let Some(block_time_ms) = block_time.and_then(Value::as_u64) {
            options.extend(from_block_time(block_time_ms));
        }
        chains.insert(slug.clone(), Value::Object(options));
    }
    json!({ "chains": chains })
}

/// Timeouts and limits that follow from the block time.
fn from_block_time(block_time_ms: u64) -> [(String, Value); 6] {
    let block_time_ms = block_time_ms.max(1);
    [
        ("silence_seconds", (block_time_ms * 5 / 2).div_ceil(1_000).max(5)),
        ("stale_seconds", (block_time_ms * 10).div_ceil(1_000).max(60)),
        ("http_poll_ms", (block_time_ms / 2).clamp(500, 4_000)),
        ("lag_blocks", 2_000_u64.div_ceil(block_time_ms).max(3)),
        ("lag_ms", (block_time_ms / 2).clamp(2_000, 6_000)),
        ("traces_budget_ms", (block_time_ms * 3).max(3_000)),
    ]
    .map(|(key, value)| (key.to_owned(), json!(value)))
}

impl ChainConfig {
    /// A chain as its preset describes it; `None` where there is no such preset.
    #[must_use]
    pub fn from_preset(name: &str) -> Option<Self> {
        PRESETS.get(name)?;
        let completed = complete(&json!({ "chains": { name: {} } }));
        serde_json::from_value(completed["chains"][name].clone()).ok()
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use std::collections::BTreeSet;

    use super::*;
    use crate::{Config, endpoint::config::Role, enrich::assets::AssetList};

    fn all() -> Vec<(&'static str, ChainConfig)> {
        names().into_iter().map(|name| (name, ChainConfig::from_preset(name).unwrap())).collect()
    }

    #[test]
    fn sixteen_presets_are_valid_and_each_its_own_chain() {
        let chains: BTreeMap<_, _> =
            all().into_iter().map(|(name, chain)| (name.to_owned(), chain)).collect();
        assert_eq!(chains.len(), 16);
        let ids: BTreeSet<_> = chains.values().map(|chain| chain.chain_id).collect();
        assert_eq!(ids.len(), 16);
        Config { chains, ..Config::default() }.validate().unwrap();
    }

    #[test]
    fn presets_have_both_roles_and_explorers_and_never_a_key() {
        for (name, chain) in all() {
            let of_role = |role| chain.endpoints.iter().filter(move |e| e.role == role).count();
            assert!(of_role(Role::Primary) >= 1 && of_role(Role::Fallback) >= 2, "{name}");
            assert!(chain.explorer.as_deref().unwrap().starts_with("https://"), "{name}");
            for endpoint in &chain.endpoints {
                let url = endpoint.url.expose();
                assert!(url.starts_with("wss://") || url.starts_with("https://"), "{url}");
                assert_eq!(url.starts_with("wss://"), endpoint.role == Role::Primary, "{url}");
                assert!(endpoint.requests_per_second.is_some() && endpoint.key.is_empty());
            }
        }
    }

    #[test]
    fn wrapped_natives_are_checksummed_and_listed_under_the_natives_asset() {
        let assets = AssetList::load(None).unwrap();
        for (name, chain) in all() {
            let book = assets.of_chain(name);
            let Some(wrapped) = &chain.wrapped_native else {
                assert_eq!(name, "celo", "only its native coin is a token itself");
                continue;
            };
            let address = alloy_primitives::Address::parse_checksummed(wrapped, None).unwrap();
            let listed = book.of(&address).unwrap_or_else(|| panic!("{name} is listed"));
            assert_eq!(listed.asset, chain.native.asset, "{name}");
            assert_eq!(listed.decimals, chain.native.decimals, "{name}");
        }
    }

    #[test]
    fn presets_fill_what_is_not_set_and_block_times_set_timeouts() {
        let given = json!({ "chains": {
            "ethereum": { "block_time_ms": 1_000 },
            "mine": { "preset": "arbitrum" },
            "polygon": { "preset": "none" },
            "other": { "chain_id": 7 },
        } });
        let completed = complete(&given);
        let chains = &completed["chains"];
        assert_eq!(chains["ethereum"]["chain_id"], 1);
        assert_eq!(chains["ethereum"]["silence_seconds"], 5, "from the given block time");
        assert_eq!(chains["mine"]["chain_id"], 42_161);
        assert_eq!(chains["mine"]["lag_blocks"], 8);
        assert_eq!(chains["polygon"], json!({}));
        assert_eq!(chains["other"], json!({}));
        let ethereum = ChainConfig::from_preset("ethereum").unwrap();
        assert_eq!((ethereum.silence_seconds, ethereum.stale_seconds), (30, 120));
        assert!(ChainConfig::from_preset("nowhere").is_none());
    }
}
