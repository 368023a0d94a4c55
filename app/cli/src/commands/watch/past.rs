//! `crypto-intel watch backfill`: asks for the past of what is watched; the producer serves many by one pass.

use std::{collections::BTreeMap, process::ExitCode};

use anyhow::{Context as _, bail};
use crypto_intel_evm::{Gap, GapReason, Gaps, Watchlist};
use crypto_intel_nats::Nats;
use crypto_intel_schemas::Address;
use futures::{StreamExt as _, TryStreamExt as _};
use serde_json::json;

use super::{
    super::backfill::{chain_config, final_block},
    chains_of,
};
use crate::{
    config::AppConfig,
    output::{Output, thousands},
};

/// Pasts that are queued at once.
const AT_ONCE: usize = 16;

/// Whose past, and how much of it.
#[derive(Debug, Clone, Copy)]
pub(super) struct Wanted<'a> {
    pub(super) addresses: &'a [Address],
    pub(super) tag: Option<&'a str>,
    pub(super) group: Option<&'a str>,
    pub(super) chain: Option<&'a str>,
    pub(super) from: u64,
    pub(super) every_block: bool,
}

/// Queues the pasts up to the last final block of each chain.
pub(super) async fn run(
    config: &AppConfig,
    nats: &Nats,
    list: &Watchlist,
    wanted: Wanted<'_>,
    output: Output,
) -> anyhow::Result<ExitCode> {
    let mut by_chain: BTreeMap<&str, Vec<String>> = BTreeMap::new();
    let entries = list.list().await?;
    for entry in entries.iter().filter(|entry| {
        let is_named = wanted.addresses.iter().any(|address| entry.address == *address);
        is_named
            || wanted.tag.is_some_and(|tag| entry.entry.tags.iter().any(|one| one == tag))
            || wanted.group.is_some_and(|group| entry.entry.group.as_deref() == Some(group))
    }) {
        for chain in chains_of(config, &entry.chain)? {
            if wanted.chain.is_none_or(|only| only == chain) {
                by_chain.entry(chain).or_default().push(entry.address.to_string());
            }
        }
    }
    if by_chain.is_empty() {
        bail!("nothing that is watched fits; `crypto-intel watch list` shows what is");
    }
    let mut queued = Vec::new();
    for (chain, mut addresses) in by_chain {
        addresses.sort_unstable();
        addresses.dedup();
        let finalized = final_block(config, chain, chain_config(config, chain)?).await?;
        anyhow::ensure!(
            wanted.from <= finalized,
            "block {} of {chain} is not final yet, block {finalized} is: live publishes it",
            wanted.from
        );
        let gaps = Gaps::open(nats, chain).await.context("open bucket gaps")?;
        let count = addresses.len();
        let writes: Vec<_> = addresses
            .into_iter()
            .map(|address| {
                let gap = Gap {
                    address: Some(address),
                    every_block: wanted.every_block,
                    ..Gap::new(wanted.from, finalized, GapReason::Watch)
                };
                gaps.queue_gap(gap)
            })
            .collect();
        let written: Vec<Gap> =
            futures::stream::iter(writes).buffer_unordered(AT_ONCE).try_collect().await?;
        debug_assert_eq!(written.len(), count);
        queued.push(
            json!({ "chain": chain, "addresses": count, "from": wanted.from, "to": finalized }),
        );
    }
    output.show(&queued, |queued| {
        let line = |one: &serde_json::Value| {
            format!(
                "{}: the past of {} addresses is queued, blocks {} to {}; `crypto-intel watch show ADDRESS` says how far it is",
                one["chain"].as_str().unwrap_or_default(),
                one["addresses"],
                thousands(wanted.from),
                thousands(one["to"].as_u64().unwrap_or_default())
            )
        };
        queued.iter().map(line).collect::<Vec<_>>().join("\n")
    })?;
    Ok(ExitCode::SUCCESS)
}
