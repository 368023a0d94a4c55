use axum::{
    Json,
    extract::State,
    response::{IntoResponse as _, Response},
};
use crypto_intel_schemas::{Alert, AlertState, Event, Severity, Stream};
use crypto_intel_store::{AlertFilter, AlertKey, DeliveryLine};
use serde::Serialize;
use utoipa::ToSchema;
use utoipa_axum::{router::OpenApiRouter, routes};

use crate::{
    auth::{Caller, scopes::Scope},
    cursor::ListId,
    export::{self, Accepted, Column, Format, export},
    guard::{AsOf, Guard},
    limits::cost,
    page::{EventItem, Page, Turn, Window},
    parameters::{
        Asked, At, NoParameters, parameters, path_parameters,
        values::{ChainSlug, CursorText, Limit, Moment, Name, one_of},
    },
    problem::Problem,
    state::ApiState,
};

/// The streams whose events are in the tables of alerts.
const OF_ALERTS: &[Stream] = &[Stream::Alert, Stream::Notify];

pub(super) fn routes() -> OpenApiRouter<ApiState> {
    let guard = |cost| Guard::new(Scope::Alerts, cost).by_position_of(OF_ALERTS);
    OpenApiRouter::new()
        .routes(guard(cost::LIST).of(routes!(list)))
        .routes(guard(cost::LOOK_UP).of(routes!(alert)))
}

one_of!(Severity, [
    "info" => Severity::Info,
    "warning" => Severity::Warning,
    "critical" => Severity::Critical,
]);

one_of!(AlertState, [
    "fired" => AlertState::Fired,
    "corrected" => AlertState::Corrected,
    "resolved" => AlertState::Resolved,
]);

parameters! {
    /// Which alerts.
    pub(crate) struct AlertParameters {
        /// Only of this chain; may be repeated.
        pub(crate) chain: Vec<ChainSlug>,
        /// Only of this severity; may be repeated.
        pub(crate) severity: Vec<Severity>,
        /// Only those whose newest message says so; may be repeated.
        pub(crate) state: Vec<AlertState>,
        /// Only of this rule.
        pub(crate) rule: Option<Name>,
        /// Told from then on; seven days before `until` without a word.
        pub(crate) since: Option<Moment>,
        /// Told up to then; now without a word.
        pub(crate) until: Option<Moment>,
        /// How many a page has.
        pub(crate) limit: Option<Limit>,
        /// `next` or `prev` of a page before.
        pub(crate) cursor: Option<CursorText>,
        /// As a file instead of pages; the header `Accept` says it, too.
        pub(crate) format: Option<Format>,
    }
}

/// An alert by its newest message, and what became of all its messages.
#[derive(Debug, Serialize, ToSchema)]
struct AlertItem {
    /// The newest message, as it is on the wire.
    alert: EventItem,
    /// What became of each message to each destination, oldest first.
    deliveries: Vec<Delivery>,
}

/// What became of a message to a destination.
#[derive(Debug, Serialize, ToSchema)]
struct Delivery {
    /// The message and its destination.
    delivery: String,
    /// The destination.
    destination: String,
    /// Kind of the destination, such as telegram.
    channel: String,
    /// sent, repeated, uncertain, dead, expired, silenced, inhibited or muted.
    state: String,
    /// When that was known, microseconds UTC.
    done_at_us: i64,
    /// From the first sight of what the alert is about to then, milliseconds.
    after_ms: i64,
    /// How often it was tried.
    attempts: u64,
    /// The service's id of the message.
    message_id: Option<String>,
    /// Why it was not sent.
    error: Option<String>,
    /// What kept it back: the id of a silence, or the code of an alert.
    cause: Option<String>,
}

impl From<DeliveryLine> for Delivery {
    fn from(line: DeliveryLine) -> Self {
        Self {
            delivery: line.delivery,
            destination: line.destination,
            channel: line.channel,
            state: line.state,
            done_at_us: line.done_at_us,
            after_ms: (line.done_at_us - line.seen_at_us).max(0) / 1_000,
            attempts: line.attempts,
            message_id: line.message_id,
            error: line.error,
            cause: line.cause,
        }
    }
}

/// Alerts by their newest messages, newest first, with who was told.
#[utoipa::path(
    get,
    path = "/api/v1/alerts",
    tag = "alerts",
    params(AlertParameters),
    responses((status = 200, content(
        (Page<AlertItem> = "application/json"), (String = "application/x-ndjson"), (String = "text/csv")
    )))
)]
async fn list(
    State(state): State<ApiState>,
    caller: Caller,
    as_of: AsOf,
    accepted: Accepted,
    asked: Asked<AlertParameters>,
) -> Result<Response, Problem> {
    let list = ListId::new("/alerts", &asked.filters);
    let wanted = asked.parameters;
    let Some(format) = export::wanted(wanted.format, accepted) else {
        return page(&state, &caller, (list, as_of), wanted).await.map(Page::into_response);
    };
    let file = export::List { name: "alerts", columns: COLUMNS };
    let range = (wanted.cursor.clone(), wanted.limit);
    let (own_state, own_caller) = (state.clone(), caller.clone());
    export(&state, &caller, (file, format), range, move |cursor, limit| {
        let (state, caller, as_of) = (own_state.clone(), own_caller.clone(), as_of.clone());
        let wanted = AlertParameters { cursor, limit: Some(limit), ..wanted.clone() };
        async move { page(&state, &caller, (list, as_of), wanted).await }
    })
    .await
}

