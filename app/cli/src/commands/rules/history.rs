//! `crypto-intel rules test`: past events through the rules.

use std::{
    path::{Path, PathBuf},
    process::ExitCode,
    sync::Arc,
};

use anyhow::{Context as _, bail};
use crypto_intel_alerts::{
    Difference, RuleFindings, RuleSet, RuleStream, Told, Trial, load_rules, read_trials,
    run_examples,
};
use crypto_intel_nats::{Nats, RangeError, RangeRequest, StreamRange, StreamState};
use crypto_intel_service::now_us;
use serde::Serialize;

use super::tables::{self, Overlap, TableRange, TablesReport};
use crate::{
    args::{Arguments, RulesTestArguments},
    commands::{connect_nats, exit_code, misunderstood, prepare},
    config::AppConfig,
    output::{Output, table, thousands},
    times::{parse_beginning, parse_moment, time_text},
};

const DEFAULT_SINCE: &str = "1h";
const NO_DATABASE: &str = "no database is configured to read it from: set database.url";
/// So many alerts of each side of a difference are shown to people.
const MAX_SHOWN: usize = 20;

/// What was asked for, microseconds; no beginning is that of the stream.
#[derive(Debug, Clone, Copy)]
struct Asked {
    since_us: Option<i64>,
    until_us: i64,
}

/// What rules would have said.
#[derive(Debug, Serialize)]
struct Report {
    streams: Vec<StreamReport>,
    failed_examples: Vec<String>,
}

/// The same of one stream.
#[derive(Debug, Default, Serialize)]
struct StreamReport {
    stream: String,
    from: Option<String>,
    to: Option<String>,
    from_sequence: u64,
    to_sequence: u64,
    messages: u64,
    undecodable: u64,
    /// What was read of the tables, for the part of the range that the stream does not hold.
    #[serde(skip_serializing_if = "Option::is_none")]
    tables: Option<TablesReport>,
    /// What of the range was not read, and why.
    missing: Vec<String>,
    rules: Vec<RuleFindings>,
    #[serde(skip_serializing_if = "Option::is_none")]
    difference: Option<Difference>,
}

pub(super) async fn run(
    arguments: &Arguments,
    options: &RulesTestArguments,
    output: Output,
) -> anyhow::Result<ExitCode> {
    let config = prepare(arguments)?;
    let asked = match asked(options) {
        Ok(asked) => asked,
        Err(problem) => return Ok(misunderstood(problem)),
    };
    let Some(sets) = sets(&config, options)? else { return Ok(ExitCode::FAILURE) };
    let nats = connect_nats(&config, "rules-test").await?;
    let mut report = Report { streams: Vec::new(), failed_examples: Vec::new() };
    if let Some(rules) = sets.last() {
        let failed = run_examples(rules);
        report.failed_examples = failed.iter().map(ToString::to_string).collect();
    }
    for stream in streams(&sets, options)? {
        report.streams.push(read(&config, &nats, &sets, stream, asked).await?);
    }
    let differs = |stream: &StreamReport| {
        stream.difference.as_ref().is_some_and(|difference| !difference.is_empty())
    };
    let is_good = report.failed_examples.is_empty() && !report.streams.iter().any(differs);
    output.show(&report, show)?;
    Ok(exit_code(is_good))
}

fn asked(options: &RulesTestArguments) -> anyhow::Result<Asked> {
    let now = now_us();
    let (Some(from), Some(to)) = (&options.from, &options.to) else {
        let since = options.since.as_deref().unwrap_or(DEFAULT_SINCE);
        let since_us = parse_beginning("--since", Some(since), now)?;
        return Ok(Asked { since_us, until_us: now });
    };
    let since_us = parse_moment("--from", from, now)?;
    let until_us = parse_moment("--to", to, now)?;
    if until_us <= since_us {
        bail!("--to {to} is not after --from {from}");
    }
    Ok(Asked { since_us: Some(since_us), until_us })
}

