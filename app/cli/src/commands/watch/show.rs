//! `crypto-intel watch show ADDRESS`: what of an address is complete, by what, and what is still queued.

use std::process::ExitCode;

use anyhow::{Context as _, bail};
use crypto_intel_evm::{ChainConfig, Gap, Gaps, Pasts, Watchlist, read_verified};
use crypto_intel_nats::{Bucket, Nats};
use crypto_intel_schemas::{AccountAddress, ChainCursor, Finder, PastDoubt, WatchChain, Watched};
use serde::Serialize;

use super::super::backfill::reader;
use crate::{
    config::AppConfig,
    output::{Output, thousands},
    times::time_text,
};

/// The list counts from the next block on that a producer publishes; clocks differ, and it takes a moment to be read.
const LIVE_MARGIN_US: i64 = 60_000_000;

/// What is known of an address.
#[derive(Debug, Serialize)]
struct Report {
    address: String,
    watched: Vec<Entry>,
    chains: Vec<OfChain>,
}

#[derive(Debug, Serialize)]
struct Entry {
    chain: String,
    label: Option<String>,
    tags: Vec<String>,
    since: String,
}

/// The same on one chain.
#[derive(Debug, Serialize)]
struct OfChain {
    chain: String,
    logs: Vec<Complete>,
    transactions: Vec<Complete>,
    payments: Vec<Complete>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    doubts: Vec<PastDoubt>,
    more_doubts: u64,
    queued: Vec<Queued>,
    #[serde(skip_serializing_if = "Option::is_none")]
    live: Option<Live>,
}

/// Blocks without a hole, and what found them.
#[derive(Debug, Serialize)]
struct Complete {
    from: u64,
    to: u64,
    by: Vec<Finder>,
}

/// A past that is asked for and not published yet.
#[derive(Debug, Serialize)]
struct Queued {
    from: u64,
    to: u64,
    next: u64,
    every_block: bool,
    trouble: Option<String>,
}

/// What the live lane published since the address is watched.
#[derive(Debug, Serialize)]
struct Live {
    since: String,
    /// First block that surely has its label; absent while no endpoint tells.
    from: Option<u64>,
    /// Last block that is published.
    to: Option<u64>,
    /// Ranges of it that are queued still.
    missing: Vec<(u64, u64)>,
    /// Up to here an audit found everything stored.
    verified_to: Option<u64>,
}

pub(super) async fn run(
    config: &AppConfig,
    nats: &Nats,
    list: &Watchlist,
    address: AccountAddress,
    output: Output,
) -> anyhow::Result<ExitCode> {
    let mut entries = list.list().await?;
    entries.retain(|entry| entry.address == address);
    let mut chains = Vec::new();
    for (chain, chain_config) in &config.evm.chains {
        let entry = entry_of(&entries, chain);
        let found = of_chain(config, nats, (chain, chain_config), &address, entry).await;
        let found = found.with_context(|| format!("look at chain {chain}"))?;
        if entry.is_some() || !found.is_empty() {
            chains.push(found);
        }
    }
    if entries.is_empty() && chains.is_empty() {
        bail!(
            "{address} is not watched and none of its past was asked for; `crypto-intel watch add {address}` begins"
        );
    }
    let watched = entries.iter().map(|one| Entry {
        chain: one.chain.name().to_owned(),
        label: one.entry.label.clone(),
        tags: one.entry.tags.clone(),
        since: time_text(one.entry.added_at_us),
    });
    let report = Report { address: address.to_string(), watched: watched.collect(), chains };
    output.show(&report, describe)?;
    Ok(ExitCode::SUCCESS)
}

/// The entry that counts on a chain: the longest one.
fn entry_of<'a>(entries: &'a [Watched], chain: &str) -> Option<&'a Watched> {
    let counts = |entry: &&Watched| match &entry.chain {
        WatchChain::One(slug) => slug == chain,
        WatchChain::All => true,
    };
    entries.iter().filter(counts).min_by_key(|entry| entry.entry.added_at_us)
}

async fn of_chain(
    config: &AppConfig,
    nats: &Nats,
    (chain, chain_config): (&str, &ChainConfig),
    address: &AccountAddress,
    entry: Option<&Watched>,
) -> anyhow::Result<OfChain> {
    let text = address.to_string();
    let past = Pasts::open(nats, chain).await?.get(&text).await?;
    let gaps = Gaps::open(nats, chain).await?.list().await?;
    let queued = gaps.iter().filter(|gap| gap.address.as_deref() == Some(text.as_str()));
    let queued = queued.map(|gap| Queued {
        from: gap.from,
        to: gap.to,
        next: gap.next,
        every_block: gap.every_block,
        trouble: gap.trouble.clone(),
    });
    let queued = queued.collect();
    let live = match entry {
        Some(entry) => Some(live(config, nats, (chain, chain_config), entry, &gaps).await?),
        None => None,
    };
    let complete = |what: &str| {
        let ranges = past.complete(what).into_iter();
        ranges.map(|(from, to, by)| Complete { from, to, by }).collect()
    };
    Ok(OfChain {
        chain: chain.to_owned(),
        logs: complete("logs"),
        transactions: complete("transactions"),
        payments: complete("payments"),
        queued,
        live,
        doubts: past.doubts.clone(),
        more_doubts: past.more_doubts,
    })
}

