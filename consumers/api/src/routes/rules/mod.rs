//! Rules of alerts: those in force, and texts that are checked and tried.

mod attempt;
mod check;
mod from_filter;

use std::collections::BTreeMap;

use axum::{Json, extract::State};
use crypto_intel_alerts::{ListedRule, RuleProblem, RulesInForce, WrongFiles, rules_in_force};
use crypto_intel_service::now_us;
use crypto_intel_store::RuleActivity;
use serde::Serialize;
use utoipa::ToSchema;
use utoipa_axum::{router::OpenApiRouter, routes};

use crate::{
    auth::{Caller, scopes::Scope},
    guard::Guard,
    limits::cost,
    parameters::{Asked, At, NoParameters, path_parameters, values::Name},
    problem::Problem,
    state::ApiState,
};

/// How far back is looked for the last alert of a rule.
const LAST_FIRED_US: i64 = 30 * 86_400_000_000;

pub(super) fn routes() -> OpenApiRouter<ApiState> {
    OpenApiRouter::new()
        .routes(Guard::new(Scope::Alerts, cost::SUMMARY).of(routes!(list)))
        .routes(Guard::new(Scope::Alerts, cost::LIST).of(routes!(rule)))
        .merge(check::routes())
        .merge(from_filter::routes())
        .merge(attempt::routes())
}

/// A rule in force.
#[derive(Debug, Serialize, ToSchema)]
struct RuleItem {
    /// Its id.
    id: String,
    /// What it is about.
    description: Option<String>,
    /// Whether it is evaluated.
    enabled: bool,
    /// info, warning or critical.
    severity: &'static str,
    /// Subject patterns of the events that it reads.
    on: Vec<String>,
    /// Its condition, in CEL; null where every event counts.
    when: Option<String>,
    /// event, first, sequence, window or absence.
    trigger: String,
    /// How long its condition must last, where it is about one.
    lasts: Option<String>,
    /// How long further matches of the same group are held back.
    cooldown: Option<String>,
    /// Fields by which events are told apart.
    group_by: Vec<String>,
    /// What routes match.
    labels: BTreeMap<String, String>,
    /// Destinations that it names.
    routes: Vec<String>,
    /// Name of its file.
    file: String,
    /// Line of its id in the file.
    line: usize,
    /// Its text, in TOML.
    text: String,
    /// When it fired last within 30 days, microseconds UTC.
    last_fired_at_us: Option<i64>,
    /// How many alerts began in the last 24 hours.
    fired_in_24h: u64,
}

/// What is wrong in a text of rules.
#[derive(Debug, Serialize, ToSchema)]
struct RuleProblemItem {
    /// Name of the file; null for a text that was sent.
    file: Option<String>,
    /// The rule, where it is known.
    rule: Option<String>,
    /// Line, from 1; null where the text as a whole is meant.
    line: Option<usize>,
    /// Column in characters, from 1.
    column: Option<usize>,
    /// What is wrong.
    message: String,
    /// How to correct it.
    hint: Option<String>,
    /// The line, with what is meant marked.
    excerpt: Option<String>,
}

impl RuleProblemItem {
    fn of(problem: RuleProblem, is_file: bool) -> Self {
        let file = problem.file.file_name().map(|name| name.to_string_lossy().into_owned());
        Self {
            file: file.filter(|_| is_file),
            rule: problem.rule,
            line: problem.line,
            column: problem.column,
            message: problem.message,
            hint: problem.hint,
            excerpt: problem.excerpt,
        }
    }
}

/// What is wrong with the rule files.
#[derive(Debug, Serialize, ToSchema)]
struct Wrong {
    /// When it was found, microseconds UTC.
    found_at_us: i64,
    /// How many problems there are.
    count: usize,
    /// The first of them.
    problems: Vec<RuleProblemItem>,
}

impl From<WrongFiles> for Wrong {
    fn from(wrong: WrongFiles) -> Self {
        let problems = wrong.problems.into_iter();
        Self {
            found_at_us: wrong.found_at_us,
            count: wrong.count,
            problems: problems.map(|problem| RuleProblemItem::of(problem, true)).collect(),
        }
    }
}

/// The rules in force.
#[derive(Debug, Serialize, ToSchema)]
struct Rules {
    /// Digest of the newest set; null before alerts ran.
    set: Option<String>,
    /// In the order of their files.
    items: Vec<RuleItem>,
    /// What is wrong with the files now, so that an older set is in force; null where they are right.
    wrong: Option<Wrong>,
}

/// The rules in force, also those that are switched off, and when each fired last.
#[utoipa::path(get, path = "/api/v1/rules", tag = "rules", responses((status = 200, body = Rules)))]
async fn list(
    State(state): State<ApiState>,
    caller: Caller,
    _: Asked<NoParameters>,
) -> Result<Json<Rules>, Problem> {
    let RulesInForce { set, rules, wrong, .. } = rules_in_force(&state.nats).await?;
    let items = with_activity(&state, &caller, rules).await?;
    Ok(Json(Rules { set, items, wrong: wrong.map(Wrong::from) }))
}

path_parameters!(OfRule { name: Name = "Its id." });

/// A rule in force.
#[utoipa::path(
    get,
    path = "/api/v1/rules/{name}",
    tag = "rules",
    params(OfRule),
    responses((status = 200, body = RuleItem), (status = 404, body = Problem, content_type = "application/problem+json"))
)]
async fn rule(
    State(state): State<ApiState>,
    caller: Caller,
    At(name): At<Name>,
    _: Asked<NoParameters>,
) -> Result<Json<RuleItem>, Problem> {
    let rules = rules_in_force(&state.nats).await?.rules.into_iter();
    let named = rules.filter(|rule| rule.id == name.0).collect();
    let found = with_activity(&state, &caller, named).await?.pop();
    found.map(Json).ok_or_else(|| Problem::not_found("no rule in force has this id"))
}

async fn with_activity(
    state: &ApiState,
    caller: &Caller,
    rules: Vec<ListedRule>,
) -> Result<Vec<RuleItem>, Problem> {
    let ids: Vec<String> = rules.iter().map(|rule| rule.id.clone()).collect();
    let chains = caller.chains_of(&[]);
    let since_us = now_us() - LAST_FIRED_US;
    let activity = state.store.rule_activity(&ids, chains.as_deref(), since_us).await?;
    let of = |id: &str| activity.iter().find(|one| one.rule == id);
    Ok(rules.into_iter().map(|rule| item(of(&rule.id), rule)).collect())
}

fn item(activity: Option<&RuleActivity>, rule: ListedRule) -> RuleItem {
    RuleItem {
        last_fired_at_us: activity.and_then(|one| one.last_fired_at_us),
        fired_in_24h: activity.map_or(0, |one| one.fired_in_a_day),
        id: rule.id,
        description: rule.description,
        enabled: rule.enabled,
        severity: rule.severity.as_str(),
        on: rule.on,
        when: rule.when,
        trigger: rule.trigger,
        lasts: rule.lasts,
        cooldown: rule.cooldown,
        group_by: rule.group_by,
        labels: rule.labels,
        routes: rule.routes,
        file: rule.file,
        line: rule.line,
        text: rule.text,
    }
}
