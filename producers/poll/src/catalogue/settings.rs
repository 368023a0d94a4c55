//! Values of a provider file, overridden by the settings of the configuration.

use std::{collections::BTreeMap, num::NonZeroU32};

use crypto_intel_service::Secret;
use jaq_json::Val;
use reqwest::{
    Url,
    header::{HeaderMap, HeaderName, HeaderValue},
};

use super::{
    file::{EndpointFile, KeyFile, ProviderFile},
    mistake::Mistake,
    provider::KeyPlace,
};
use crate::{
    config::{EndpointSettings, ProviderSettings},
    mapping::filter::read_json,
    quota::limits::Limits,
};

/// The parameter that holds the entry of an endpoint with `each`.
const EACH: &str = "each";

pub(super) fn check_name(text: &str) -> Result<(), String> {
    let plain = |byte: u8| matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'-' | b'_');
    if (1..=64).contains(&text.len()) && text.bytes().all(plain) {
        return Ok(());
    }
    Err(format!("name {text:?} must be 1 to 64 of a-z, 0-9, - and _"))
}

pub(super) fn key_place(file: &KeyFile) -> Result<KeyPlace, Mistake> {
    if file.prefix.is_some() && file.header.is_none() {
        return Err(Mistake::at("key.prefix", "prefix goes with header alone"));
    }
    let places = [file.header.is_some(), file.query.is_some(), file.path, file.basic];
    if places.iter().filter(|place| **place).count() != 1 {
        let problem = "[key] must have one of header, query, path = true and basic = true";
        return Err(Mistake::at("key", problem));
    }
    if let Some(header) = &file.header {
        let name = header.parse().map_err(|_| {
            Mistake::at("key.header", format!("key.header {header:?} is not a header name"))
        })?;
        return Ok(KeyPlace::Header { name, prefix: file.prefix.clone().unwrap_or_default() });
    }
    Ok(match &file.query {
        Some(query) => KeyPlace::Query(query.clone()),
        None if file.path => KeyPlace::Path,
        None => KeyPlace::Basic,
    })
}

/// The keys of the configuration.
pub(super) fn keys(
    file: &ProviderFile,
    place: Option<&KeyPlace>,
    settings: &ProviderSettings,
) -> Result<Vec<Secret>, Mistake> {
    let name = &file.name;
    let keys: Vec<Secret> = settings.all_keys().cloned().collect();
    let Some(place) = place else {
        if keys.is_empty() {
            return Ok(keys);
        }
        let problem = format!("poll.providers.{name}.key is set, but this provider takes no key");
        return Err(Mistake::of_setting(problem));
    };
    for key in &keys {
        if let Some(problem) = key.problem() {
            return Err(Mistake::of_setting(format!("poll.providers.{name}.{problem}")));
        }
        if !key.expose().bytes().all(|byte| byte.is_ascii_graphic()) {
            let problem = format!("poll.providers.{name}.key has spaces or unprintable characters");
            return Err(Mistake::of_setting(problem));
        }
        if *place == KeyPlace::Basic && !key.expose().contains(':') {
            let problem = format!("poll.providers.{name}.key must be user:password");
            return Err(Mistake::of_setting(problem));
        }
    }
    Ok(keys)
}

/// How much may be asked with each key: as in the file, but for the windows of the configuration.
pub(super) fn limits(
    file: &ProviderFile,
    settings: &ProviderSettings,
    has_key: bool,
) -> Result<Limits, Mistake> {
    let windows = file.quota.windows(has_key);
    let Some(burst) = file.quota.burst else {
        return Err(Mistake::at(
            "quota",
            "quota.burst is missing: how many units may be used at once",
        ));
    };
    let limit = |name: &str, configured: Option<u32>, own: Option<NonZeroU32>| match configured {
        Some(0) => {
            let problem = format!("poll.providers.{}.{name} must be above 0", file.name);
            Err(Mistake::of_setting(problem))
        }
        Some(configured) => Ok(Some(configured)),
        None => Ok(own.map(NonZeroU32::get)),
    };
    let limits = Limits {
        second: limit("per_second", settings.per_second, windows.per_second)?,
        minute: limit("per_minute", settings.per_minute, windows.per_minute)?,
        day: limit("per_day", settings.per_day, windows.per_day)?,
        month: limit("per_month", settings.per_month, windows.per_month)?,
        burst: burst.get(),
    };
    if limits.windows().next().is_none() {
        let problem = "quota must have a window: per_second, per_minute, per_day or per_month";
        return Err(Mistake::at("quota", problem));
    }
    Ok(limits)
}

/// The address of an endpoint: of the configuration, or of the file.
pub(super) fn base_url(
    file: &ProviderFile,
    endpoint: &EndpointFile,
    settings: &ProviderSettings,
    own: Option<&EndpointSettings>,
    has_key: bool,
) -> Result<Url, Mistake> {
    let name = &file.name;
    if let Some(address) = own.and_then(|own| own.base_url.as_ref()) {
        return checked_url(address.expose(), has_key).map_err(|problem| {
            let setting = format!("poll.providers.{name}.endpoints.{}", endpoint.name);
            Mistake::of_setting(format!("{setting}.{problem}"))
        });
    }
    if let Some(address) = &endpoint.base_url {
        return checked_url(address, has_key).map_err(|problem| Mistake::at("base_url", problem));
    }
    match &settings.base_url {
        Some(address) => checked_url(address.expose(), has_key)
            .map_err(|problem| Mistake::of_setting(format!("poll.providers.{name}.{problem}"))),
        None => {
            checked_url(&file.base_url, has_key).map_err(|problem| Mistake::at("base_url", problem))
        }
    }
}

/// An address that requests can go to.
pub(super) fn checked_url(text: &str, has_key: bool) -> Result<Url, String> {
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

pub(super) fn parameters(file: &ProviderFile, settings: &ProviderSettings) -> Result<Val, Mistake> {
    if file.parameters.contains_key(EACH) {
        let problem = "parameters.each is what endpoints with each get: take another name";
        return Err(Mistake::at("parameters.each", problem));
    }
    let mut merged = file.parameters.clone();
    for (name, value) in &settings.parameters {
        if !file.parameters.contains_key(name) {
            let known: Vec<&str> = file.parameters.keys().map(String::as_str).collect();
            let known = if known.is_empty() { "none".to_owned() } else { known.join(", ") };
            let problem = format!(
                "poll.providers.{}.parameters.{name} is unknown; there are {known}",
                file.name
            );
            return Err(Mistake::of_setting(problem));
        }
        merged.insert(name.clone(), value.clone());
    }
    let wrong = |problem: String| Mistake::at("parameters", format!("parameters {problem}"));
    let text = serde_json::to_vec(&merged).map_err(|error| wrong(error.to_string()))?;
    read_json(&text).map_err(wrong)
}

pub(super) fn headers(file: &BTreeMap<String, String>) -> Result<HeaderMap, Mistake> {
    let mut headers = HeaderMap::new();
    for (name, value) in file {
        let wrong = |problem: &str| {
            Mistake::at("headers", format!("headers.{name} {problem}")).inside(name)
        };
        let parsed: HeaderName = name.parse().map_err(|_| wrong("is not a header name"))?;
        let value =
            HeaderValue::from_str(value).map_err(|_| wrong("has a value that cannot be sent"))?;
        headers.insert(parsed, value);
    }
    Ok(headers)
}
