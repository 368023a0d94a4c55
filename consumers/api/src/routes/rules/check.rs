//! Texts of rules, checked as `crypto-intel rules check` checks files.

use std::{sync::Arc, time::Duration};

use axum::{Json, extract::State};
use crypto_intel_alerts::{RuleProblem, RuleSet, run_examples_within};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use utoipa_axum::{router::OpenApiRouter, routes};

use super::RuleProblemItem;
use crate::{
    auth::scopes::Scope,
    guard::Guard,
    limits::cost,
    parameters::{Asked, NoParameters, body::Body},
    problem::{Problem, ProblemKind},
    state::ApiState,
};

/// Examples of a text run so long at most.
const MAX_EXAMPLES: Duration = Duration::from_secs(3);
/// Characters of a text.
const MAX_TEXT: usize = 60_000;
/// How long a request may wait for its turn.
const MAX_WAIT: Duration = Duration::from_secs(1);

pub(super) fn routes() -> OpenApiRouter<ApiState> {
    OpenApiRouter::new().routes(Guard::new(Scope::RulesTest, cost::SUMMARY).of(routes!(check)))
}

/// A text of rules.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct RuleText {
    /// Rules in TOML, as in a rule file.
    #[schema(max_length = 60_000)]
    toml: String,
}

/// What a check found.
#[derive(Debug, Serialize, ToSchema)]
struct Checked {
    /// Whether nothing is wrong.
    sound: bool,
    /// What is wrong.
    problems: Vec<RuleProblemItem>,
    /// What is allowed and probably not meant.
    warnings: Vec<RuleProblemItem>,
    /// Ids of the rules that are enabled; empty where something is wrong.
    rules: Vec<String>,
    /// How many examples they have.
    examples: usize,
    /// Whether destinations were compared with those of the configuration.
    routes_checked: bool,
}

/// Checks a text of rules: what is wrong with it, where, and how to correct it. Examples inside rules are run.
#[utoipa::path(
    post,
    path = "/api/v1/rules/check",
    tag = "rules",
    request_body = RuleText,
    responses((status = 200, body = Checked))
)]
async fn check(
    State(state): State<ApiState>,
    _: Asked<NoParameters>,
    Body(text): Body<RuleText>,
) -> Result<Json<Checked>, Problem> {
    let routes_checked = state.config.destinations.is_some();
    let outcome = compiled(&state, text.toml, true).await?;
    let items = |problems: &[RuleProblem]| -> Vec<RuleProblemItem> {
        problems.iter().map(|problem| RuleProblemItem::of(problem.clone(), false)).collect()
    };
    Ok(Json(match outcome {
        Ok((rules, failed)) => Checked {
            sound: failed.is_empty(),
            problems: items(&failed),
            warnings: items(rules.warnings()),
            rules: rules.ids().into_iter().map(str::to_owned).collect(),
            examples: rules.examples(),
            routes_checked,
        },
        Err(problems) => Checked {
            sound: false,
            problems: items(&problems),
            warnings: Vec::new(),
            rules: Vec::new(),
            examples: 0,
            routes_checked,
        },
    }))
}

/// The rules of a text and what their examples failed, or what is wrong with it.
type Outcome = Result<(Arc<RuleSet>, Vec<RuleProblem>), Vec<RuleProblem>>;

/// Compiles a text beside everything else, and runs its examples where that is wanted.
pub(super) async fn compiled(
    state: &ApiState,
    text: String,
    with_examples: bool,
) -> Result<Outcome, Problem> {
    if text.chars().count() > MAX_TEXT {
        return Err(Problem::unprocessable(format!("toml: write {MAX_TEXT} characters at most")));
    }
    let busy = || Problem::new(ProblemKind::Busy, "other rules are being checked").after(MAX_WAIT);
    let turn = Arc::clone(&state.compilations).acquire_owned();
    let turn = tokio::time::timeout(MAX_WAIT, turn).await.ok().and_then(Result::ok);
    let turn = turn.ok_or_else(busy)?;
    let (destinations, explorers) =
        (state.config.destinations.clone(), state.config.explorers.clone());
    let compile = move || -> Outcome {
        // Held until the work is done, also where no one waits for it any more.
        let _turn = turn;
        let rules = RuleSet::parse(&[("rules", &text)], destinations.as_deref())?;
        let rules = Arc::new(rules.with_explorers(explorers));
        let failed = match with_examples {
            true => run_examples_within(&rules, MAX_EXAMPLES),
            false => Vec::new(),
        };
        Ok((rules, failed))
    };
    tokio::task::spawn_blocking(compile)
        .await
        .map_err(|_| Problem::new(ProblemKind::Internal, "the check of the rules ended early"))
}
