//! Values of a provider file, overridden by the settings of the configuration.

use std::collections::BTreeMap;

use crypto_intel_service::{Address, Secret};
use jaq_json::Val;
use reqwest::{
    Url,
    header::{HeaderMap, HeaderName, HeaderValue},
};

use super::{
    file::{KeyFile, ProviderFile},
    provider::KeyPlace,
};
use crate::{config::ProviderSettings, mapping::filter::read_json};

pub(super) fn check_name(field: &str, text: &str) -> Result<(), String> {
    let plain = |byte: u8| matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'-' | b'_');
    if (1..=48).contains(&text.len()) && text.bytes().all(plain) {
        return Ok(());
    }
    Err(format!("{field} {text:?} must be 1 to 48 of a-z, 0-9, - and _"))
}

pub(super) fn build_key(
    name: &str,
    file: Option<&KeyFile>,
    settings: &ProviderSettings,
) -> Result<Option<(KeyPlace, Secret)>, String> {
    let Some(file) = file else {
        return match settings.key.is_empty() {
            true => Ok(None),
            false => {
                Err(format!("poll.providers.{name}.key is set, but this provider takes no key"))
            }
        };
    };
    let place = match (&file.header, &file.query) {
        (Some(header), None) => KeyPlace::Header(
            header.parse().map_err(|_| format!("key.header {header:?} is not a header name"))?,
        ),
        (None, Some(query)) => KeyPlace::Query(query.clone()),
        _ => return Err("[key] must have either header or query".to_owned()),
    };
    if settings.key.is_empty() {
        return Ok(None);
    }
    if let Some(problem) = settings.key.problem() {
        return Err(format!("poll.providers.{name}.{problem}"));
    }
    let printable = settings.key.expose().bytes().all(|byte| byte.is_ascii_graphic());
    if !printable {
        return Err(format!("poll.providers.{name}.key has spaces or unprintable characters"));
    }
    Ok(Some((place, settings.key.clone())))
}

pub(super) fn base_url(
    file: &ProviderFile,
    settings: &ProviderSettings,
    has_key: bool,
) -> Result<Url, String> {
    let text = settings.base_url.as_ref().map_or(file.base_url.as_str(), Address::expose);
    // The address may hold a secret: it is not repeated.
    let url: Url = text.parse().map_err(|error| format!("base_url is not an address: {error}"))?;
    if !matches!(url.scheme(), "http" | "https") || !url.has_host() {
        return Err("base_url must begin with https:// or http://".to_owned());
    }
    if url.query().is_some() || url.fragment().is_some() {
        return Err("base_url must not have a query".to_owned());
    }
    if !url.username().is_empty() || url.password().is_some() {
        return Err("base_url must not hold user or password: use key".to_owned());
    }
    let local = matches!(url.host_str(), Some("127.0.0.1" | "localhost" | "[::1]"));
    if has_key && url.scheme() == "http" && !local {
        return Err("base_url must be https: the key would be readable on the way".to_owned());
    }
    Ok(url)
}

pub(super) fn parameters(file: &ProviderFile, settings: &ProviderSettings) -> Result<Val, String> {
    let mut merged = file.parameters.clone();
    for (name, value) in &settings.parameters {
        if !file.parameters.contains_key(name) {
            let known: Vec<&str> = file.parameters.keys().map(String::as_str).collect();
            return Err(format!(
                "poll.providers.{}.parameters.{name} is unknown; there are {}",
                file.name,
                if known.is_empty() { "none".to_owned() } else { known.join(", ") }
            ));
        }
        merged.insert(name.clone(), value.clone());
    }
    let text = serde_json::to_vec(&merged).map_err(|error| format!("parameters: {error}"))?;
    read_json(&text).map_err(|problem| format!("parameters {problem}"))
}

pub(super) fn headers(file: &BTreeMap<String, String>) -> Result<HeaderMap, String> {
    let mut headers = HeaderMap::new();
    for (name, value) in file {
        let name: HeaderName =
            name.parse().map_err(|_| format!("headers.{name:?} is not a header name"))?;
        let value = HeaderValue::from_str(value)
            .map_err(|_| format!("headers.{name} has a value that cannot be sent"))?;
        headers.insert(name, value);
    }
    Ok(headers)
}
