//! Who changed what, through the API or by a command.

use axum::extract::State;
use crypto_intel_schemas::{Audit, Event, Stream};
use crypto_intel_store::{AuditFilter, AuditKey};
use utoipa_axum::{router::OpenApiRouter, routes};

use crate::{
    auth::{Caller, scopes::Scope},
    cursor::ListId,
    guard::{AsOf, Guard},
    limits::cost,
    page::{EventItem, Page, Turn, Window},
    parameters::{
        Asked, parameters,
        values::{CursorText, Limit, Moment, Name},
    },
    problem::{Problem, ProblemKind},
    state::ApiState,
};

pub(super) fn routes() -> OpenApiRouter<ApiState> {
    let guard = Guard::new(Scope::Audit, cost::LIST).by_position_of(&[Stream::Audit]);
    OpenApiRouter::new().routes(guard.of(routes!(list)))
}

parameters! {
    /// Which changes.
    pub(crate) struct AuditParameters {
        /// By this key's name, or this user of the command line.
        pub(crate) actor: Option<Name>,
        /// Of this sort, such as `silence.add`.
        pub(crate) action: Option<Name>,
        /// Of this thing: an id, or chain and address such as `all/0x…`.
        pub(crate) target: Option<Name>,
        /// From then on; seven days ago without a word.
        pub(crate) since: Option<Moment>,
        /// Up to then; now without a word.
        pub(crate) until: Option<Moment>,
        /// How many.
        pub(crate) limit: Option<Limit>,
        /// Where the page begins: `next` or `prev` of an answer.
        pub(crate) cursor: Option<CursorText>,
    }
}

/// Changes through the API and by commands, newest first: who, from where, what, and what was before.
#[utoipa::path(
    get,
    path = "/api/v1/audit",
    tag = "access",
    params(AuditParameters),
    responses((status = 200, body = Page<EventItem>))
)]
async fn list(
    State(state): State<ApiState>,
    caller: Caller,
    AsOf(as_of): AsOf,
    asked: Asked<AuditParameters>,
) -> Result<Page<EventItem>, Problem> {
    if caller.chains.is_some() {
        let detail = "changes are of all chains, and the key is for some";
        return Err(Problem::new(ProblemKind::Forbidden, detail));
    }
    let list = ListId::new("/audit", &asked.filters);
    let wanted = asked.parameters;
    let window = Window::new(wanted.since, wanted.until)?;
    let turn = Turn::new(list, wanted.cursor.as_ref(), window, wanted.limit)?;
    let window = turn.window;
    let filter = AuditFilter {
        actor: wanted.actor.map(|name| name.0),
        action: wanted.action.map(|name| name.0),
        target: wanted.target.map(|name| name.0),
        since_us: window.since_us,
        until_us: window.until_us,
    };
    let found = state.store.audit_trail(&filter, &turn.request).await?;
    let key = |audit: &Audit| AuditKey { event_at_us: audit.event_at_us, id: audit.id.clone() };
    let (next, prev) = turn.links(&found, key);
    let items = found.rows.into_iter().map(|audit| EventItem::new(&Event::from(audit), &[]));
    let items = items.collect();
    Ok(Page { next, prev, window: Some(window), as_of, ..Page::whole(items) })
}
