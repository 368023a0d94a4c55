use serde::Serialize;

use super::{
    error::CatalogueError,
    file::Category,
    load::{Catalogue, Loaded, Which},
};
use crate::config::Config;

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
    /// Whether it is polled only with a key.
    pub needs_key: bool,
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
    /// Endpoints of the file whose past can be asked for.
    pub histories: Vec<String>,
}

/// One endpoint of a provider, for display.
#[derive(Debug, Clone, Serialize, PartialEq, Eq)]
pub struct EndpointSummary {
    /// Its name.
    pub name: String,
    /// Kind of its events.
    pub kind: String,
    /// Whether it is polled, if its provider is.
    pub enabled: bool,
    /// Seconds between polls.
    pub every_seconds: u64,
}

/// All providers with their settings. Checks everything that can be checked without a request:
/// file format, filters (on their examples), names, keys.
///
/// # Errors
/// Everything that is wrong with files and settings.
pub fn providers(config: &Config) -> Result<Vec<ProviderSummary>, CatalogueError> {
    let loaded = Catalogue::load_right(config, Which::All)?;
    Ok(loaded.iter().map(ProviderSummary::of).collect())
}

impl ProviderSummary {
    pub(crate) fn of(loaded: &Loaded) -> Self {
        let (file, provider) = (&loaded.source.file, &loaded.provider);
        let with_past = file.endpoints.iter().filter(|endpoint| endpoint.history.is_some());
        Self {
            name: file.name.clone(),
            title: file.title.clone(),
            category: file.category,
            enabled: loaded.enabled,
            takes_key: file.key.is_some(),
            needs_key: file.key.as_ref().is_some_and(|key| key.required),
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
                    enabled: endpoint.enabled,
                    every_seconds: endpoint.every.as_secs(),
                })
                .collect(),
            histories: with_past.map(|endpoint| endpoint.name.clone()).collect(),
            file: loaded.source.origin.clone(),
        }
    }
}

/// What is wrong with the settings of pollers, files of providers apart: a wrong file stops its own provider alone.
///
/// # Errors
/// Everything that is wrong.
pub fn check_settings(config: &Config) -> Result<(), CatalogueError> {
    let catalogue = Catalogue::load(config, Which::Enabled)?;
    let wrong = catalogue.wrong.into_iter().map(|wrong| wrong.error);
    let of_configuration = wrong.filter(CatalogueError::is_of_configuration).collect();
    CatalogueError::of_all(of_configuration).map_or(Ok(()), Err)
}