/// The set, or the old and the new one; `None` where they are wrong, which has been said.
fn sets(
    config: &AppConfig,
    options: &RulesTestArguments,
) -> anyhow::Result<Option<Vec<Arc<RuleSet>>>> {
    let of_paths: Vec<Vec<PathBuf>> = match (options.diff.as_slice(), options.rules.as_slice()) {
        ([], []) => vec![config.alerts.rules.clone()],
        ([], paths) => vec![paths.iter().map(|path| files_in(path)).collect()],
        (both, _) => both.iter().map(|path| vec![files_in(path)]).collect(),
    };
    let mut sets = Vec::new();
    let mut problems = Vec::new();
    for paths in &of_paths {
        match load_rules(paths, None) {
            Ok(rules) => {
                if let Some(path) = rules.unmatched().first() {
                    bail!("{}: no file has such a name", path.display());
                }
                sets.push(Arc::new(rules.with_explorers(config.alerts.explorers.clone())));
            }
            Err(found) => problems.extend(found.iter().map(ToString::to_string)),
        }
    }
    if problems.is_empty() {
        return Ok(Some(sets));
    }
    eprintln!("{}", problems.join("\n\n"));
    Ok(None)
}

fn files_in(path: &Path) -> PathBuf {
    if path.is_dir() { path.join("*.toml") } else { path.to_owned() }
}

fn streams(sets: &[Arc<RuleSet>], options: &RulesTestArguments) -> anyhow::Result<Vec<RuleStream>> {
    let mut streams: Vec<RuleStream> = sets.iter().flat_map(|rules| rules.streams()).collect();
    streams.sort();
    streams.dedup();
    let Some(name) = &options.stream else { return Ok(streams) };
    streams.retain(|stream| stream.name().eq_ignore_ascii_case(name));
    if streams.is_empty() {
        bail!("--stream {name}: no rule reads it");
    }
    Ok(streams)
}

async fn read(
    config: &AppConfig,
    nats: &Nats,
    sets: &[Arc<RuleSet>],
    stream: RuleStream,
    asked: Asked,
) -> anyhow::Result<StreamReport> {
    let mut report = StreamReport { stream: stream.name().to_owned(), ..StreamReport::default() };
    let new_trial = |rules: &Arc<RuleSet>| Trial::new(Arc::clone(rules), stream);
    let mut trials: Vec<Trial> =
        sets.iter().map(new_trial).collect::<Result<_, _>>().context("begin the test")?;
    let request = RangeRequest {
        since_us: asked.since_us,
        until_us: Some(asked.until_us),
        ..RangeRequest::default()
    };
    let state = nats.stream_state(stream.name()).await.context("ask the stream")?;
    let mut overlap = Overlap::default();
    let before = before_the_stream(&state, asked);
    if let Some(range) = before.filter(|_| !config.database.url.is_empty()) {
        let (tables, read) = tables::pass(config, nats, &state, range, &mut trials).await?;
        report.tables = Some(tables);
        overlap = read;
    }
    match nats.range(stream.name(), request).await {
        Ok(range) => {
            if let Some(before) = before.filter(|_| report.tables.is_none()) {
                let why = match range.is_cut {
                    true => format!("has left the stream, and {NO_DATABASE}"),
                    false => "is before its first message".to_owned(),
                };
                let (from, to) = (time_text(before.since_us), time_text(before.until_us));
                report.missing.push(format!("{from} to {to} {why}"));
            }
            pass(nats, range, &overlap, &mut trials, &mut report).await?;
        }
        // A stream without such messages is an answer; one that cannot be read is not.
        Err(error @ (RangeError::Stream(_) | RangeError::Read(_))) => {
            return Err(error).with_context(|| format!("read stream {stream}"));
        }
        Err(RangeError::TooOld { .. } | RangeError::NoMessages { .. })
            if report.tables.is_some() => {}
        Err(error) => report.missing.push(format!("all of it: {error}")),
    }
    report.undecodable = trials.iter().map(Trial::undecodable).max().unwrap_or_default();
    report.rules = trials.last().map(Trial::findings).unwrap_or_default();
    if let [old, new] = trials.as_slice() {
        report.difference = Some(old.compare(new));
    }
    Ok(report)
}

/// The part of the range that the stream does not hold; none where the stream's beginning was asked for.
fn before_the_stream(state: &StreamState, asked: Asked) -> Option<TableRange> {
    let since_us = asked.since_us?;
    let begins_us = state.first_stored_at_us.unwrap_or(i64::MAX);
    (since_us < begins_us).then(|| TableRange { since_us, until_us: asked.until_us.min(begins_us) })
}

