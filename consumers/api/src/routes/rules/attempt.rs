//! Texts of rules over the past, as `crypto-intel rules test` tries files.

use std::{sync::Arc, time::Duration};

use axum::{Json, extract::State};
use crypto_intel_alerts::{
    HourCount, RuleFindings, RuleSet, RuleStream, Told, Trial, TrialBudget, read_trials,
};
use crypto_intel_nats::{RangeError, RangeRequest};
use crypto_intel_service::now_us;
use serde::{Deserialize, Serialize};
use tokio::time::Instant;
use utoipa::ToSchema;
use utoipa_axum::{router::OpenApiRouter, routes};

use super::check::compiled;
use crate::{
    auth::{Caller, scopes::Scope},
    guard::Guard,
    limits::cost,
    parameters::{
        Asked, NoParameters,
        body::Body,
        values::{Moment, Value as _},
    },
    places::{Full, Owner, Place},
    problem::{ParameterProblem, Problem, ProblemKind},
    state::ApiState,
};

const HOUR_US: i64 = 3_600_000_000;
const MAX_PAST_US: i64 = 24 * HOUR_US;
/// Messages of one request, over all streams.
const MAX_MESSAGES: u64 = 2_000_000;
/// Of the time that a request has, so much is left for the answer.
const LEFT_FOR_ANSWER: Duration = Duration::from_secs(2);

pub(super) fn routes() -> OpenApiRouter<ApiState> {
    OpenApiRouter::new().routes(Guard::new(Scope::RulesTest, cost::TRIAL).of(routes!(attempt)))
}

/// Rules, and the time to try them on.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct Attempt {
    /// Rules in TOML, as in a rule file.
    #[schema(max_length = 60_000)]
    toml: String,
    /// From then on: a time as in RFC 3339, seconds since 1970, or a time ago such as -1h, which it is without a word. At most
    /// 24 hours ago.
    since: Option<String>,
    /// Up to then; now without a word.
    until: Option<String>,
}

/// What rules would have said.
#[derive(Debug, Serialize, ToSchema)]
struct Attempted {
    /// The time that was asked for, microseconds UTC.
    since_us: i64,
    /// Its end, microseconds UTC.
    until_us: i64,
    /// Whether all of it was read: else it was too much for one request, or has left the streams.
    complete: bool,
    /// Each stream that the rules read.
    streams: Vec<StreamItem>,
    /// Each rule, in the order of the text.
    rules: Vec<FindingItem>,
}

/// What was read of a stream.
#[derive(Debug, Default, Serialize, ToSchema)]
struct StreamItem {
    /// Its name.
    stream: String,
    /// Messages that were read.
    messages: u64,
    /// When the first of them was stored, microseconds UTC.
    first_at_us: Option<i64>,
    /// When the last of them was stored, microseconds UTC.
    last_at_us: Option<i64>,
    /// Messages that are no events that this version knows.
    undecodable: u64,
    /// What was not read, and why.
    missing: Vec<String>,
}

/// What one rule would have said.
#[derive(Debug, Serialize, ToSchema)]
struct FindingItem {
    /// Its id.
    rule: String,
    /// Events that its condition was evaluated for.
    evaluated: u64,
    /// Events for which it was true.
    matched: u64,
    /// Alerts.
    fired: u64,
    /// The same for each hour of what was read.
    fired_per_hour: f64,
    /// Matches that a cooldown collected.
    collected: u64,
    /// Alerts that were corrected after a reorganisation.
    corrected: u64,
    /// Alerts of conditions that ended.
    resolved: u64,
    /// Events without a known amount in dollars that were left out.
    unpriced: u64,
    /// Conditions and templates that failed.
    errors: u64,
    /// Alerts by hour; hours without one are left out.
    hours: Vec<HourItem>,
    /// The first, the last and the largest alert and some others, by time: what they would have said.
    samples: Vec<SampleItem>,
}

