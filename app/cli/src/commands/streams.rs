//! `crypto-intel streams diff|apply|status`

use std::process::ExitCode;

use anyhow::Context as _;
use crypto_intel_nats::{Change, Difference, Nats, StreamStatus, Topology};
use crypto_intel_schemas::Stream;
use serde::Serialize;

use super::{connect_nats, exit_code, prepare};
use crate::{
    args::{Arguments, StreamsAction},
    changes,
    output::{Output, bytes, table, thousands},
};

pub(crate) async fn run(
    arguments: &Arguments,
    action: &StreamsAction,
    output: Output,
) -> anyhow::Result<ExitCode> {
    let config = prepare(arguments)?;
    let topology = config.topology()?;
    let nats = connect_nats(&config, "streams").await?;
    match action {
        StreamsAction::Diff => {
            let differences = topology.diff(&nats).await.context("compare the streams")?;
            output.show(&differences, |all| show_differences(all))?;
            let overlaps = topology.overlaps(&nats, &differences).await.unwrap_or_default();
            for overlap in &overlaps {
                eprintln!("crypto-intel: {overlap}");
            }
            Ok(exit_code(differences.is_empty()))
        }
        StreamsAction::Apply { allow_destructive } => {
            let applied =
                topology.apply(&nats, *allow_destructive).await.context("apply the streams")?;
            output.show(&applied, |all| show_changes(all))?;
            tell_applied(&nats, &applied).await?;
            Ok(exit_code(!applied.iter().any(|change| matches!(change, Change::Refused { .. }))))
        }
        StreamsAction::Status => {
            let mut streams = topology.status(&nats).await.context("read the streams")?;
            streams.extend(replays(&nats).await.context("read the replayed streams")?);
            output.show(&streams, |all| show_status(all))?;
            Ok(exit_code(streams.iter().all(|stream| stream.state.is_some())))
        }
        StreamsAction::Remove { names, yes } => {
            let removed = remove(&topology, &nats, names, *yes).await?;
            output.show(&removed, |all| show_removed(all, *yes))?;
            if *yes {
                tell_removed(&nats, &removed).await?;
            }
            Ok(exit_code(*yes))
        }
    }
}

/// Tells what was removed. Without its stream the audit takes nothing.
async fn tell_removed(nats: &Nats, removed: &[Removed]) -> anyhow::Result<()> {
    if removed.iter().any(|one| one.stream == Stream::Audit.name()) {
        eprintln!("crypto-intel: the audit was removed, too, and does not tell of this");
        return Ok(());
    }
    for stream in removed {
        let change = changes::Change::new("streams.remove").of(&stream.stream);
        change.from(Some(stream)).tell(nats).await?;
    }
    Ok(())
}

/// Tells what was made equal to the definitions; what was refused is as it was.
async fn tell_applied(nats: &Nats, applied: &[Change]) -> anyhow::Result<()> {
    let is_made = |change: &&Change| !matches!(change, Change::Refused { .. });
    let made: Vec<&Change> = applied.iter().filter(is_made).collect();
    if made.is_empty() {
        return Ok(());
    }
    changes::Change::new("streams.apply").to(&made).tell(nats).await
}

/// What `replay --to subject` made, which is in no definition and goes only by `streams remove`.
async fn replays(nats: &Nats) -> anyhow::Result<Vec<StreamStatus>> {
    let mut found = Vec::new();
    for name in nats.streams_with(">").await?.into_iter().filter(|name| name.starts_with("REPLAY_"))
    {
        let state = nats.stream_state(&name).await?;
        found.push(StreamStatus::new(name, Some(state)));
    }
    Ok(found)
}

/// A stream that is gone, or would be.
#[derive(Debug, Serialize)]
struct Removed {
    stream: String,
    /// What it held.
    messages: u64,
}

/// Deletes streams if `yes`; only if all of them are there.
async fn remove(
    topology: &Topology,
    nats: &Nats,
    names: &[String],
    yes: bool,
) -> anyhow::Result<Vec<Removed>> {
    let mut streams = Vec::new();
    for name in names {
        let state = nats.stream_state(name).await?;
        streams.push(Removed { stream: name.clone(), messages: state.messages });
    }
    for stream in streams.iter().filter(|_| yes) {
        let removed = topology.remove(nats, &stream.stream).await;
        removed.with_context(|| format!("remove stream {}", stream.stream))?;
    }
    Ok(streams)
}

fn show_removed(streams: &[Removed], yes: bool) -> String {
    let verb = if yes { "removed" } else { "would remove" };
    let mut lines: Vec<String> = streams
        .iter()
        .map(|stream| format!("{verb} {}: {} messages", stream.stream, thousands(stream.messages)))
        .collect();
    if !yes {
        lines.push("nothing was done; repeat with --yes if that is meant".to_owned());
    }
    lines.join("\n")
}

fn show_differences(differences: &[Difference]) -> String {
    if differences.is_empty() {
        return "the server has every stream as this version defines it".to_owned();
    }
    let rows = differences.iter().map(|difference| {
        let field = if difference.is_missing() { "(missing)" } else { &difference.field };
        [
            difference.object.clone(),
            field.to_owned(),
            if difference.is_missing() { String::new() } else { difference.found.to_string() },
            if difference.is_missing() { String::new() } else { difference.wanted.to_string() },
            if difference.destructive { "may drop messages".to_owned() } else { String::new() },
        ]
    });
    let heading = ["object", "field", "on the server", "defined", ""];
    format!("{}\n`crypto-intel streams apply` makes them equal", table(&heading, rows))
}

fn show_changes(changes: &[Change]) -> String {
    if changes.is_empty() {
        return "nothing to change".to_owned();
    }
    let lines: Vec<String> = changes
        .iter()
        .map(|change| match change {
            Change::Created { object } => format!("created   {object}"),
            Change::Updated { object, fields } => format!("updated   {object}: {}", fields.join(", ")),
            Change::Recreated { object, fields } => format!("made anew {object}: {}", fields.join(", ")),
            Change::Refused { object, fields } => format!(
                "REFUSED   {object}: {} may drop messages; repeat with --allow-destructive if that is meant",
                fields.join(", ")
            ),
        })
        .collect();
    lines.join("\n")
}

fn show_status(streams: &[StreamStatus]) -> String {
    let rows = streams.iter().map(|stream| match &stream.state {
        None => [
            stream.name.clone(),
            "missing: `crypto-intel streams apply`".to_owned(),
            String::new(),
            String::new(),
            String::new(),
        ],
        Some(state) => [
            stream.name.clone(),
            thousands(state.messages),
            thousands(state.last_sequence),
            bytes(state.bytes),
            percent(stream.fill_ratio),
        ],
    });
    table(&["stream", "messages", "last sequence", "size", "full"], rows)
}

/// How full a stream is; nothing where it has no limit.
pub(crate) fn percent(ratio: Option<f64>) -> String {
    ratio.map_or_else(String::new, |ratio| format!("{:.0} %", ratio * 100.0))
}
