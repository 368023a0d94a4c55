//! Silences and acknowledgements, made as `crypto-intel silence` and `alerts ack` make them.

use std::time::Duration;

use axum::{
    Extension, Json,
    extract::State,
    http::{HeaderName, StatusCode, header},
};
use crypto_intel_notify::{Matcher, NewSilence, Silences, acknowledge};
use crypto_intel_schemas::{Silence, is_printable};
use crypto_intel_service::now_us;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use utoipa_axum::{router::OpenApiRouter, routes};

use super::alerts::OfAlert;
use crate::{
    auth::{Caller, scopes::Scope},
    change::Changed,
    guard::Guard,
    limits::cost,
    page::Page,
    parameters::{
        Asked, At, NoParameters,
        body::Body,
        parameters, path_parameters,
        values::{Flag, Name},
    },
    problem::{Problem, ProblemKind},
    state::ApiState,
};

const MAX_SECONDS: u32 = 90 * 86_400;
const MAX_TEXT: usize = 500;

pub(super) fn routes() -> OpenApiRouter<ApiState> {
    let write = Guard::new(Scope::AlertsWrite, cost::LIST);
    OpenApiRouter::new()
        .routes(Guard::new(Scope::Alerts, cost::LIST).of(routes!(list)))
        .routes(write.doing("silence.add").of(routes!(add)))
        .routes(write.doing("silence.end").of(routes!(end)))
        .routes(write.doing("alert.acknowledge").of(routes!(take)))
}

/// Alerts that no one is told of for a time.
#[derive(Debug, Serialize, ToSchema)]
struct SilenceItem {
    /// Five characters that people read out.
    id: String,
    /// What it matches, all of them, such as `rule=depeg`.
    matchers: Vec<String>,
    /// When it starts, microseconds UTC.
    starts_us: i64,
    /// When it ends, microseconds UTC.
    ends_us: i64,
    /// Whether it is in force now.
    active: bool,
    /// Who made it.
    author: String,
    /// Why.
    reason: String,
    /// Who ended it before its time.
    ended_by: Option<String>,
}

impl From<Silence> for SilenceItem {
    fn from(silence: Silence) -> Self {
        let active = silence.is_active(now_us());
        Self {
            id: silence.id,
            matchers: silence.matchers,
            starts_us: silence.starts_us,
            ends_us: silence.ends_us,
            active,
            author: silence.author,
            reason: silence.reason,
            ended_by: silence.ended_by,
        }
    }
}

parameters! {
    /// Which silences.
    pub(crate) struct SilenceParameters {
        /// With true also those that are over.
        pub(crate) all: Option<Flag>,
    }
}

/// The silences that are in force or will be, by their start.
#[utoipa::path(
    get,
    path = "/api/v1/silences",
    tag = "alerts",
    params(SilenceParameters),
    responses((status = 200, body = Page<SilenceItem>))
)]
async fn list(
    State(state): State<ApiState>,
    caller: Caller,
    asked: Asked<SilenceParameters>,
) -> Result<Page<SilenceItem>, Problem> {
    let with_past = asked.parameters.all.is_some_and(|flag| flag.0);
    let now = now_us();
    let silences = Silences::open(&state.nats).await?.list().await?;
    let shown = silences
        .into_iter()
        .filter(|one| with_past || now < one.ends_us)
        .filter(|one| concerns(&caller, &one.matchers));
    Ok(Page::whole(shown.map(SilenceItem::from).collect()))
}

fn read(matchers: &[String]) -> Vec<Matcher> {
    matchers.iter().filter_map(|text| Matcher::parse(text).ok()).collect()
}

/// Whether a silence keeps to chains that the caller decides for: a key of some chains silences alerts of no others.
fn may_decide(caller: &Caller, matchers: &[Matcher]) -> bool {
    let keeps_to = |matcher: &Matcher| {
        matcher.demanded("chain").is_some_and(|chains| chains.iter().all(|one| caller.sees(one)))
    };
    caller.chains.is_none() || matchers.iter().any(keeps_to)
}

/// Whether a silence may keep back an alert that the caller sees.
fn concerns(caller: &Caller, matchers: &[String]) -> bool {
    read(matchers).iter().all(|matcher| {
        matcher.demanded("chain").is_none_or(|chains| chains.iter().any(|one| caller.sees(one)))
    })
}

/// What was made, and where it is.
type Created<T> = (StatusCode, [(HeaderName, String); 1], Extension<Changed>, Json<T>);

/// A silence to be made.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct NewSilenceBody {
    /// What it matches, all of them: `rule=depeg`, `chain!=base`, `token=~USD.*`, `chain in (base, optimism)`.
    #[schema(min_items = 1, max_items = 20)]
    matchers: Vec<String>,
    /// How long it lasts from now on, seconds; at most 90 days.
    #[schema(minimum = 1, maximum = 7_776_000)]
    seconds: u32,
    /// Why; others read it.
    #[schema(min_length = 1, max_length = 500)]
    reason: String,
}

