use std::{collections::BTreeMap, path::Path, sync::Arc};

use crypto_intel_assets::Registry;
use serde::Serialize;

use super::{build::build, error::CatalogueError, file::ProviderFile, provider::Provider};
use crate::config::{Config, ProviderSettings};

/// The providers that come with the program.
const EMBEDDED: &[(&str, &str)] = include!(concat!(env!("OUT_DIR"), "/providers.rs"));

/// A provider, for display.
#[derive(Debug, Clone, Serialize, PartialEq, Eq)]
pub struct ProviderSummary {
    /// Its name in the configuration and in events.
    pub name: String,
    /// Its display name.
    pub title: String,
    /// The file that describes it.
    pub file: String,
    /// Whether it is polled.
    pub enabled: bool,
    /// Whether it takes a key.
    pub takes_key: bool,
    /// Whether a key is configured.
    pub has_key: bool,
    /// Address of its API documentation.
    pub documentation: Option<String>,
    /// Text that the provider requires beside its data.
    pub attribution: Option<String>,
    /// What is requested from it.
    pub endpoints: Vec<EndpointSummary>,
}

/// One endpoint of a provider, for display.
#[derive(Debug, Clone, Serialize, PartialEq, Eq)]
pub struct EndpointSummary {
    /// Its name.
    pub name: String,
    /// Kind of its events.
    pub kind: String,
    /// Seconds between polls.
    pub every_seconds: u64,
}

/// All providers with their settings. Checks everything that can be checked without a request:
/// file format, filters (on their examples), names, keys.
///
/// # Errors
/// The first provider or setting that cannot be used.
pub fn providers(config: &Config) -> Result<Vec<ProviderSummary>, CatalogueError> {
    let mut summaries = Vec::new();
    let registry = registry(config)?;
    for (origin, file) in read_files(config)?.into_values() {
        let settings = settings_of(config, &file);
        let provider = build(&origin, &file, &settings, &registry)?;
        summaries.push(ProviderSummary {
            name: file.name.clone(),
            title: file.title.clone(),
            enabled: is_enabled(config, &file, &settings)?,
            takes_key: file.key.is_some(),
            has_key: provider.key.is_some(),
            documentation: file.documentation.clone(),
            attribution: file.attribution.clone(),
            endpoints: provider
                .endpoints
                .iter()
                .map(|endpoint| EndpointSummary {
                    name: endpoint.name.clone(),
                    kind: endpoint.kind.to_string(),
                    every_seconds: endpoint.every.as_secs(),
                })
                .collect(),
            file: origin,
        });
    }
    Ok(summaries)
}

/// The providers that are polled.
pub(crate) fn enabled_providers(config: &Config) -> Result<Vec<Arc<Provider>>, CatalogueError> {
    let mut enabled = Vec::new();
    let registry = registry(config)?;
    for (origin, file) in read_files(config)?.into_values() {
        let settings = settings_of(config, &file);
        if is_enabled(config, &file, &settings)? {
            enabled.push(Arc::new(build(&origin, &file, &settings, &registry)?));
        }
    }
    Ok(enabled)
}

/// One provider, enabled or not.
pub(crate) fn find_provider(config: &Config, name: &str) -> Result<Provider, CatalogueError> {
    let mut files = read_files(config)?;
    match files.remove(name) {
        Some((origin, file)) => {
            build(&origin, &file, &settings_of(config, &file), &registry(config)?)
        }
        None => Err(CatalogueError::Unknown {
            setting: "provider".to_owned(),
            name: name.to_owned(),
            known: files.into_keys().collect(),
        }),
    }
}

/// Which asset is which.
fn registry(config: &Config) -> Result<Registry, CatalogueError> {
    Ok(Registry::load(config.assets.as_deref(), "poll.assets")?)
}

fn settings_of(config: &Config, file: &ProviderFile) -> ProviderSettings {
    config.providers.get(&file.name).cloned().unwrap_or_default()
}

fn is_enabled(
    config: &Config,
    file: &ProviderFile,
    settings: &ProviderSettings,
) -> Result<bool, CatalogueError> {
    if !config.only.is_empty() && !config.only.contains(&file.name) {
        return Ok(false);
    }
    let needs_key = file.key.as_ref().is_some_and(|key| key.required) && settings.key.is_empty();
    match settings.enabled {
        Some(true) if needs_key => Err(CatalogueError::KeyMissing { name: file.name.clone() }),
        Some(enabled) => Ok(enabled),
        None => Ok(file.enabled && !needs_key),
    }
}

/// All provider files by name, each with its origin.
fn read_files(config: &Config) -> Result<BTreeMap<String, (String, ProviderFile)>, CatalogueError> {
    let mut files = BTreeMap::new();
    for (origin, text) in EMBEDDED {
        let file = parse(origin, text)?;
        files.insert(file.name.clone(), ((*origin).to_owned(), file));
    }
    if let Some(folder) = &config.catalogue {
        let mut own: BTreeMap<String, String> = BTreeMap::new();
        for path in toml_files(folder)? {
            let origin = path.display().to_string();
            let text = std::fs::read_to_string(&path)
                .map_err(|source| CatalogueError::Read { path: path.clone(), source })?;
            let file = parse(&origin, &text)?;
            if let Some(other) = own.insert(file.name.clone(), origin.clone()) {
                let problem = format!("has the name {:?}, which {other} has as well", file.name);
                return Err(CatalogueError::Value { file: origin, problem });
            }
            files.insert(file.name.clone(), (origin, file));
        }
    }
    let only = config.only.iter().map(|name| ("poll.only".to_owned(), name));
    let settings = config.providers.keys().map(|name| (format!("poll.providers.{name}"), name));
    match settings.chain(only).find(|(_, name)| !files.contains_key(*name)) {
        Some((setting, unknown)) => Err(CatalogueError::Unknown {
            setting,
            name: unknown.clone(),
            known: files.into_keys().collect(),
        }),
        None => Ok(files),
    }
}

fn toml_files(folder: &Path) -> Result<Vec<std::path::PathBuf>, CatalogueError> {
    let fail = |source| CatalogueError::Read { path: folder.to_owned(), source };
    let mut paths = Vec::new();
    for entry in std::fs::read_dir(folder).map_err(fail)? {
        let path = entry.map_err(fail)?.path();
        if path.extension().is_some_and(|extension| extension == "toml") {
            paths.push(path);
        }
    }
    paths.sort();
    Ok(paths)
}

fn parse(origin: &str, text: &str) -> Result<ProviderFile, CatalogueError> {
    toml::from_str(text).map_err(|error| CatalogueError::Form {
        file: origin.to_owned(),
        text: error.to_string().trim_end().to_owned(),
    })
}
