//! `crypto-intel status`: heads, lags, streams and last alerts on one screen.

use std::process::ExitCode;

use anyhow::Context as _;
use crypto_intel_nats::{Nats, list_dead_letters};
use crypto_intel_schemas::{Alert, Block, Event, Kind, subjects};
use crypto_intel_service::now_us;
use serde::Serialize;

use super::{connect_nats, connect_store, prepare, streams::percent, streams::topology};
use crate::{
    AppConfig, Arguments,
    output::{Output, ago, bytes, table, thousands},
};

/// Alerts on the screen.
const LAST_ALERTS: u64 = 5;

#[derive(Debug, Serialize)]
struct Status {
    chains: Vec<Chain>,
    positions: Vec<Lag>,
    streams: Vec<crypto_intel_nats::StreamStatus>,
    alerts: Vec<LastAlert>,
    dead_letters: usize,
    /// Why the database is not shown.
    #[serde(skip_serializing_if = "Option::is_none")]
    database: Option<String>,
}

#[derive(Debug, Serialize)]
pub(crate) struct Chain {
    pub(crate) chain: String,
    pub(crate) block_number: u64,
    block_hash: String,
    finalized_number: u64,
    block_age_seconds: i64,
}

#[derive(Debug, Serialize)]
struct Lag {
    stream: String,
    position: u64,
    messages_behind: u64,
}

#[derive(Debug, Serialize)]
struct LastAlert {
    at_us: i64,
    severity: &'static str,
    state: &'static str,
    rule: String,
    title: String,
    code: String,
}

pub(crate) async fn run(arguments: &Arguments, output: Output) -> anyhow::Result<ExitCode> {
    let config = prepare(arguments)?;
    let nats = connect_nats(&config, "status").await?;
    let streams = topology(&config)?.status(&nats).await.context("read the streams")?;
    let (positions, database) = if config.database.url.is_empty() {
        (Vec::new(), Some("no database is configured".to_owned()))
    } else {
        match lags(&config, &streams).await {
            Ok(lags) => (lags, None),
            Err(error) => (Vec::new(), Some(format!("{error:#}"))),
        }
    };
    let status = Status {
        chains: chains(&config, &nats).await?,
        positions,
        alerts: last_alerts(&nats).await?,
        dead_letters: list_dead_letters(&nats, None, 1_000)
            .await
            .context("read the dead letters")?
            .len(),
        database,
        streams,
    };
    output.show(&status, show)?;
    Ok(ExitCode::SUCCESS)
}

/// The last block of each configured chain in the stream.
pub(crate) async fn chains(config: &AppConfig, nats: &Nats) -> anyhow::Result<Vec<Chain>> {
    let mut chains = Vec::new();
    for name in config.evm.chains.keys() {
        let subject = subjects::chain(subjects::Lane::Live, name, Kind::Block);
        let Some(message) = nats.last_on_subject("EVM", &subject).await? else { continue };
        if let Ok(Event::Block(block)) = Event::decode(&message.payload) {
            chains.push(chain(&block));
        }
    }
    Ok(chains)
}

fn chain(block: &Block) -> Chain {
    Chain {
        chain: block.chain.clone(),
        block_number: block.block_number,
        block_hash: block.block_hash.to_string(),
        finalized_number: block.finalized_number,
        block_age_seconds: (now_us() - block.block_time_us) / 1_000_000,
    }
}

async fn lags(
    config: &AppConfig,
    streams: &[crypto_intel_nats::StreamStatus],
) -> anyhow::Result<Vec<Lag>> {
    let store = connect_store(config).await?;
    let positions = store.positions().await.context("read the positions")?;
    Ok(positions
        .into_iter()
        .map(|position| {
            let end = streams
                .iter()
                .find(|stream| stream.name == position.stream)
                .and_then(|stream| stream.state.as_ref())
                .map_or(0, |state| state.last_sequence);
            let messages_behind = end.saturating_sub(position.sequence);
            Lag { stream: position.stream, position: position.sequence, messages_behind }
        })
        .collect())
}

async fn last_alerts(nats: &Nats) -> anyhow::Result<Vec<LastAlert>> {
    let state = nats.stream_state("ALERT").await.context("read the stream ALERT")?;
    let mut alerts = Vec::new();
    let mut sequence = state.last_sequence;
    while sequence >= state.first_sequence && sequence > 0 && (alerts.len() as u64) < LAST_ALERTS {
        if let Some(message) = nats.get("ALERT", sequence).await?
            && let Ok(Event::Alert(alert)) = Event::decode(&message.payload)
        {
            alerts.push(last_alert(alert, message.stored_at_us));
        }
        sequence -= 1;
    }
    Ok(alerts)
}

fn last_alert(alert: Alert, at_us: i64) -> LastAlert {
    LastAlert {
        at_us,
        severity: alert.severity.as_str(),
        state: alert.state.as_str(),
        rule: alert.rule,
        title: alert.title,
        code: alert.code,
    }
}

/// Streams, without the key-value buckets, and how far persist is behind them.
fn show_streams(status: &Status) -> String {
    let streams = status.streams.iter().filter(|stream| !stream.name.starts_with("KV_"));
    table(
        &["stream", "messages", "size", "full", "not stored yet"],
        streams.map(|stream| {
            let lag = status.positions.iter().find(|lag| lag.stream == stream.name);
            let state = stream.state.as_ref();
            [
                stream.name.clone(),
                state.map_or_else(|| "missing".to_owned(), |state| thousands(state.messages)),
                state.map_or_else(String::new, |state| bytes(state.bytes)),
                percent(stream.fill_ratio),
                lag.map_or_else(String::new, |lag| thousands(lag.messages_behind)),
            ]
        }),
    )
}

fn show(status: &Status) -> String {
    let now = now_us();
    let mut parts = Vec::new();
    parts.push(table(
        &["chain", "block", "hash", "finalized", "age"],
        status.chains.iter().map(|chain| {
            [
                chain.chain.clone(),
                thousands(chain.block_number),
                chain.block_hash.chars().take(14).collect(),
                thousands(chain.finalized_number),
                format!("{} s", chain.block_age_seconds),
            ]
        }),
    ));
    parts.push(show_streams(status));
    parts.extend(status.database.iter().map(|reason| format!("database: {reason}")));
    if status.alerts.is_empty() {
        parts.push("no alerts yet".to_owned());
    } else {
        parts.push(table(
            &["alert", "severity", "rule", "code", "title"],
            status.alerts.iter().map(|alert| {
                [
                    format!("{} ago, {}", ago(now, alert.at_us), alert.state),
                    alert.severity.to_owned(),
                    alert.rule.clone(),
                    alert.code.clone(),
                    alert.title.clone(),
                ]
            }),
        ));
    }
    parts.push(format!("dead letters: {}", status.dead_letters));
    parts.join("\n\n")
}
