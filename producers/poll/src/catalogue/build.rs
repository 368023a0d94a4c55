use std::sync::Arc;

use crypto_intel_assets::Registry;

use super::{
    assets,
    build_endpoint::{EndpointBuilder, compile},
    build_history::histories,
    error::CatalogueError,
    file::ProviderFile,
    mistake::Mistake,
    provider::{Endpoint, Provider},
    settings::{check_name, headers, key_place, keys, limits, parameters},
};
use crate::{config::ProviderSettings, mapping::filter::Variables};

/// A provider file with its text.
#[derive(Debug, Clone)]
pub(crate) struct SourceFile {
    /// Names it in messages.
    pub(crate) origin: String,
    pub(crate) text: String,
    pub(crate) file: ProviderFile,
}

impl SourceFile {
    /// Reads the format of a file; its values are checked by [`build`].
    pub(super) fn parse(origin: &str, text: &str) -> Result<Self, CatalogueError> {
        let file = toml::from_str(text).map_err(|error| CatalogueError::Form {
            file: origin.to_owned(),
            text: error.to_string().trim_end().to_owned(),
        })?;
        Ok(Self { origin: origin.to_owned(), text: text.to_owned(), file })
    }

    /// A mistake with its place.
    pub(super) fn refuse(&self, mistake: &Mistake) -> CatalogueError {
        if mistake.field.is_empty() {
            return CatalogueError::Setting { problem: mistake.problem.clone() };
        }
        let place = match mistake.line_in(&self.text) {
            Some(line) => format!("{}:{line}", self.origin),
            None => self.origin.clone(),
        };
        CatalogueError::Value { file: place, problem: mistake.problem.clone() }
    }
}

/// Checks a provider file with its settings and compiles its filters.
pub(super) fn build(
    source: &SourceFile,
    settings: &ProviderSettings,
    registry: &Registry,
) -> Result<Provider, CatalogueError> {
    build_parts(&source.file, settings, registry).map_err(|mistake| source.refuse(&mistake))
}

fn build_parts(
    file: &ProviderFile,
    settings: &ProviderSettings,
    registry: &Registry,
) -> Result<Provider, Mistake> {
    check_name(&file.name).map_err(|problem| Mistake::at("name", problem))?;
    if file.facts.trim().is_empty() {
        let problem = "facts must say where and when what the file says was read";
        return Err(Mistake::at("facts", problem));
    }
    let key_place = file.key.as_ref().map(key_place).transpose()?;
    let keys = keys(file, key_place.as_ref(), settings)?;
    let variables = variables_of(file, settings, registry)?;
    let example_variables = variables_of(file, &ProviderSettings::default(), registry)?;
    if file.endpoints.is_empty() {
        return Err(Mistake::at("endpoints", "has no [[endpoints]]"));
    }
    let headers = headers(&file.headers)?;
    let limits = limits(file, settings, !keys.is_empty())?;
    let fault = file.jq.fault.as_deref().map(|source| compile("jq.fault", source)).transpose()?;
    let fault = fault.map(Arc::new);
    let mut endpoints: Vec<Arc<Endpoint>> = Vec::new();
    let mut histories_of_all = Vec::new();
    for (index, endpoint) in file.endpoints.iter().enumerate() {
        let within = |mistake: Mistake| {
            if mistake.field.is_empty() {
                return mistake;
            }
            let problem = format!("endpoint {}: {}", endpoint.name, mistake.problem);
            Mistake { problem, ..mistake }.within(&index.to_string()).within("endpoints")
        };
        let builder = EndpointBuilder {
            provider: file,
            file: endpoint,
            settings,
            fault: fault.as_ref(),
            headers: &headers,
            key_place: key_place.as_ref(),
            has_key: !keys.is_empty(),
            limits: &limits,
            variables: &variables,
            example_variables: &example_variables,
        };
        for built in builder.build().map_err(within)? {
            if endpoints.iter().any(|other| other.name == built.name) {
                let problem = format!("another endpoint has the name {}", built.name);
                return Err(within(Mistake::at("name", problem)));
            }
            endpoints.push(Arc::new(built));
        }
        histories_of_all.extend(histories(&builder).map_err(within)?);
    }
    check_endpoint_settings(file, settings, &endpoints)?;
    Ok(Provider {
        name: file.name.clone(),
        quota_of: file.quota.of.as_ref().unwrap_or(&file.name).clone(),
        limits,
        signals: file.quota.signals()?,
        key_place,
        keys,
        endpoints,
        histories: histories_of_all,
    })
}

/// Whether every endpoint that the configuration names is there.
fn check_endpoint_settings(
    file: &ProviderFile,
    settings: &ProviderSettings,
    endpoints: &[Arc<Endpoint>],
) -> Result<(), Mistake> {
    let in_file = file.endpoints.iter().map(|endpoint| endpoint.name.as_str());
    let mut known: Vec<&str> =
        in_file.chain(endpoints.iter().map(|endpoint| endpoint.name.as_str())).collect();
    known.dedup();
    match settings.endpoints.keys().find(|name| !known.contains(&name.as_str())) {
        Some(name) => Err(Mistake::of_setting(format!(
            "poll.providers.{}.endpoints.{name}: there is no such endpoint; there are {}",
            file.name,
            known.join(", ")
        ))),
        None => Ok(()),
    }
}

fn variables_of(
    file: &ProviderFile,
    settings: &ProviderSettings,
    registry: &Registry,
) -> Result<Variables, Mistake> {
    Ok(Variables {
        parameters: parameters(file, settings)?,
        assets: assets::variable(file, settings, registry)
            .map_err(|problem| Mistake::at("assets.list", problem))?,
    })
}
