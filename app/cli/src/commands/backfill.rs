//! `crypto-intel backfill CHAIN --from N --to M`: has the chain's producer publish a past range.

use std::{process::ExitCode, time::Duration};

use anyhow::Context as _;
use crypto_intel_evm::{ChainConfig, ChainReader, Gap, GapReason, Gaps, Requested, request_past};
use crypto_intel_nats::{Bucket, Nats};
use crypto_intel_schemas::leases;
use crypto_intel_service::ConfigError;
use serde::Serialize;
use serde_json::json;
use tokio::time::Instant;

use super::{connect_nats, prepare};
use crate::{
    args::{Arguments, BackfillArguments},
    changes::Change,
    config::AppConfig,
    output::{Output, thousands},
    progress,
};

const LOOK_INTERVAL: Duration = Duration::from_millis(500);
const CONNECT_PATIENCE: Duration = Duration::from_secs(20);
/// Without progress for this long a role may be missing.
const HINT_AFTER: Duration = Duration::from_secs(20);

/// What became of a range that was asked for.
#[derive(Debug, Serialize)]
pub(crate) struct Report {
    #[serde(flatten)]
    range: Requested,
    state: &'static str,
}

pub(crate) async fn run(
    arguments: &Arguments,
    options: &BackfillArguments,
    output: Output,
) -> anyhow::Result<ExitCode> {
    let config = prepare(arguments)?;
    let chain = options.chain.as_str();
    let Some(to) = options.to else {
        return take_back(&config, chain, options.from, output).await;
    };
    let chain_config = chain_config(&config, chain)?;
    if options.from > to {
        let problem = format!("--from {} is above --to {to}", options.from);
        return Err(ConfigError { problems: vec![problem] }.into());
    }
    let nats = connect_nats(&config, "backfill").await?;
    let gap = Gap::new(options.from, to, GapReason::Backfill);
    let report = fetch(&config, &nats, (chain, chain_config), gap, options.detach, output).await?;
    output.show(&report, describe)?;
    Ok(ExitCode::SUCCESS)
}

/// Takes a range back that was asked for. The chain need not be configured any more.
async fn take_back(
    config: &AppConfig,
    chain: &str,
    from: u64,
    output: Output,
) -> anyhow::Result<ExitCode> {
    let nats = connect_nats(config, "backfill").await?;
    let gaps = Gaps::open(&nats, chain).await.context("open bucket gaps")?;
    let Some(gap) = gaps.take_back(from).await? else {
        anyhow::bail!("no range of {chain} that was asked for begins at block {from}");
    };
    Change::new("backfill.take_back").of(chain).from(Some(&gap)).tell(&nats).await?;
    let left = gap.remaining();
    let report = json!({ "chain": chain, "from": from, "to": gap.to, "not_published": left });
    output.show(&report, |_| {
        format!("{chain}: took back {} blocks that were not published yet", thousands(left))
    })?;
    Ok(ExitCode::SUCCESS)
}

/// Queues a range up to the last final block, and waits until the producer has published it, unless `detach`.
pub(crate) async fn fetch(
    config: &AppConfig,
    nats: &Nats,
    (chain, chain_config): (&str, &ChainConfig),
    wanted: Gap,
    detach: bool,
    output: Output,
) -> anyhow::Result<Report> {
    let finalized = final_block(config, chain, chain_config).await?;
    let range = request_past(nats, chain, finalized, wanted).await?;
    let mut report = Report { range, state: "queued" };
    Change::new("backfill.queue").of(chain).to(&report).tell(nats).await?;
    if !detach {
        wait(nats, &report.range, output).await?;
        report.state = "filled";
    }
    Ok(report)
}

/// The configuration of a chain that must be there.
pub(crate) fn chain_config<'a>(
    config: &'a AppConfig,
    chain: &str,
) -> Result<&'a ChainConfig, ConfigError> {
    config.evm.chains.get(chain).ok_or_else(|| {
        let known: Vec<&str> = config.evm.chains.keys().map(String::as_str).collect();
        let problem = format!(
            "chain {chain} is not configured under [evm.chains]; there is {}",
            if known.is_empty() { "none".to_owned() } else { known.join(", ") }
        );
        ConfigError { problems: vec![problem] }
    })
}

/// A connection of its own to the chain.
pub(crate) async fn reader(
    config: &AppConfig,
    chain: &str,
    chain_config: &ChainConfig,
) -> anyhow::Result<ChainReader> {
    let assets = config.evm.assets.as_deref();
    ChainReader::connect(chain, chain_config, assets, CONNECT_PATIENCE).await
}

/// The last final block of a chain.
pub(crate) async fn final_block(
    config: &AppConfig,
    chain: &str,
    chain_config: &ChainConfig,
) -> anyhow::Result<u64> {
    reader(config, chain, chain_config).await?.finalized().await
}

/// Follows the range until the producer has published it; may be ended and started again at will.
async fn wait(nats: &Nats, report: &Requested, output: Output) -> anyhow::Result<()> {
    let gaps = Gaps::open(nats, &report.chain).await.context("open bucket gaps")?;
    let bar = progress::blocks(output, report.blocks, &report.chain);
    let mut moved = (Instant::now(), report.from);
    loop {
        let Some(gap) = gaps.get(report.from, report.address.as_deref()).await? else { break };
        if gap.next > report.to {
            break;
        }
        if gap.next != moved.1 {
            moved = (Instant::now(), gap.next);
        }
        bar.set_position(gap.next - report.from);
        bar.set_message(message(&gap, nats, &report.chain, moved.0).await);
        tokio::time::sleep(LOOK_INTERVAL).await;
    }
    bar.finish_and_clear();
    Ok(())
}

async fn message(gap: &Gap, nats: &Nats, chain: &str, moved: Instant) -> String {
    if let Some(trouble) = &gap.trouble {
        return trouble.clone();
    }
    if moved.elapsed() < HINT_AFTER {
        return String::new();
    }
    match leader(nats, chain).await {
        Ok(true) => "the producer waits: for live, for persist, or for another gap".to_owned(),
        Ok(false) => format!("no producer leads {chain}: start `crypto-intel run evm`"),
        Err(error) => format!("{error:#}"),
    }
}

async fn leader(nats: &Nats, chain: &str) -> anyhow::Result<bool> {
    let bucket = nats.kv(Bucket::Leases).await.context("open bucket leases")?;
    Ok(bucket.get(&leases::chain("evm", chain)).await.context("read lease")?.is_some())
}

/// For people.
pub(crate) fn describe(report: &Report) -> String {
    let Report { range, state } = report;
    let of = range.address.as_ref();
    let of = of.map(|address| format!(" past of {address}")).unwrap_or_default();
    let mut text = format!(
        "{}{of} {}: {} blocks, {} to {}",
        range.chain,
        state,
        thousands(range.blocks),
        thousands(range.from),
        thousands(range.to)
    );
    if let Some(note) = &range.note {
        text.push_str(&format!("\n{note}"));
    }
    text
}
