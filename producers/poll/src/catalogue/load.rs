use std::{collections::BTreeMap, path::Path, sync::Arc};

use crypto_intel_assets::Registry;
use crypto_intel_schemas::Event;
use serde::Serialize;

use super::{
    build::{SourceFile, build},
    error::CatalogueError,
    file::{Category, ProviderFile},
    provider::Provider,
};
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
    /// What it is about.
    pub category: Category,
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
    /// Source and date of what its file says.
    pub facts: String,
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
    for source in read_files(config)?.into_values() {
        let file = &source.file;
        let settings = settings_of(config, file);
        let provider = build(&source, &settings, &registry)?.provider;
        summaries.push(ProviderSummary {
            name: file.name.clone(),
            title: file.title.clone(),
            category: file.category,
            enabled: is_enabled(config, file, &settings)?,
            takes_key: file.key.is_some(),
            has_key: !provider.keys.is_empty(),
            documentation: file.documentation.clone(),
            attribution: file.attribution.clone(),
            facts: file.facts.clone(),
            endpoints: provider
                .endpoints
                .iter()
                .map(|endpoint| EndpointSummary {
                    name: endpoint.name.clone(),
                    kind: endpoint.kind.to_string(),
                    every_seconds: endpoint.every.as_secs(),
                })
                .collect(),
            file: source.origin.clone(),
        });
    }
    Ok(summaries)
}

/// The providers that are polled.
pub(crate) fn enabled_providers(config: &Config) -> Result<Vec<Arc<Provider>>, CatalogueError> {
    let mut enabled = Vec::new();
    let registry = registry(config)?;
    for source in read_files(config)?.into_values() {
        let settings = settings_of(config, &source.file);
        if is_enabled(config, &source.file, &settings)? {
            enabled.push(Arc::new(build(&source, &settings, &registry)?.provider));
        }
    }
    Ok(enabled)
}

/// All providers by name, enabled or not.
pub(crate) fn all_providers(config: &Config) -> Result<Vec<Provider>, CatalogueError> {
    let registry = registry(config)?;
    let mut all = Vec::new();
    for source in read_files(config)?.into_values() {
        all.push(build(&source, &settings_of(config, &source.file), &registry)?.provider);
    }
    Ok(all)
}

/// One provider, enabled or not.
pub(crate) fn find_provider(config: &Config, name: &str) -> Result<Provider, CatalogueError> {
    let mut files = read_files(config)?;
    match files.remove(name) {
        Some(source) => build(&source, &settings_of(config, &source.file), &registry(config)?)
            .map(|built| built.provider),
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

/// What the examples of a provider file give, by endpoint: everything that is checked of an embedded file is.
///
/// # Errors
/// What is wrong with the file, and where.
pub fn try_examples(origin: &str, text: &str) -> Result<Vec<(String, Vec<Event>)>, CatalogueError> {
    let source = SourceFile::parse(origin, text)?;
    build(&source, &ProviderSettings::default(), &Registry::load(None, "poll.assets")?)
        .map(|built| built.examples)
}

/// Every shipped file with its provider, by name; those that require a key with the second settings.
pub(crate) fn shipped_providers(
    settings: &ProviderSettings,
    with_key: &ProviderSettings,
) -> Result<Vec<(ProviderFile, Provider)>, CatalogueError> {
    let config = Config::default();
    let registry = registry(&config)?;
    let mut shipped = Vec::new();
    for source in read_files(&config)?.into_values() {
        let needs_key = source.file.key.as_ref().is_some_and(|key| key.required);
        let settings = if needs_key { with_key } else { settings };
        let provider = build(&source, settings, &registry)?.provider;
        shipped.push((source.file, provider));
    }
    Ok(shipped)
}

/// The provider of a file that no configuration names.
pub(crate) fn read_provider(
    origin: &str,
    text: &str,
    settings: &ProviderSettings,
) -> Result<Provider, CatalogueError> {
    build(&SourceFile::parse(origin, text)?, settings, &Registry::load(None, "poll.assets")?)
        .map(|built| built.provider)
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
    let needs_key =
        file.key.as_ref().is_some_and(|key| key.required) && settings.all_keys().next().is_none();
    match settings.enabled {
        Some(true) if needs_key => Err(CatalogueError::KeyMissing { name: file.name.clone() }),
        Some(enabled) => Ok(enabled),
        None => Ok(file.enabled && !needs_key),
    }
}

/// All provider files by name.
fn read_files(config: &Config) -> Result<BTreeMap<String, SourceFile>, CatalogueError> {
    let mut files = BTreeMap::new();
    for (origin, text) in EMBEDDED {
        let source = SourceFile::parse(origin, text)?;
        files.insert(source.file.name.clone(), source);
    }
    if let Some(folder) = &config.catalogue {
        let mut own: BTreeMap<String, String> = BTreeMap::new();
        for path in toml_files(folder)? {
            let origin = path.display().to_string();
            let text = std::fs::read_to_string(&path)
                .map_err(|source| CatalogueError::Read { path: path.clone(), source })?;
            let source = SourceFile::parse(&origin, &text)?;
            let name = source.file.name.clone();
            if let Some(other) = own.insert(name.clone(), origin.clone()) {
                let problem = format!("has the name {name:?}, which {other} has as well");
                return Err(CatalogueError::Value { file: origin, problem });
            }
            files.insert(name, source);
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