/// Alerts of an hour.
#[derive(Debug, Serialize, ToSchema)]
struct HourItem {
    /// When it begins, microseconds UTC.
    begins_us: i64,
    /// How many.
    fired: u64,
}

impl From<HourCount> for HourItem {
    fn from(hour: HourCount) -> Self {
        Self { begins_us: hour.begins_us, fired: hour.fired }
    }
}

/// What an alert would have said.
#[derive(Debug, Serialize, ToSchema)]
struct SampleItem {
    /// When its event was seen, microseconds UTC.
    at_us: i64,
    /// First line.
    title: String,
    /// Further lines.
    lines: Vec<String>,
    /// US dollars that it is about, where they are known.
    usd: Option<f64>,
}

impl From<Told> for SampleItem {
    fn from(told: Told) -> Self {
        Self { at_us: told.at_us, title: told.title, lines: told.lines, usd: told.usd }
    }
}

/// Attempts of each caller and of all at the same time.
const MAX_ATTEMPTS: usize = 1;
const MAX_AT_ONCE: usize = 2;

/// The right to try rules now.
fn begin(state: &ApiState, caller: &Caller) -> Result<Place, Problem> {
    const SOON: Duration = Duration::from_secs(2);
    let owner = Owner::of(Some(caller), caller.address);
    state.attempts.take(owner, MAX_ATTEMPTS, MAX_AT_ONCE).map_err(|full| {
        let detail = match full {
            Full::All => "others are trying rules",
            Full::Owner => "you are trying rules already: one attempt at a time",
        };
        Problem::new(ProblemKind::Busy, detail).after(SOON)
    })
}

/// Tries rules on what the streams still hold: how often each would have fired, and what it would have said. Nothing is sent.
#[utoipa::path(
    post,
    path = "/api/v1/rules/test",
    tag = "rules",
    request_body = Attempt,
    responses((status = 200, body = Attempted))
)]
async fn attempt(
    State(state): State<ApiState>,
    caller: Caller,
    _: Asked<NoParameters>,
    Body(asked): Body<Attempt>,
) -> Result<Json<Attempted>, Problem> {
    if caller.chains.is_some() {
        let detail = "rules are tried on all chains, of which the key sees some";
        return Err(Problem::new(ProblemKind::Forbidden, detail));
    }
    let begun = Instant::now();
    let (since_us, until_us) = window(&asked)?;
    let _place = begin(&state, &caller)?;
    let rules = match compiled(&state, asked.toml, false).await? {
        Ok((rules, _)) => rules,
        Err(problems) => return Err(unsound(&problems)),
    };
    let whole = Duration::from_millis(state.config.request_timeout_ms);
    let mut budget = TrialBudget {
        until: begun + whole.saturating_sub(LEFT_FOR_ANSWER).max(whole / 2),
        messages: MAX_MESSAGES,
    };
    let mut answer =
        Attempted { since_us, until_us, complete: true, streams: Vec::new(), rules: Vec::new() };
    for stream in rules.streams() {
        let (item, findings) = pass(&state, &rules, stream, (since_us, until_us), budget).await?;
        budget.messages = budget.messages.saturating_sub(item.messages);
        answer.complete &= item.missing.is_empty();
        answer.rules.extend(findings);
        answer.streams.push(item);
    }
    let order: Vec<String> = rules.ids().into_iter().map(str::to_owned).collect();
    answer.rules.sort_by_key(|rule| order.iter().position(|id| *id == rule.rule));
    Ok(Json(answer))
}

fn window(asked: &Attempt) -> Result<(i64, i64), Problem> {
    let moment = |name: &str, text: &Option<String>, otherwise: i64| match text {
        None => Ok(otherwise),
        Some(text) => Moment::parse(text)
            .map(|moment| moment.0)
            .map_err(|detail| Problem::unprocessable(format!("{name}: {detail}"))),
    };
    let now = now_us();
    let until_us = moment("until", &asked.until, now)?;
    let since_us = moment("since", &asked.since, until_us.min(now) - HOUR_US)?;
    if since_us >= until_us {
        return Err(Problem::unprocessable("since: it is not before `until`"));
    }
    // A client's clock may be slow.
    if since_us < now - MAX_PAST_US - HOUR_US / 60 {
        let detail = "since: it is more than 24 hours ago: `crypto-intel rules test` reads further";
        return Err(Problem::unprocessable(detail));
    }
    Ok((since_us, until_us))
}

