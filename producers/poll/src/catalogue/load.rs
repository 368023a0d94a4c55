use std::{
    collections::{BTreeMap, BTreeSet},
    path::{Path, PathBuf},
    sync::Arc,
};

use crypto_intel_assets::Registry;

#[cfg(test)]
use super::file::KeyFile;
use super::{
    build::{SourceFile, build},
    error::CatalogueError,
    file::ProviderFile,
    mistake::Mistake,
    provider::Provider,
};
use crate::config::{Config, ProviderSettings};

/// The providers that come with the program.
const EMBEDDED: &[(&str, &str)] = include!(concat!(env!("OUT_DIR"), "/providers.rs"));

/// What the files of providers give under a configuration. One that is wrong does not keep the others from it.
#[derive(Debug)]
pub(crate) struct Catalogue {
    pub(crate) good: Vec<Loaded>,
    pub(crate) wrong: Vec<Wrong>,
}

/// A provider whose file and settings are right.
#[derive(Debug)]
pub(crate) struct Loaded {
    pub(crate) source: SourceFile,
    pub(crate) provider: Arc<Provider>,
    pub(crate) enabled: bool,
}

/// A file, or a setting, that is not.
#[derive(Debug)]
pub(crate) struct Wrong {
    /// The provider, as far as its file says it.
    pub(crate) name: Option<String>,
    pub(crate) error: CatalogueError,
}

/// Which providers are loaded.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Which {
    All,
    /// Those that are polled.
    Enabled,
}

impl Catalogue {
    /// Reads all files.
    ///
    /// # Errors
    /// When the registry of assets cannot be used, without which no file can be judged.
    pub(crate) fn load(config: &Config, which: Which) -> Result<Self, CatalogueError> {
        let registry = registry(config)?;
        let files = Files::read(config);
        let mut catalogue = Self { good: Vec::new(), wrong: files.wrong };
        for (name, source) in files.by_name {
            let settings = match settings_of(config, &source.file) {
                Ok(settings) => settings,
                Err(error) => {
                    catalogue.wrong.push(Wrong { name: Some(name), error });
                    continue;
                }
            };
            let enabled = match is_enabled(config, &source.file, &settings) {
                Ok(enabled) => enabled,
                Err(error) => {
                    catalogue.wrong.push(Wrong { name: Some(name), error });
                    continue;
                }
            };
            if which == Which::Enabled && !enabled {
                continue;
            }
            match build(&source, &settings, &registry) {
                Ok(provider) => {
                    if let Err(error) = check_history_names(config, &provider) {
                        catalogue.wrong.push(Wrong { name: None, error });
                    }
                    let enabled = enabled && provider.endpoints.iter().any(|one| one.enabled);
                    let provider = Arc::new(provider);
                    catalogue.good.push(Loaded { source, provider, enabled });
                }
                Err(error) => catalogue.wrong.push(Wrong { name: Some(name), error }),
            }
        }
        Ok(catalogue)
    }

    /// As [`load`](Self::load), where everything has to be right: by name.
    ///
    /// # Errors
    /// Everything that is wrong with files and settings.
    pub(crate) fn load_right(config: &Config, which: Which) -> Result<Vec<Loaded>, CatalogueError> {
        let catalogue = Self::load(config, which)?;
        let wrong = catalogue.wrong.into_iter().map(|wrong| wrong.error).collect();
        CatalogueError::of_all(wrong).map_or(Ok(catalogue.good), Err)
    }

    /// The providers that are polled.
    pub(crate) fn enabled(&self) -> impl Iterator<Item = &Provider> {
        self.good.iter().filter(|loaded| loaded.enabled).map(|loaded| loaded.provider.as_ref())
    }
}

/// One provider, enabled or not.
pub(crate) fn find_provider(config: &Config, name: &str) -> Result<Provider, CatalogueError> {
    let mut files = Files::read(config);
    match files.by_name.remove(name) {
        Some(source) => build(&source, &settings_of(config, &source.file)?, &registry(config)?),
        // Its file may be one of those that cannot be read.
        None => {
            Err(CatalogueError::of_all(files.wrong.into_iter().map(|wrong| wrong.error).collect())
                .unwrap_or_else(|| CatalogueError::Unknown {
                    setting: "provider".to_owned(),
                    name: name.to_owned(),
                    known: files.by_name.into_keys().collect(),
                }))
        }
    }
}