/// Tells no one of alerts that match all of these, for a time. What it kept back and still lasts is told at its end.
#[utoipa::path(
    post,
    path = "/api/v1/silences",
    tag = "alerts",
    request_body = NewSilenceBody,
    responses((status = 201, body = SilenceItem))
)]
async fn add(
    State(state): State<ApiState>,
    caller: Caller,
    _: Asked<NoParameters>,
    Body(new): Body<NewSilenceBody>,
) -> Result<Created<SilenceItem>, Problem> {
    if new.matchers.is_empty() || new.matchers.len() > 20 {
        return Err(Problem::unprocessable("matchers: give 1 to 20, such as rule=depeg"));
    }
    if !(1..=MAX_SECONDS).contains(&new.seconds) {
        return Err(Problem::unprocessable(format!(
            "seconds: write a number from 1 to {MAX_SECONDS}"
        )));
    }
    let is_text = new.reason.chars().all(is_printable) && !new.reason.trim().is_empty();
    if !is_text || new.reason.chars().count() > MAX_TEXT {
        return Err(Problem::unprocessable(format!(
            "reason: write 1 to {MAX_TEXT} printable characters: others ask why they hear nothing"
        )));
    }
    let matchers: Result<Vec<Matcher>, _> =
        new.matchers.iter().map(|text| Matcher::parse(text)).collect();
    let matchers =
        matchers.map_err(|error| Problem::unprocessable(format!("matchers: {error}")))?;
    if !may_decide(&caller, &matchers) {
        let chains = caller.chains.unwrap_or_default().join(", ");
        let detail =
            format!("the key is for {chains}: say so with a matcher, such as chain in ({chains})");
        return Err(Problem::new(ProblemKind::Forbidden, detail));
    }
    let duration = Duration::from_secs(u64::from(new.seconds));
    let wanted = NewSilence::lasting(matchers, duration, &caller.name, &new.reason);
    let silence = Silences::open(&state.nats).await?.add(wanted).await?;
    let place = [(header::LOCATION, format!("/api/v1/silences/{}", silence.id))];
    let changed = Extension(Changed::of(&silence.id).to(&silence));
    Ok((StatusCode::CREATED, place, changed, Json(SilenceItem::from(silence))))
}

path_parameters!(OfSilence { id: Name = "Its id." });

/// Ends a silence now; what it kept back and still lasts is told.
#[utoipa::path(
    delete,
    path = "/api/v1/silences/{id}",
    tag = "alerts",
    params(OfSilence),
    responses((status = 204), (status = 404, body = Problem, content_type = "application/problem+json"))
)]
async fn end(
    State(state): State<ApiState>,
    caller: Caller,
    At(id): At<Name>,
    _: Asked<NoParameters>,
) -> Result<(StatusCode, Extension<Changed>), Problem> {
    let silences = Silences::open(&state.nats).await?;
    let known = silences.list().await?;
    let found = known.iter().find(|one| {
        // Another's is as one that is not there.
        one.id.eq_ignore_ascii_case(&id.0) && may_decide(&caller, &read(&one.matchers))
    });
    let found = found.ok_or_else(|| Problem::not_found("there is no silence of this id"))?;
    silences.end(&found.id, &caller.name).await?;
    Ok((StatusCode::NO_CONTENT, Extension(Changed::of(&found.id).from(Some(found)))))
}

/// Who takes care of an alert.
#[derive(Debug, Serialize, ToSchema)]
struct Taken {
    /// Key of the alert.
    alert: String,
    /// Who takes care of it.
    by: String,
    /// Since when, microseconds UTC.
    at_us: i64,
    /// Whether no one did so before.
    new: bool,
}

/// Takes care of an alert: it is neither repeated nor escalated. The first one stays.
#[utoipa::path(
    post,
    path = "/api/v1/alerts/{alert}/acknowledge",
    tag = "alerts",
    params(OfAlert),
    responses((status = 200, body = Taken), (status = 404, body = Problem, content_type = "application/problem+json"))
)]
async fn take(
    State(state): State<ApiState>,
    caller: Caller,
    At(wanted): At<Name>,
    _: Asked<NoParameters>,
) -> Result<(Extension<Changed>, Json<Taken>), Problem> {
    let messages = super::alerts::messages_of(&state, &caller, &wanted.0).await?;
    let Some(alert) = messages.into_iter().next().map(|first| first.alert) else {
        return Err(super::alerts::missing());
    };
    let now = now_us();
    let before = acknowledge(&state.nats, &alert, &caller.name).await?;
    let taken = match before {
        Some(before) => Taken { alert, by: before.by, at_us: before.at_us, new: false },
        None => Taken { alert, by: caller.name, at_us: now, new: true },
    };
    Ok((Extension(Changed::of(&taken.alert).to(&taken)), Json(taken)))
}
