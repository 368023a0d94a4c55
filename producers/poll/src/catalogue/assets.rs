//! `[assets]` of a provider file, and `$assets` of its filters.

use crypto_intel_assets::{AssetIds, IdsBy, Registry};
use jaq_json::Val;
use serde::Deserialize;

use super::file::ProviderFile;
use crate::{config::ProviderSettings, mapping::filter::read_json};

/// Which assets of the registry are asked for.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct AssetsFile {
    /// What the provider calls them by.
    pub(crate) ids: IdsBy,
    /// Another provider with the same ids, such as `coinmarketcap`.
    #[serde(default)]
    pub(crate) ids_of: Option<String>,
    /// Keys of assets.
    pub(crate) list: Vec<String>,
}

/// `$assets` of a provider: those of its file, or of the configuration in their place.
pub(super) fn variable(
    file: &ProviderFile,
    settings: &ProviderSettings,
    registry: &Registry,
) -> Result<Val, String> {
    let own = settings.assets.as_ref();
    let setting = format!("poll.providers.{}.assets", file.name);
    let assets = match (&file.assets, own) {
        (None, Some(_)) => {
            return Err(format!("{setting} is set, but this provider file has no [assets]"));
        }
        (None, None) => AssetIds::default(),
        (Some(assets), _) => {
            let (place, list) = match own {
                Some(list) => (setting.as_str(), list),
                None => ("assets.list", &assets.list),
            };
            if list.is_empty() {
                return Err(format!("{place} is empty: name at least one asset"));
            }
            let provider = assets.ids_of.as_ref().unwrap_or(&file.name);
            registry
                .ids_of(provider, assets.ids, list)
                .map_err(|problem| format!("{place}: {problem}"))?
        }
    };
    let text = serde_json::to_vec(&assets).map_err(|error| format!("assets: {error}"))?;
    read_json(&text).map_err(|problem| format!("assets {problem}"))
}