async fn live(
    config: &AppConfig,
    nats: &Nats,
    (chain, chain_config): (&str, &ChainConfig),
    entry: &Watched,
    gaps: &[Gap],
) -> anyhow::Result<Live> {
    let since_us = entry.entry.added_at_us;
    let from = match reader(config, chain, chain_config).await {
        Ok(reader) => reader.first_block_since(since_us + LIVE_MARGIN_US).await.ok().flatten(),
        // What is kept can be shown without the chain.
        Err(_) => None,
    };
    let cursors = nats.kv(Bucket::Cursors).await.context("open bucket cursors")?;
    let cursor = cursors.get(&ChainCursor::key("evm", chain)).await.context("read cursor")?;
    let cursor: Option<ChainCursor> =
        cursor.and_then(|entry| serde_json::from_slice(&entry.value).ok());
    let to = cursor.map(|cursor| cursor.number);
    let is_within = |gap: &&Gap| {
        gap.address.is_none() && from.is_some_and(|from| gap.to >= from && gap.remaining() > 0)
    };
    let missing = gaps.iter().filter(is_within);
    let missing = missing.map(|gap| (gap.next.max(from.unwrap_or_default()), gap.to)).collect();
    let verified_to = read_verified(nats, chain).await?.map(|verified| verified.number);
    Ok(Live { since: time_text(since_us), from, to, missing, verified_to })
}

impl OfChain {
    fn is_empty(&self) -> bool {
        self.logs.is_empty()
            && self.transactions.is_empty()
            && self.payments.is_empty()
            && self.doubts.is_empty()
            && self.queued.is_empty()
    }
}

fn describe(report: &Report) -> String {
    let mut lines = vec![report.address.clone()];
    for entry in &report.watched {
        let label = entry.label.clone().unwrap_or_default();
        let tags: String = entry.tags.iter().map(|tag| format!(" #{tag}")).collect();
        lines.push(
            format!("watched on {} since {} {label}{tags}", entry.chain, entry.since)
                .trim_end()
                .to_owned(),
        );
    }
    for chain in &report.chains {
        lines.push(String::new());
        lines.push(chain.chain.clone());
        for (what, ranges) in [
            ("logs", &chain.logs),
            ("transactions", &chain.transactions),
            ("payments", &chain.payments),
        ] {
            if ranges.is_empty() {
                lines.push(format!("  {what}: complete nowhere"));
            }
            for range in ranges {
                let by: Vec<String> = range.by.iter().map(said).collect();
                lines.push(format!(
                    "  {what}: complete from block {} to {}, by {}",
                    thousands(range.from),
                    thousands(range.to),
                    by.join(" and ")
                ));
            }
        }
        for doubt in &chain.doubts {
            let number = thousands(doubt.number);
            lines.push(format!(
                "  doubt: {} says of block {number}: {}",
                said(&doubt.by),
                doubt.text
            ));
        }
        if chain.more_doubts > 0 {
            lines.push(format!("  doubt: {} more", thousands(chain.more_doubts)));
        }
        lines.extend(chain.queued.iter().map(describe_queued));
        lines.extend(chain.live.as_ref().map(describe_live));
    }
    lines.join("\n")
}

fn describe_queued(queued: &Queued) -> String {
    let what = if queued.every_block { ", every block" } else { "" };
    let mut text = format!(
        "  queued: {} to {}{what}, published up to {}",
        thousands(queued.from),
        thousands(queued.to),
        thousands(queued.next.saturating_sub(1))
    );
    if let Some(trouble) = &queued.trouble {
        text.push_str(&format!("; it waits: {trouble}"));
    }
    text
}

fn describe_live(live: &Live) -> String {
    let mut text = match (live.from, live.to) {
        (Some(from), Some(to)) if from <= to => {
            format!("  live: everything from block {} to {}", thousands(from), thousands(to))
        }
        (Some(from), _) => format!("  live: everything from block {} on", thousands(from)),
        (None, _) => {
            format!("  live: everything since {}, no endpoint tells from which block", live.since)
        }
    };
    for (from, to) in &live.missing {
        text.push_str(&format!(", without {} to {} (queued)", thousands(*from), thousands(*to)));
    }
    if let Some(number) =
        live.verified_to.filter(|number| live.from.is_some_and(|from| from <= *number))
    {
        text.push_str(&format!("; an audit found it stored up to {}", thousands(number)));
    }
    text
}

fn said(finder: &Finder) -> String {
    match finder {
        Finder::OwnLogs => "own requests for logs".to_owned(),
        Finder::EveryBlock => "looking into every block".to_owned(),
        Finder::Explorer(name) => name.clone(),
    }
}
