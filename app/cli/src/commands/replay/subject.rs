//! `crypto-intel replay … --to subject PREFIX`

use std::process::ExitCode;

use anyhow::Context as _;
use crypto_intel_nats::{Position, ReplayStream, ReplayTarget};
use serde::Serialize;

use super::{
    Session,
    copy::{Copied, copy},
    cut_note, ended,
};
use crate::output::thousands;

#[derive(Debug, Serialize)]
struct Report<'a> {
    stream: &'a str,
    to: &'static str,
    into_stream: String,
    subjects: String,
    from_sequence: u64,
    to_sequence: u64,
    /// Whether an earlier run did the beginning.
    resumed: bool,
    #[serde(flatten)]
    copied: Copied,
    #[serde(skip_serializing_if = "Option::is_none")]
    note: Option<String>,
}

pub(super) async fn run(
    session: &Session<'_>,
    stream: &str,
    prefix: String,
) -> anyhow::Result<ExitCode> {
    let target = target(session, stream, prefix);
    target.check(&session.nats).await?;
    let request = session.request()?;
    if session.options.anew {
        ReplayStream::delete(&session.nats, &target).await?;
    }
    let found = ReplayStream::find(&session.nats, &target).await?;
    let resumed = found.is_some();
    let mut into = match found {
        Some(found) => found,
        None => {
            let range = session.nats.range(stream, request).await?;
            ReplayStream::create(&session.nats, &target, range)
                .await
                .with_context(|| format!("make the stream {}", target.stream()))?
        }
    };
    let range = into.range();
    let last = into.last_original();
    session.note(&format!(
        "{stream}, sequences {} to {}, onto {} in stream {}{}",
        thousands(range.from),
        thousands(range.to),
        target.subjects(),
        into.name(),
        if resumed {
            format!(": going on after {}", thousands(last.sequence))
        } else {
            String::new()
        }
    ));
    let before = Position { sequence: range.from - 1, stored_at_us: 0 };
    let after = if last.sequence < range.from { before } else { last };
    let bar = session.bar(stream, range, after.sequence);
    let copied = copy(session, stream, range, after, &bar, async |messages| {
        into.publish(stream, &messages).await?;
        Ok(())
    })
    .await?;
    bar.finish_and_clear();
    let report = Report {
        stream,
        to: "subject",
        into_stream: into.name(),
        subjects: target.subjects(),
        from_sequence: range.from,
        to_sequence: range.to,
        resumed,
        copied,
        note: cut_note(stream, range),
    };
    session.output.show(&report, show)?;
    Ok(ended(report.copied.complete))
}

fn target(session: &Session<'_>, stream: &str, prefix: String) -> ReplayTarget {
    let options = session.options;
    let mut what = vec![stream.to_owned()];
    what.extend(options.subjects.clone());
    what.extend(Some(options.range_words()).filter(|words| !words.is_empty()));
    ReplayTarget {
        prefix,
        what: what.join(" "),
        max_bytes: options.max_bytes,
        max_age_seconds: options.max_age.as_secs(),
    }
}

fn show(report: &Report<'_>) -> String {
    let Copied { events, position, complete, .. } = report.copied;
    let mut lines = vec![format!(
        "{} {}: {} events into stream {}, up to sequence {} of {}",
        report.stream,
        if complete { "replayed" } else { "stopped" },
        thousands(events),
        report.into_stream,
        thousands(if complete { report.to_sequence } else { position }),
        thousands(report.to_sequence)
    )];
    lines.extend(report.note.clone());
    if complete {
        lines.push(format!("read it: crypto-intel tail '{}' --since start", report.subjects));
    } else {
        lines.push("run the same command again: it goes on there".to_owned());
    }
    lines.join("\n")
}
