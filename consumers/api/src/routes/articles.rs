//! What is written about markets: articles of feeds, and incidents that status pages of providers list.

use axum::{
    extract::State,
    response::{IntoResponse as _, Response},
};
use crypto_intel_schemas::{Event, Stream};
use crypto_intel_store::{ArticleFilter, ArticleLine};
use utoipa_axum::{router::OpenApiRouter, routes};

use crate::{
    auth::{Caller, scopes::Scope},
    cursor::ListId,
    export::{self, Accepted, Column, Format, export},
    guard::{AsOf, Guard},
    limits::cost,
    page::{EventItem, Page, Turn, Window},
    parameters::{
        Asked, parameters,
        values::{CursorText, Limit, Moment, Name},
    },
    problem::Problem,
    state::ApiState,
};

pub(super) fn routes() -> OpenApiRouter<ApiState> {
    let guard =
        Guard::new(Scope::Market, cost::LIST).by_position_of(&[Stream::Signals, Stream::History]);
    OpenApiRouter::new().routes(guard.of(routes!(list)))
}

parameters! {
    /// Which articles.
    pub(crate) struct ArticleParameters {
        /// Only of this provider; may be repeated.
        pub(crate) source: Vec<Name>,
        /// Only about this asset, such as bitcoin.
        pub(crate) asset: Option<Name>,
        /// Published from then on; seven days before `until` without a word.
        pub(crate) since: Option<Moment>,
        /// Published up to then; now without a word.
        pub(crate) until: Option<Moment>,
        /// How many a page has.
        pub(crate) limit: Option<Limit>,
        /// `next` or `prev` of a page before.
        pub(crate) cursor: Option<CursorText>,
        /// As a file instead of pages; the header `Accept` says it, too.
        pub(crate) format: Option<Format>,
    }
}

/// What a file of articles has.
const COLUMNS: &[Column] = &[
    ("event_at_us", "/event_at_us"),
    ("source", "/source"),
    ("title", "/title"),
    ("summary", "/summary"),
    ("publisher", "/publisher"),
    ("author", "/author"),
    ("link", "/link"),
    ("assets", "/assets"),
    ("id", "/id"),
];

/// Articles and incidents that providers list, newest first. Titles and summaries are text of others.
#[utoipa::path(
    get,
    path = "/api/v1/market/articles",
    tag = "market",
    params(ArticleParameters),
    responses((status = 200, content(
        (Page<EventItem> = "application/json"), (String = "application/x-ndjson"), (String = "text/csv")
    )))
)]
async fn list(
    State(state): State<ApiState>,
    as_of: AsOf,
    accepted: Accepted,
    caller: Caller,
    asked: Asked<ArticleParameters>,
) -> Result<Response, Problem> {
    let list = ListId::new("/market/articles", &asked.filters);
    let wanted = asked.parameters;
    let Some(format) = export::wanted(wanted.format, accepted) else {
        return page(&state, (list, as_of), wanted).await.map(Page::into_response);
    };
    let file = export::List { name: "articles", columns: COLUMNS };
    let range = (wanted.cursor.clone(), wanted.limit);
    let own_state = state.clone();
    export(&state, &caller, (file, format), range, move |cursor, limit| {
        let (state, as_of) = (own_state.clone(), as_of.clone());
        let wanted = ArticleParameters { cursor, limit: Some(limit), ..wanted.clone() };
        async move { page(&state, (list, as_of), wanted).await }
    })
    .await
}

/// A page of articles.
async fn page(
    state: &ApiState,
    (list, AsOf(as_of)): (ListId, AsOf),
    wanted: ArticleParameters,
) -> Result<Page<EventItem>, Problem> {
    let window = Window::new(wanted.since, wanted.until)?;
    let turn = Turn::new(list, wanted.cursor.as_ref(), window, wanted.limit)?;
    let window = turn.window;
    let filter = ArticleFilter {
        sources: wanted.source.into_iter().map(|source| source.0).collect(),
        asset: wanted.asset.map(|asset| asset.0),
        since_us: window.since_us,
        until_us: window.until_us,
    };
    let found = state.store.articles(&filter, &turn.request).await?;
    let key = |line: &ArticleLine| line.key.clone();
    let (next, prev) = turn.links(&found, key);
    let items = found.rows.into_iter().map(|line| EventItem::new(&Event::from(line.article), &[]));
    Ok(Page { next, prev, window: Some(window), as_of, ..Page::whole(items.collect()) })
}
