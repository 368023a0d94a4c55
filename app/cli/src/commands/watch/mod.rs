//! `crypto-intel watch add|remove|list|show|backfill|import|export`

mod file;
mod names;
mod past;
mod show;
mod table;

use std::{collections::BTreeMap, process::ExitCode};

use anyhow::bail;
use crypto_intel_evm::{Added, Gap, GapReason, Watchlist};
use crypto_intel_nats::Nats;
use crypto_intel_schemas::{AccountAddress, WatchChain, WatchEntry, Watched};
use crypto_intel_service::ConfigError;
use serde_json::{Value, json};

use super::{
    backfill::{self, chain_config},
    connect_nats, prepare,
};
use crate::{
    args::{AddressOrName, Arguments, WatchAction},
    changes::Change,
    config::AppConfig,
    output::{Output, table},
    times::time_text,
};

pub(crate) async fn run(
    arguments: &Arguments,
    action: &WatchAction,
    output: Output,
) -> anyhow::Result<ExitCode> {
    let config = prepare(arguments)?;
    let nats = connect_nats(&config, "watch").await?;
    let list = Watchlist::open(&nats).await?;
    match action {
        WatchAction::Add { chain, force, .. } => {
            refuse_unknown(&config, chain, *force)?;
            add_wanted(&config, &nats, &list, action, output).await?;
        }
        WatchAction::Import { file, force } => {
            let entries = table::read(file)?;
            for watched in &entries {
                refuse_unknown(&config, &watched.chain, *force)?;
            }
            show_added(add_all(&nats, &list, entries).await?, output)?;
        }
        WatchAction::Export { group } => {
            let entries = in_group(list.list().await?, group.as_deref());
            crate::output::line(table::write(&entries)?.trim_end())?;
        }
        WatchAction::Remove { .. } => remove(&nats, &list, action, output).await?,
        WatchAction::List { group, names } => {
            let watched = in_group(list.list().await?, group.as_deref());
            show(&config, &nats, &watched, *names, output).await?;
        }
        WatchAction::Show { address } => {
            return show::run(&config, &nats, &list, (*address).into(), output).await;
        }
        WatchAction::Backfill { addresses, tag, group, chain, from, every_block } => {
            let wanted = past::Wanted {
                addresses,
                tag: tag.as_deref(),
                group: group.as_deref(),
                chain: chain.as_deref(),
                from: *from,
                every_block: *every_block,
            };
            return past::run(&config, &nats, &list, wanted, output).await;
        }
    }
    Ok(ExitCode::SUCCESS)
}

/// Removes one address, or all of a tag or group.
async fn remove(
    nats: &Nats,
    list: &Watchlist,
    action: &WatchAction,
    output: Output,
) -> anyhow::Result<()> {
    let WatchAction::Remove { address, tag, group, chain } = action else { return Ok(()) };
    if let Some(address) = address {
        let chain = chain.as_ref().unwrap_or(&WatchChain::All);
        let address = AccountAddress::from(*address);
        let before = list.get(chain, &address).await?;
        if !list.remove(chain, &address).await? {
            bail!(
                "{address} is not watched on {}; `crypto-intel watch list` shows what is",
                chain.name()
            );
        }
        change("watch.remove", chain, &address).from(before.as_ref()).tell(nats).await?;
        let value = json!({ "chain": chain.name(), "address": address, "removed": true });
        output.show(&value, |_| format!("{address} on {} is watched no longer", chain.name()))?;
        return Ok(());
    }
    let removed = list
        .remove_all(|one| {
            tag.as_ref().is_none_or(|tag| one.entry.tags.contains(tag))
                && (group.is_none() || one.entry.group == *group)
                && chain.as_ref().is_none_or(|chain| *chain == one.chain)
        })
        .await?;
    let wanted = [("tag", tag), ("group", group)];
    let wanted = wanted
        .iter()
        .filter_map(|(what, name)| name.as_ref().map(|name| format!("the {what} {name:?}")));
    let wanted = wanted.collect::<Vec<_>>().join(" and ");
    if removed.is_empty() {
        bail!("nothing is watched with {wanted}; `crypto-intel watch list` shows what is");
    }
    for one in &removed {
        let change = change("watch.remove", &one.chain, &one.address);
        change.from(Some(&one.entry)).tell(nats).await?;
    }
    let described: Vec<Value> = removed.iter().map(describe).collect();
    output.show(&described, |_| {
        format!("{} addresses with {wanted} are watched no longer", removed.len())
    })?;
    Ok(())
}