/// Reads a range of a stream once, for all trials.
async fn pass(
    nats: &Nats,
    range: StreamRange,
    overlap: &Overlap,
    trials: &mut [Trial],
    report: &mut StreamReport,
) -> anyhow::Result<()> {
    (report.from_sequence, report.to_sequence) = (range.from, range.to);
    let read = read_trials(nats, range, trials, None, |message| !overlap.has(message)).await?;
    report.messages = read.messages;
    (report.from, report.to) =
        read.between_us.map(|(from, to)| (time_text(from), time_text(to))).unzip();
    report.missing.extend(read.lost_texts());
    Ok(())
}

fn show(report: &Report) -> String {
    let mut parts: Vec<String> = report.streams.iter().map(show_stream).collect();
    if !report.failed_examples.is_empty() {
        parts.push(report.failed_examples.join("\n\n"));
    }
    parts.join("\n\n")
}

fn show_stream(report: &StreamReport) -> String {
    let mut lines = vec![match (&report.from, &report.to) {
        (Some(from), Some(to)) => {
            format!("{}: {} messages, {from} to {to}", report.stream, thousands(report.messages))
        }
        _ => format!("{}: no messages", report.stream),
    }];
    lines.extend(report.tables.iter().flat_map(TablesReport::lines));
    lines.extend(report.missing.iter().map(|missing| format!("  missing: {missing}")));
    if report.undecodable > 0 {
        lines.push(format!("  {} messages are not our events", thousands(report.undecodable)));
    }
    if let Some(difference) = &report.difference {
        lines.push(show_difference(difference));
        return lines.join("\n");
    }
    let heading = ["rule", "fired", "matched", "collected", "corrected", "unpriced", "failed"];
    let rows = report.rules.iter().map(|rule| {
        let counts =
            [rule.fired, rule.matched, rule.collected, rule.corrected, rule.unpriced, rule.errors];
        [rule.rule.clone()].into_iter().chain(counts.map(thousands))
    });
    lines.push(table(&heading, rows));
    for rule in report.rules.iter().filter(|rule| rule.fired > 0) {
        lines.push(format!("\n{}", rule.rule));
        lines.extend(show_alerts(rule));
    }
    lines.join("\n")
}

/// Some alerts of a rule, each once: what is first and largest has one line.
fn show_alerts(rule: &RuleFindings) -> impl Iterator<Item = String> {
    let mut named: Vec<(String, &Told)> = Vec::new();
    for (name, told) in [("first", &rule.first), ("last", &rule.last), ("largest", &rule.largest)] {
        let Some(told) = told else { continue };
        match named.iter_mut().find(|(_, known)| *known == told) {
            Some((names, _)) => names.push_str(&format!(", {name}")),
            None => named.push((name.to_owned(), told)),
        }
    }
    named.extend(rule.samples.iter().map(|told| ("such as".to_owned(), told)));
    let width = named.iter().map(|(name, _)| name.len()).max().unwrap_or_default();
    named.into_iter().map(move |(name, told)| format!("  {name:<width$}  {}", show_told(told)))
}

fn show_told(told: &Told) -> String {
    format!("{}  {}", time_text(told.at_us), told.title)
}

fn show_difference(difference: &Difference) -> String {
    let mut lines = vec![format!(
        "  {} only in the old rules, {} only in the new, {} changed, {} the same",
        difference.only_old.len(),
        difference.only_new.len(),
        difference.changed.len(),
        difference.same
    )];
    for (sign, told) in [("-", &difference.only_old), ("+", &difference.only_new)] {
        for told in told.iter().take(MAX_SHOWN) {
            lines.push(format!("  {sign} {}: {}", told.rule, show_told(told)));
        }
        lines.extend(more(told.len()));
    }
    for (old, new) in difference.changed.iter().take(MAX_SHOWN) {
        lines.push(format!("  - {}: {}", old.rule, show_told(old)));
        lines.push(format!(
            "  + {}: {}",
            new.rule,
            [vec![show_told(new)], new.lines.clone()].concat().join(" / ")
        ));
    }
    lines.extend(more(difference.changed.len()));
    if difference.uncompared > 0 {
        lines.push(format!("  {} more were too many to be compared", difference.uncompared));
    }
    lines.join("\n")
}

fn more(count: usize) -> Option<String> {
    (count > MAX_SHOWN).then(|| format!("    {} more; --json has all", count - MAX_SHOWN))
}
