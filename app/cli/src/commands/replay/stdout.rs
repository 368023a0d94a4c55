//! `crypto-intel replay … --to stdout`

use std::process::ExitCode;

use crypto_intel_nats::Position;
use indicatif::ProgressBar;
use serde::Serialize;

use super::{
    Session,
    copy::{Copied, copy},
    cut_note, ended,
};
use crate::{
    commands::tail::describe,
    output::{Output, is_terminal, lines, thousands},
};

#[derive(Debug, Serialize)]
struct Report<'a> {
    stream: &'a str,
    to: &'static str,
    from_sequence: u64,
    to_sequence: u64,
    #[serde(flatten)]
    copied: Copied,
    #[serde(skip_serializing_if = "Option::is_none")]
    note: Option<String>,
}

pub(super) async fn run(session: &Session<'_>, stream: &str) -> anyhow::Result<ExitCode> {
    let range = session.nats.range(stream, session.request()?).await?;
    // A bar between the lines would only disturb.
    let bar = if is_terminal() { ProgressBar::hidden() } else { session.bar(stream, range, 0) };
    let before = Position { sequence: range.from - 1, stored_at_us: 0 };
    let copied = copy(session, stream, range, before, &bar, async |messages| {
        lines(messages.iter().map(describe))
    })
    .await?;
    bar.finish_and_clear();
    let report = Report {
        stream,
        to: "stdout",
        from_sequence: range.from,
        to_sequence: range.to,
        copied,
        note: cut_note(stream, range),
    };
    // Standard output has the events.
    match session.output {
        Output::Json => eprintln!("{}", serde_json::to_string(&report)?),
        Output::Human => eprintln!("{}", show(&report)),
    }
    Ok(ended(report.copied.complete))
}

fn show(report: &Report<'_>) -> String {
    let Copied { events, position, complete, .. } = report.copied;
    let mut lines = vec![format!(
        "{}: {} events, sequences {} to {}",
        report.stream,
        thousands(events),
        thousands(report.from_sequence),
        thousands(if complete { report.to_sequence } else { position })
    )];
    lines.extend(report.note.clone());
    if !complete {
        lines.push(format!("stopped; --from-sequence {} goes on there", position + 1));
    }
    lines.join("\n")
}