fn unsound(problems: &[crypto_intel_alerts::RuleProblem]) -> Problem {
    let error = |problem: &crypto_intel_alerts::RuleProblem| ParameterProblem {
        parameter: match (problem.line, problem.column) {
            (Some(line), Some(column)) => format!("toml:{line}:{column}"),
            _ => "toml".to_owned(),
        },
        detail: match &problem.hint {
            Some(hint) => format!("{}: {hint}", problem.message),
            None => problem.message.clone(),
        },
    };
    let detail = "the rules are not sound: /api/v1/rules/check tells more";
    Problem { errors: problems.iter().map(error).collect(), ..Problem::unprocessable(detail) }
}

/// Reads what a stream holds of a time.
async fn pass(
    state: &ApiState,
    rules: &Arc<RuleSet>,
    stream: RuleStream,
    (since_us, until_us): (i64, i64),
    budget: TrialBudget,
) -> Result<(StreamItem, Vec<FindingItem>), Problem> {
    let trial = Trial::new(Arc::clone(rules), stream).map_err(anyhow::Error::from)?;
    let mut trials = [trial.uncompared()];
    let mut item = StreamItem { stream: stream.name().to_owned(), ..StreamItem::default() };
    let request = RangeRequest {
        since_us: Some(since_us),
        until_us: Some(until_us),
        ..RangeRequest::default()
    };
    match state.nats.range(stream.name(), request).await {
        Ok(range) => {
            let read = read_trials(&state.nats, range, &mut trials, Some(budget), |_| true).await?;
            item.messages = read.messages;
            (item.first_at_us, item.last_at_us) = read.between_us.unzip();
            if range.is_cut {
                item.missing.push("the begin has left the stream".to_owned());
            }
            if read.is_cut {
                item.missing.push(
                    "the end was too much for one request: ask for a shorter time".to_owned(),
                );
            }
            item.missing.extend(read.lost_texts());
        }
        // A stream without such messages is an answer; one that cannot be read is not.
        Err(error @ (RangeError::Stream(_) | RangeError::Read(_))) => {
            return Err(anyhow::Error::from(error).into());
        }
        Err(error) => item.missing.push(error.to_string()),
    }
    let [trial] = &trials;
    item.undecodable = trial.undecodable();
    // Of what was cut off nothing is known: what was read ends with its last message.
    let end = if item.missing.is_empty() { until_us } else { item.last_at_us.unwrap_or(until_us) };
    let hours =
        ((end - item.first_at_us.unwrap_or(since_us).min(end)).max(1)) as f64 / HOUR_US as f64;
    let findings = trial.findings().into_iter().map(|found| finding(found, hours));
    Ok((item, findings.collect()))
}

fn finding(found: RuleFindings, hours: f64) -> FindingItem {
    let mut samples: Vec<Told> = Vec::new();
    let named = [found.first, found.last, found.largest].into_iter().flatten();
    for told in named.chain(found.samples) {
        if !samples.contains(&told) {
            samples.push(told);
        }
    }
    samples.sort_by_key(|told| told.at_us);
    FindingItem {
        rule: found.rule,
        evaluated: found.evaluated,
        matched: found.matched,
        fired: found.fired,
        fired_per_hour: (found.fired as f64 / hours * 100.0).round() / 100.0,
        collected: found.collected,
        corrected: found.corrected,
        resolved: found.resolved,
        unpriced: found.unpriced,
        errors: found.errors,
        hours: found.hours.into_iter().map(HourItem::from).collect(),
        samples: samples.into_iter().map(SampleItem::from).collect(),
    }
}