/// What a file of alerts has.
const COLUMNS: &[Column] = &[
    ("observed_at_us", "/alert/observed_at_us"),
    ("rule", "/alert/rule"),
    ("severity", "/alert/severity"),
    ("state", "/alert/state"),
    ("code", "/alert/code"),
    ("title", "/alert/title"),
    ("lines", "/alert/lines"),
    ("chain", "/alert/chain"),
    ("block_number", "/alert/block_number"),
    ("tx_hash", "/alert/tx_hash"),
    ("alert", "/alert/alert"),
    ("id", "/alert/id"),
];

/// A page of alerts.
async fn page(
    state: &ApiState,
    caller: &Caller,
    (list, AsOf(as_of)): (ListId, AsOf),
    wanted: AlertParameters,
) -> Result<Page<AlertItem>, Problem> {
    let window = Window::new(wanted.since, wanted.until)?;
    let turn = Turn::new(list, wanted.cursor.as_ref(), window, wanted.limit)?;
    let window = turn.window;
    let chains: Vec<String> = wanted.chain.into_iter().map(|chain| chain.0).collect();
    let filter = AlertFilter {
        chains: caller.chains_of(&chains),
        severities: wanted.severity,
        states: wanted.state,
        rule: wanted.rule.map(|rule| rule.0),
        since_us: window.since_us,
        until_us: window.until_us,
    };
    let found = state.store.alerts(&filter, &turn.request).await?;
    let key =
        |alert: &Alert| AlertKey { observed_at_us: alert.observed_at_us, id: alert.id.clone() };
    let (next, prev) = turn.links(&found, key);
    let names: Vec<String> = found.rows.iter().map(|alert| alert.alert.clone()).collect();
    let mut deliveries = state.store.deliveries_of(&names).await?;
    let items = found.rows.into_iter().map(|alert| {
        let own = deliveries.extract_if(.., |line| line.alert == alert.alert);
        let deliveries = own.map(Delivery::from).collect();
        AlertItem { alert: EventItem::new(&Event::from(alert), &[]), deliveries }
    });
    let items = items.collect();
    Ok(Page { next, prev, window: Some(window), as_of, ..Page::whole(items) })
}

path_parameters!(pub(super) OfAlert { alert: Name = "Key of the alert, or its code, as messages show it." });

/// An alert with its history.
#[derive(Debug, Serialize, ToSchema)]
struct AlertHistory {
    /// Its key.
    alert: String,
    /// Five characters that people read out.
    code: String,
    /// Every message of it, as on the wire, oldest first: fired, corrected, resolved.
    messages: Vec<EventItem>,
    /// What became of each message to each destination, oldest first.
    deliveries: Vec<Delivery>,
}

/// One alert: what was said, and who was told when.
#[utoipa::path(
    get,
    path = "/api/v1/alerts/{alert}",
    tag = "alerts",
    params(OfAlert),
    responses((status = 200, body = AlertHistory), (status = 404, body = Problem, content_type = "application/problem+json"))
)]
async fn alert(
    State(state): State<ApiState>,
    caller: Caller,
    At(wanted): At<Name>,
    _: Asked<NoParameters>,
) -> Result<Json<AlertHistory>, Problem> {
    let messages = messages_of(&state, &caller, &wanted.0).await?;
    let first = messages.first().ok_or_else(missing)?;
    let (alert, code) = (first.alert.clone(), first.code.clone());
    let deliveries = state.store.deliveries_of(std::slice::from_ref(&alert)).await?;
    let messages = messages.into_iter().map(|one| EventItem::new(&Event::from(one), &[]));
    Ok(Json(AlertHistory {
        alert,
        code,
        messages: messages.collect(),
        deliveries: deliveries.into_iter().map(Delivery::from).collect(),
    }))
}

pub(super) fn missing() -> Problem {
    Problem::not_found("there is no alert of this key, and none of this code within 30 days")
}

/// Every message of an alert that the caller may see.
pub(super) async fn messages_of(
    state: &ApiState,
    caller: &Caller,
    key_or_code: &str,
) -> Result<Vec<Alert>, Problem> {
    let messages = state.store.alert_messages(key_or_code).await?;
    let first = messages.first().ok_or_else(missing)?;
    let sees = match &first.chain {
        Some(chain) => caller.sees(chain),
        None => caller.chains.is_none(),
    };
    if sees { Ok(messages) } else { Err(missing()) }
}