/// Shows entries, with their names where these are asked for.
async fn show(
    config: &AppConfig,
    nats: &Nats,
    watched: &[Watched],
    with_names: bool,
    output: Output,
) -> anyhow::Result<()> {
    let known = match with_names {
        true => names::of_list(config, nats, watched).await?,
        false => BTreeMap::new(),
    };
    let described: Vec<Value> = watched
        .iter()
        .map(|one| {
            let mut value = describe(one);
            if let Some(name) = known.get(&one.address) {
                value["name"] = name.clone().into();
            }
            value
        })
        .collect();
    output.show(&described, |_| show_list(watched, &known))?;
    Ok(())
}

/// Watches the address, the name or the file that is given.
async fn add_wanted(
    config: &AppConfig,
    nats: &Nats,
    list: &Watchlist,
    action: &WatchAction,
    output: Output,
) -> anyhow::Result<()> {
    let WatchAction::Add { address, file, chain, label, tags, kind, group, owner, notes, .. } =
        action
    else {
        return Ok(());
    };
    let mut entry = WatchEntry {
        label: label.clone(),
        tags: tags.clone(),
        kind: (*kind).into(),
        group: group.clone(),
        owner: owner.clone(),
        notes: notes.clone(),
        added_at_us: 0,
    };
    let address = match (address, file) {
        (Some(AddressOrName::Address(address)), _) => *address,
        (Some(AddressOrName::Name(name)), _) => {
            let resolved = names::resolve(config, nats, name).await?;
            // An alert should say what was asked for.
            entry.label.get_or_insert_with(|| name.to_string());
            resolved.address
        }
        (None, Some(file)) => {
            let entries = file::read(file, chain, &entry)?;
            return show_added(add_all(nats, list, entries).await?, output);
        }
        (None, None) => bail!("give an address, or --file"),
    };
    let watched = Watched { chain: chain.clone(), address: address.into(), entry };
    add(config, nats, list, watched, action, output).await
}

/// Watches many: one line of the audit has the counts.
async fn add_all(nats: &Nats, list: &Watchlist, entries: Vec<Watched>) -> anyhow::Result<Added> {
    let added = list.add_all(entries).await?;
    Change::new("watch.import").to(&added).tell(nats).await?;
    Ok(added)
}

fn change(action: &str, chain: &WatchChain, address: &AccountAddress) -> Change {
    Change::new(action).of(format!("{}/{address}", chain.name()))
}

fn show_added(added: Added, output: Output) -> anyhow::Result<()> {
    output.show(&added, |added| {
        let Added { new, changed, unchanged } = added;
        format!(
            "{new} addresses are watched from the next block on, {changed} were watched already and are changed, \
             {unchanged} are as they were"
        )
    })
}

fn in_group(mut watched: Vec<Watched>, group: Option<&str>) -> Vec<Watched> {
    if let Some(group) = group {
        watched.retain(|one| one.entry.group.as_deref() == Some(group));
    }
    watched
}

