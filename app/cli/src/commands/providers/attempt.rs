//! `crypto-intel providers try NAME[/ENDPOINT]`

use std::{path::Path, process::ExitCode};

use anyhow::Context as _;
use crypto_intel_poll::{DryRun, Span, Trial, dry_run, dry_run_history};
use crypto_intel_schemas::{COMMON_FIELDS, Event};
use crypto_intel_service::error_chain;
use serde::Serialize;
use serde_json::{Value, json};

use super::super::exit_code;
use crate::{config::AppConfig, output::Output, times::time_text};

/// Events that are shown to people; `--json` shows all.
const SHOWN_EVENTS: usize = 40;

/// One endpoint that was tried.
#[derive(Debug, Serialize)]
struct Tried {
    endpoint: String,
    elapsed_ms: u64,
    /// Why there is no answer.
    error: Option<String>,
    events: Vec<Value>,
    /// Parts of the answer that give no event, each with the reason.
    dropped: Vec<String>,
    /// What was asked for and is not in the answer.
    missing: Vec<String>,
}

pub(super) async fn run(
    config: &AppConfig,
    name: &str,
    answer: Option<&Path>,
    past: Option<Span>,
    output: Output,
) -> anyhow::Result<ExitCode> {
    let (provider, endpoint) = super::parts_of(name);
    config.require_secrets(&[&format!("poll.providers.{provider}")])?;
    let context = || format!("try provider {provider}");
    let runs = match (answer, past) {
        (None, None) => dry_run(&config.poll, provider, endpoint).await.with_context(context)?,
        (None, Some(span)) => {
            let runs = dry_run_history(&config.poll, provider, endpoint, span).await;
            runs.with_context(context)?
        }
        (Some(file), past) => {
            let endpoint =
                endpoint.context("a saved answer is of one endpoint: name it, NAME/ENDPOINT")?;
            let body =
                std::fs::read(file).with_context(|| format!("read answer {}", file.display()))?;
            let trial = Trial::of(&config.poll, provider).with_context(context)?;
            let read = match past {
                None => trial.read(endpoint, body),
                Some(span) => trial.read_history(endpoint, body, span),
            };
            vec![read.with_context(context)?]
        }
    };
    let tried: Vec<Tried> = runs.into_iter().map(tried).collect();
    output.show(&tried, |all| all.iter().map(text_of).collect::<Vec<_>>().join("\n\n"))?;
    let good = |tried: &Tried| tried.error.is_none() && tried.dropped.is_empty();
    Ok(exit_code(tried.iter().all(good)))
}

fn tried(run: DryRun) -> Tried {
    let elapsed_ms = u64::try_from(run.elapsed.as_millis()).unwrap_or(u64::MAX);
    let mut tried = Tried {
        endpoint: format!("{}/{}", run.provider, run.endpoint),
        elapsed_ms,
        error: None,
        events: Vec::new(),
        dropped: Vec::new(),
        missing: Vec::new(),
    };
    match run.outcome {
        Err(error) => tried.error = Some(error_chain(&error)),
        Ok(answer) => {
            tried.events = answer.events.iter().map(described).collect();
            tried.dropped = answer.problems;
            tried.missing = answer.missing;
        }
    }
    tried
}

/// What it is about, when, and its own fields: the rest is the same for every event of an answer.
fn described(event: &Event) -> Value {
    let mut object = json!({
        "kind": event.kind(),
        "key": event.key(),
        "at": time_text(event.event_at_us()),
    });
    if let (Some(object), Value::Object(fields)) = (object.as_object_mut(), event.to_json()) {
        let own = fields.into_iter().filter(|(name, _)| !COMMON_FIELDS.contains(&name.as_str()));
        object.extend(own);
    }
    object
}

fn text_of(tried: &Tried) -> String {
    let mut lines = vec![match &tried.error {
        Some(error) => format!("{}: {error} ({} ms)", tried.endpoint, tried.elapsed_ms),
        None => {
            format!("{}: {} events in {} ms", tried.endpoint, tried.events.len(), tried.elapsed_ms)
        }
    }];
    lines.extend(tried.events.iter().take(SHOWN_EVENTS).map(event_line));
    let more = tried.events.len().saturating_sub(SHOWN_EVENTS);
    if more > 0 {
        lines.push(format!("  and {more} more (--json shows all)"));
    }
    lines.extend(tried.dropped.iter().map(|problem| format!("  dropped: {problem}")));
    if !tried.missing.is_empty() {
        lines.push(format!("  not in the answer: {}", tried.missing.join(", ")));
    }
    lines.join("\n")
}

/// `price bitcoin/usd at 2026-01-31T12:00:00Z  price=64000.1 volume_24h=…`
fn event_line(event: &Value) -> String {
    let text = |value: &Value| match value {
        Value::String(text) => text.clone(),
        other => other.to_string(),
    };
    let own = event.as_object().into_iter().flatten();
    let fields: Vec<String> = own
        .filter(|(name, _)| !["kind", "key", "at"].contains(&name.as_str()))
        .map(|(name, value)| format!("{name}={}", text(value)))
        .collect();
    let [kind, key, at] = ["kind", "key", "at"].map(|name| text(&event[name]));
    format!("  {kind} {key} at {at}  {}", fields.join(" "))
}
