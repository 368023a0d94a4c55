//! `crypto-intel replay … --to persist`

use std::{convert::Infallible, process::ExitCode};

use anyhow::{Context as _, bail};
use crypto_intel_persist::{Counts, Progress, Replay, ReplayTask};
use indicatif::ProgressBar;
use serde::Serialize;
use tokio::time::Instant;

use super::{LOOK_INTERVAL, Session, cut_note, ended};
use crate::{commands::connect_store, output::thousands};

#[derive(Debug, Serialize)]
struct Report<'a> {
    stream: &'a str,
    to: &'static str,
    filters: &'a [String],
    from_sequence: u64,
    to_sequence: u64,
    /// Whether an earlier run did the beginning.
    resumed: bool,
    complete: bool,
    /// Sequence of the last message applied.
    position: u64,
    #[serde(flatten)]
    counts: Counts,
    seconds: f64,
    #[serde(skip_serializing_if = "Option::is_none")]
    note: Option<String>,
}

pub(super) async fn run(session: &Session<'_>, stream: &str) -> anyhow::Result<ExitCode> {
    let options = session.options;
    let store = connect_store(session.config).await?;
    let missing = store.missing_migrations().await.context("compare the database's migrations")?;
    if !missing.is_empty() {
        bail!("the database lacks {}: run `crypto-intel migrate`", missing.join(", "));
    }
    let replay = Replay {
        stream: stream.to_owned(),
        filters: options.subjects.clone(),
        words: options.range_words(),
        request: session.request()?,
        rate: options.rate,
        anew: options.anew,
    };
    let persist = &session.config.persist;
    let task = ReplayTask::prepare(persist, &session.nats, &store, replay).await?;
    let (range, filters, resumed) = (task.range(), task.filters().to_vec(), task.is_resumed());
    let note = cut_note(stream, range);
    session.note(&format!(
        "{stream}, sequences {} to {}, {}{}",
        thousands(range.from),
        thousands(range.to),
        filters.join(" "),
        if resumed { ": going on where an earlier run ended" } else { "" }
    ));
    let started = Instant::now();
    let progress = task.progress();
    let bar = session.bar(stream, range, progress.sequence());
    let outcome = tokio::select! {
        outcome = task.run(&session.shutdown) => outcome?,
        never = show(&bar, &progress, range.from) => match never {},
    };
    bar.finish_and_clear();
    let report = Report {
        stream,
        to: "persist",
        filters: &filters,
        from_sequence: range.from,
        to_sequence: range.to,
        resumed,
        complete: outcome.is_complete,
        position: outcome.position,
        counts: outcome.counts,
        seconds: started.elapsed().as_secs_f64(),
        note,
    };
    session.output.show(&report, describe)?;
    Ok(ended(report.complete))
}

/// Keeps the bar where the reading is.
pub(super) async fn show(bar: &ProgressBar, progress: &Progress, from: u64) -> Infallible {
    let mut ticks = tokio::time::interval(LOOK_INTERVAL);
    loop {
        ticks.tick().await;
        bar.set_position((progress.sequence() + 1).saturating_sub(from));
        let rows: u64 = progress.counts().rows.values().sum();
        let message = progress.trouble().unwrap_or_else(|| format!("{} new rows", thousands(rows)));
        bar.set_message(message);
    }
}

fn describe(report: &Report<'_>) -> String {
    let counts = &report.counts;
    let state = if report.complete { "stored again" } else { "stopped" };
    let mut lines = vec![format!(
        "{} {state}: {} messages in {:.1} s, up to sequence {} of {}",
        report.stream,
        thousands(counts.messages),
        report.seconds,
        thousands(report.position),
        thousands(report.to_sequence)
    )];
    lines.push(describe_rows(counts));
    if counts.dropped_blocks > 0 {
        lines.push(format!(
            "{} blocks are not canonical, without rows",
            thousands(counts.dropped_blocks)
        ));
    }
    lines.extend(describe_losses(counts));
    lines.extend(report.note.clone());
    if !report.complete {
        lines.push("run the same command again: it goes on there".to_owned());
    }
    lines.join("\n")
}

/// New rows by table, in one line.
pub(super) fn describe_rows(counts: &Counts) -> String {
    if counts.rows.is_empty() {
        return "no row was missing".to_owned();
    }
    let rows = counts.rows.iter().map(|(table, rows)| format!("{table} {}", thousands(*rows)));
    format!("new rows: {}", rows.collect::<Vec<_>>().join(", "))
}

/// What could not be stored or read, with what to do about it.
pub(super) fn describe_losses(counts: &Counts) -> Vec<String> {
    let mut lines = Vec::new();
    if counts.dead_lettered > 0 {
        lines.push(format!(
            "{} messages can never be stored: `crypto-intel dlq list`",
            thousands(counts.dead_lettered)
        ));
    }
    if counts.lost_ranges > 0 {
        lines.push(format!(
            "{} ranges left the stream before they were read: `crypto-intel audit CHAIN` finds missing blocks",
            thousands(counts.lost_ranges)
        ));
    }
    lines
}