/// Watches one address, and fetches its past where that is asked for.
async fn add(
    config: &AppConfig,
    nats: &Nats,
    list: &Watchlist,
    watched: Watched,
    action: &WatchAction,
    output: Output,
) -> anyhow::Result<()> {
    let WatchAction::Add { backfill, every_block, detach, .. } = action else { return Ok(()) };
    let Watched { chain, address, entry } = watched;
    let chains = match backfill {
        Some(_) => chains_of(config, &chain)?,
        None => Vec::new(),
    };
    let before = list.get(&chain, &address).await?;
    let change = change("watch.add", &chain, &address).from(before.as_ref()).to(&entry);
    let is_new = list.add(&chain, &address, entry).await?;
    change.tell(nats).await?;
    let mut past = Vec::new();
    for name in chains {
        let chain_config = chain_config(config, name)?;
        let wanted = Gap {
            address: Some(address.to_string()),
            every_block: *every_block,
            ..Gap::new(backfill.unwrap_or(0), u64::MAX, GapReason::Watch)
        };
        let of_chain = (name, chain_config);
        past.push(backfill::fetch(config, nats, of_chain, wanted, *detach, output).await?);
    }
    let mut value = json!({ "chain": chain.name(), "address": address, "new": is_new });
    if backfill.is_some() {
        value["past"] = serde_json::to_value(&past)?;
    }
    output.show(&value, |_| {
        let what = if is_new { "is watched" } else { "was watched already, changed" };
        let first =
            format!("{address} on {} {what}; it counts from the next block on", chain.name());
        let past = past.iter().map(backfill::describe);
        std::iter::once(first).chain(past).collect::<Vec<_>>().join("\n")
    })
}

/// The configured chains whose past is wanted.
fn chains_of<'a>(
    config: &'a AppConfig,
    chain: &'a WatchChain,
) -> Result<Vec<&'a str>, ConfigError> {
    let enabled = config.evm.chains.iter().filter(|(_, chain)| chain.enabled);
    let chains: Vec<&str> = match chain {
        WatchChain::One(slug) => vec![chain_config(config, slug).map(|_| slug.as_str())?],
        WatchChain::All => enabled.map(|(slug, _)| slug.as_str()).collect(),
    };
    if chains.is_empty() {
        let problem = "--backfill reads the chains of the configuration, and there is none under \
                       [evm.chains]"
            .to_owned();
        return Err(ConfigError { problems: vec![problem] });
    }
    Ok(chains)
}

/// An unknown name would be watched nowhere, silently. The configuration at hand need not be the producer's: with
/// no chain at all it says nothing.
fn refuse_unknown(config: &AppConfig, chain: &WatchChain, force: bool) -> Result<(), ConfigError> {
    let WatchChain::One(slug) = chain else { return Ok(()) };
    let known = &config.evm.chains;
    if force || known.is_empty() || known.contains_key(slug) {
        return Ok(());
    }
    let names: Vec<&str> = known.keys().map(String::as_str).collect();
    let problem = format!(
        "--chain {slug} is no chain of this configuration, there is {}: correct it, or give --force if the producer's has it",
        names.join(", ")
    );
    Err(ConfigError { problems: vec![problem] })
}

fn show_list(watched: &[Watched], names: &BTreeMap<AccountAddress, String>) -> String {
    if watched.is_empty() {
        return "nothing is watched; `crypto-intel watch add ADDRESS` begins".to_owned();
    }
    let rows = watched.iter().map(|watched| {
        [
            watched.chain.name().to_owned(),
            watched.address.to_string(),
            names.get(&watched.address).cloned().unwrap_or_default(),
            watched.entry.label.clone().unwrap_or_default(),
            watched.entry.group.clone().unwrap_or_default(),
            watched.entry.tags.join(", "),
            watched.entry.kind.as_str().to_owned(),
        ]
    });
    table(&["chain", "address", "name", "label", "group", "tags", "kind"], rows)
}

fn describe(watched: &Watched) -> Value {
    json!({
        "chain": watched.chain.name(),
        "address": watched.address,
        "label": watched.entry.label,
        "tags": watched.entry.tags,
        "kind": watched.entry.kind,
        "group": watched.entry.group,
        "owner": watched.entry.owner,
        "notes": watched.entry.notes,
        "added_at": time_text(watched.entry.added_at_us),
    })
}