/// Which asset is which.
fn registry(config: &Config) -> Result<Registry, CatalogueError> {
    Ok(Registry::load(config.assets.as_deref(), "poll.assets")?)
}

/// Which shipped providers get a key: those that require one, or those with an optional one, too.
#[cfg(test)]
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum WithKeys {
    Required,
    Optional,
}

/// Every shipped file with its provider, by name.
#[cfg(test)]
pub(crate) fn shipped_providers(
    with_keys: WithKeys,
) -> Result<Vec<(ProviderFile, Provider)>, CatalogueError> {
    let config = Config::default();
    let registry = registry(&config)?;
    let mut shipped = Vec::new();
    for source in Files::read(&config).by_name.into_values() {
        let mut settings = ProviderSettings::default();
        let takes_key = |key: &KeyFile| key.required || with_keys == WithKeys::Optional;
        if source.file.key.as_ref().is_some_and(takes_key) {
            settings.key = crypto_intel_service::Secret::new("user:password");
        }
        let provider = build(&source, &settings, &registry)?;
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
    let mut source = SourceFile::parse(origin, text)?;
    if source.file.quota.of.is_some() {
        source = Files::read(&Config::default()).with_quota(source)?;
    }
    build(&source, settings, &Registry::load(None, "poll.assets")?)
}

/// The settings of a provider, with the windows of the one whose quota it shares.
fn settings_of(config: &Config, file: &ProviderFile) -> Result<ProviderSettings, CatalogueError> {
    let settings = config.providers.get(&file.name).cloned().unwrap_or_default();
    let Some(owner) = &file.quota.of else { return Ok(settings) };
    let windows = |settings: &ProviderSettings| {
        [settings.per_second, settings.per_minute, settings.per_day, settings.per_month]
    };
    if windows(&settings) != [None; 4] {
        let problem = format!(
            "poll.providers.{}: its requests are counted with those of {owner}: set per_second to per_month under \
             [poll.providers.{owner}]",
            file.name
        );
        return Err(CatalogueError::Setting { problem });
    }
    let [per_second, per_minute, per_day, per_month] =
        config.providers.get(owner).map_or([None; 4], windows);
    Ok(ProviderSettings { per_second, per_minute, per_day, per_month, ..settings })
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

/// The files, before their values are checked.
struct Files {
    by_name: BTreeMap<String, SourceFile>,
    wrong: Vec<Wrong>,
}

impl Files {
    fn read(config: &Config) -> Self {
        let mut files = Self { by_name: BTreeMap::new(), wrong: Vec::new() };
        for (origin, text) in EMBEDDED {
            match SourceFile::parse(origin, text) {
                Ok(source) => drop(files.by_name.insert(source.file.name.clone(), source)),
                Err(error) => files.wrong.push(Wrong { name: None, error }),
            }
        }
        match config.catalogue.as_deref().map(own_files).transpose() {
            Ok(paths) => files.add_own(paths.unwrap_or_default()),
            Err(error) => files.wrong.push(Wrong { name: None, error }),
        }
        files.share_quotas();
        // The name may be that of a file that cannot be read.
        if files.wrong.is_empty() {
            files.wrong = files.unknown(config);
        }
        files
    }

    /// Gives each provider whose quota is that of another one that quota.
    fn share_quotas(&mut self) {
        let sharing = self.by_name.iter().filter(|(_, source)| source.file.quota.of.is_some());
        let sharing: Vec<(String, SourceFile)> =
            sharing.map(|(name, source)| (name.clone(), source.clone())).collect();
        let given: Vec<_> =
            sharing.into_iter().map(|(name, source)| (name, self.with_quota(source))).collect();
        for (name, source) in given {
            match source {
                Ok(source) => drop(self.by_name.insert(name, source)),
                Err(error) => {
                    self.by_name.remove(&name);
                    self.wrong.push(Wrong { name: Some(name), error });
                }
            }
        }
    }

    /// A file with the quota of the provider that it names in `quota.of`.
    fn with_quota(&self, mut source: SourceFile) -> Result<SourceFile, CatalogueError> {
        let Some(owner) = source.file.quota.of.clone() else { return Ok(source) };
        let quota = match self.by_name.get(&owner) {
            Some(other) => source.file.quota.shared(&owner, &other.file.quota),
            None => {
                let problem = format!("quota.of names {owner:?}, and there is no such provider");
                Err(Mistake::at("quota.of", problem))
            }
        };
        source.file.quota = quota.map_err(|mistake| source.refuse(&mistake))?;
        Ok(source)
    }

    /// A file of the operator replaces an embedded one of its name.
    fn add_own(&mut self, paths: Vec<PathBuf>) {
        let mut own: BTreeMap<String, String> = BTreeMap::new();
        for path in paths {
            let origin = path.display().to_string();
            let text = std::fs::read_to_string(&path)
                .map_err(|source| CatalogueError::Read { path: path.clone(), source });
            let source = match text.and_then(|text| SourceFile::parse(&origin, &text)) {
                Ok(source) => source,
                Err(error) => {
                    // It may be meant to replace an embedded one, which is not what its author wants then.
                    let name = path.file_stem().map(|stem| stem.to_string_lossy().into_owned());
                    self.by_name.remove(name.as_deref().unwrap_or_default());
                    self.wrong.push(Wrong { name, error });
                    continue;
                }
            };
            let name = source.file.name.clone();
            if let Some(other) = own.insert(name.clone(), origin.clone()) {
                let problem = format!("has the name {name:?}, which {other} has as well");
                let error = CatalogueError::Value { file: origin, problem };
                self.wrong.push(Wrong { name: Some(name), error });
                continue;
            }
            self.by_name.insert(name, source);
        }
    }

    /// Names in the configuration that no provider has.
    fn unknown(&self, config: &Config) -> Vec<Wrong> {
        let only = config.only.iter().map(|name| ("poll.only".to_owned(), name));
        let settings = config.providers.keys().map(|name| (format!("poll.providers.{name}"), name));
        let of = |name: &String| name.split('/').next().unwrap_or_default().to_owned();
        let past: Vec<String> = config.history.only.iter().map(of).collect();
        let past = past.iter().map(|name| ("poll.history.only".to_owned(), name));
        let unknown =
            settings.chain(only).chain(past).filter(|(_, name)| !self.by_name.contains_key(*name));
        let error = |(setting, name): (String, &String)| CatalogueError::Unknown {
            setting,
            name: name.clone(),
            known: self.by_name.keys().cloned().collect(),
        };
        unknown.map(|named| Wrong { name: None, error: error(named) }).collect()
    }
}

/// Whether `poll.history.only` names pasts that are there.
fn check_history_names(config: &Config, provider: &Provider) -> Result<(), CatalogueError> {
    for name in &config.history.only {
        let (of, endpoint) = match name.split_once('/') {
            Some((of, endpoint)) => (of, Some(endpoint)),
            None => (name.as_str(), None),
        };
        if of == provider.name {
            let found = provider.histories_of(endpoint).map(drop);
            found.map_err(|error| CatalogueError::Setting {
                problem: format!("poll.history.only: {error}"),
            })?;
        }
    }
    Ok(())
}

/// The files of a folder, in the order of their names.
pub(crate) fn own_files(folder: &Path) -> Result<Vec<PathBuf>, CatalogueError> {
    let fail = |source| CatalogueError::Folder { path: folder.to_owned(), source };
    let mut paths = BTreeSet::new();
    for entry in std::fs::read_dir(folder).map_err(fail)? {
        let path = entry.map_err(fail)?.path();
        if path.extension().is_some_and(|extension| extension == "toml") {
            paths.insert(path);
        }
    }
    Ok(paths.into_iter().collect())
}
