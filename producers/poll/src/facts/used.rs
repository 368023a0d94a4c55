//! Which facts someone uses: without a fresh source of one of them the process is not ready.

use std::collections::{BTreeMap, BTreeSet};

use crypto_intel_assets::Registry;

use super::{fact, pegs::DOLLAR};
use crate::{
    catalogue::{Catalogue, CatalogueError, Provider, Which},
    config::Config,
};

/// Facts that are named in a message.
const MAX_NAMED: usize = 5;

/// The facts that the configuration uses.
///
/// # Errors
/// A named fact that no enabled provider gives.
pub(crate) fn used_facts<'a>(
    config: &Config,
    providers: impl IntoIterator<Item = &'a Provider>,
) -> Result<BTreeSet<String>, CatalogueError> {
    let mut given: BTreeMap<String, BTreeSet<&str>> = BTreeMap::new();
    for provider in providers {
        for endpoint in &provider.endpoints {
            for key in &endpoint.expected {
                let fact = fact::name(endpoint.kind, key, &config.prices.dollar_quotes);
                given.entry(fact).or_default().insert(&provider.name);
            }
        }
    }
    let required = &config.facts.required;
    if !required.is_empty() {
        return match required.iter().find(|fact| !given.contains_key(*fact)) {
            Some(unknown) => Err(unknown_fact(unknown, &given)),
            None => Ok(required.iter().cloned().collect()),
        };
    }
    if !config.used_assets.is_empty() {
        let prices = config.used_assets.iter().map(|asset| fact::price_of(asset));
        return Ok(prices.filter(|fact| given.contains_key(fact)).collect());
    }
    // No user is known: those that more than one provider gives.
    let prices =
        given.into_iter().filter(|(fact, from)| fact.starts_with("price of ") && from.len() > 1);
    Ok(prices.map(|(fact, _)| fact).collect())
}

/// Checks what the configuration says of facts and quotes by the enabled providers and the registry of assets.
///
/// # Errors
/// The first setting that cannot be used, with its correction.
pub fn check_facts(config: &Config) -> Result<(), CatalogueError> {
    check_quotes(config)?;
    if config.facts.required.is_empty() {
        return Ok(());
    }
    let catalogue = Catalogue::load(config, Which::Enabled)?;
    used_facts(config, catalogue.enabled()).map(drop)
}

/// Checks that quotes which count as dollars are proven by stablecoins of the dollar.
pub(crate) fn check_quotes(config: &Config) -> Result<(), CatalogueError> {
    let registry = Registry::load(config.assets.as_deref(), "poll.assets")?;
    for (quote, asset) in &config.prices.dollar_quotes {
        let peg = registry.asset(asset).and_then(|asset| asset.peg.as_deref());
        if peg != Some(DOLLAR) {
            let problem = format!(
                "{asset:?} is no asset with peg = \"usd\" in the registry: correct it, or add it to the file of poll.assets"
            );
            let file = format!("poll.prices.dollar_quotes.{quote}");
            return Err(CatalogueError::Value { file, problem });
        }
    }
    Ok(())
}

fn unknown_fact(unknown: &str, given: &BTreeMap<String, BTreeSet<&str>>) -> CatalogueError {
    let last = unknown.rsplit(' ').next().unwrap_or(unknown);
    let subject = last.split('/').next().unwrap_or(last);
    let (mut names, others): (Vec<&str>, Vec<&str>) =
        given.keys().map(String::as_str).partition(|fact| fact.contains(subject));
    names.extend(others);
    names.truncate(MAX_NAMED);
    CatalogueError::Value {
        file: "poll.facts.required".to_owned(),
        problem: format!(
            "no enabled provider gives {unknown:?}; there are {}, such as {}",
            given.len(),
            names.join(", ")
        ),
    }
}
