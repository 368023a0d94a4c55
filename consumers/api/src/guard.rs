//! What stands before a handler: the right, the cost, and whether the client has the answer already.

use std::{collections::BTreeMap, convert::Infallible, fmt::Write as _, time::Duration};

use axum::{
    extract::{FromRequestParts, Request},
    http::{HeaderMap, HeaderValue, Method, StatusCode, header, request::Parts},
    middleware::{Next, from_fn},
    response::{IntoResponse as _, Response},
};
use crypto_intel_schemas::Stream;
use crypto_intel_store::PositionRow;
use utoipa::openapi::{
    Content, OpenApi, Ref, RefOr, ResponseBuilder,
    extensions::ExtensionsBuilder,
    path::{Operation, PathItem},
    security::SecurityRequirement,
};
use utoipa_axum::router::{UtoipaMethodRouter, UtoipaMethodRouterExt as _};

use crate::{
    auth::{Caller, Identity, LoggedCaller, scopes::Scope},
    page::Links,
    places::{Full, Owner, Place},
    problem::{PROBLEM_JSON, Problem, ProblemKind},
    state::ApiState,
};

/// What a route asks of its clients.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Guard {
    scope: Scope,
    cost: u32,
    streams: &'static [Stream],
}

/// Requests of all clients that are answered at the same time: each holds memory, not necessarily a connection to the database.
const MAX_REQUESTS: usize = 512;

/// A stream, and how far the tables have read it.
type Read = (Stream, Option<PositionRow>);

/// The streams whose events are in the tables of chains.
pub(crate) const OF_CHAINS: &[Stream] = &[Stream::Evm, Stream::History];

impl Guard {
    /// A right and a cost.
    pub(crate) const fn new(scope: Scope, cost: u32) -> Self {
        Self { scope, cost, streams: &[] }
    }

    /// The answer follows from tables of these streams alone: while they have read nothing more, it is the same.
    pub(crate) const fn by_position_of(self, streams: &'static [Stream]) -> Self {
        Self { streams, ..self }
    }

    /// Puts this before a route, and into its description.
    pub(crate) fn of(self, route: UtoipaMethodRouter<ApiState>) -> UtoipaMethodRouter<ApiState> {
        let (schemas, mut paths, router) = route.map(|router| {
            // Not before the answer that another method is meant.
            router.route_layer(from_fn(move |request, next| self.pass(request, next)))
        });
        for item in paths.paths.values_mut() {
            operations(item).for_each(|operation| self.describe(operation));
        }
        (schemas, paths, router)
    }

    async fn pass(self, request: Request, next: Next) -> Response {
        let Some(state) = request.extensions().get::<ApiState>().cloned() else {
            return Problem::new(ProblemKind::Internal, "no layer found the caller")
                .into_response();
        };
        let caller = match self.admit(request.extensions().get::<Identity>()) {
            Ok(caller) => caller.clone(),
            Err(problem) => {
                let is_key = problem.status() == StatusCode::UNAUTHORIZED;
                state.metrics.refused(if is_key { "key" } else { "scope" });
                return problem.into_response();
            }
        };
        let logged = LoggedCaller(caller.key.clone().unwrap_or_else(|| caller.name.clone()));
        let mut response = self.answer(&state, &caller, request, next).await;
        response.extensions_mut().insert(logged);
        response
    }

    fn admit(self, identity: Option<&Identity>) -> Result<&Caller, Problem> {
        let unauthenticated = |detail| Problem::new(ProblemKind::Unauthenticated, detail);
        let caller = match identity {
            Some(Identity::Known(caller)) => caller,
            Some(Identity::Invalid) => {
                return Err(unauthenticated("the key is unknown, has expired or was revoked"));
            }
            Some(Identity::Stranger) | None => {
                return Err(unauthenticated(
                    "send a key as `Authorization: Bearer ci_…`; `crypto-intel keys add` makes one",
                ));
            }
        };
        if caller.may(self.scope) {
            return Ok(caller);
        }
        let detail = format!(
            "this needs the scope {}, which the role {} has not; {} has it",
            self.scope.as_str(),
            caller.role,
            self.scope.least_role()
        );
        Err(Problem::new(ProblemKind::Forbidden, detail))
    }

    async fn answer(
        self,
        state: &ApiState,
        caller: &Caller,
        mut request: Request,
        next: Next,
    ) -> Response {
        let read = self.read(state, request.method()).await;
        let tag = read.as_deref().map(tag);
        if let Some(tag) = &tag
            && has(request.headers(), tag)
        {
            // Costs nothing: it asked politely.
            return cached((StatusCode::NOT_MODIFIED, ()).into_response(), tag);
        }
        let left = state.limits.charge(caller, self.cost);
        if !left.is_allowed {
            state.metrics.refused("quota");
            let detail = format!("this costs {}, and the minute's budget is used up", self.cost);
            let problem = Problem::new(ProblemKind::QuotaExceeded, detail).after(left.wait);
            let mut response = problem.into_response();
            left.put(response.headers_mut());
            return response;
        }
        let _place = match self.enter(state, caller, request.method()) {
            Ok(place) => place,
            Err(problem) => return problem.into_response(),
        };
        request.extensions_mut().insert(AsOf::new(read.as_deref().unwrap_or_default()));
        let query = request.uri().query().unwrap_or_default().to_owned();
        let mut response = next.run(request).await;
        if let Some(links) = response.extensions_mut().remove::<Links>() {
            links.put(&query, response.headers_mut());
        }
        left.put(response.headers_mut());
        match tag {
            Some(tag) if response.status() == StatusCode::OK => cached(response, &tag),
            _ => response,
        }
    }

    /// What the minute's budget does not bound: requests at once, and changes.
    fn enter(self, state: &ApiState, caller: &Caller, method: &Method) -> Result<Place, Problem> {
        if !method.is_safe()
            && let Err(wait) = state.limits.may_change(caller)
        {
            state.metrics.refused("changes");
            let detail = "these are too many changes within a minute (api.changes_per_minute)";
            return Err(Problem::new(ProblemKind::QuotaExceeded, detail).after(wait));
        }
        let most = state.config.max_requests_at_once;
        let owner = Owner::of(Some(caller), caller.address);
        state.requests.take(owner, most, MAX_REQUESTS).map_err(|full| {
            state.metrics.refused("at_once");
            let problem = match full {
                Full::Owner => {
                    let detail = format!("{most} requests are being answered already");
                    Problem::new(ProblemKind::QuotaExceeded, detail)
                }
                Full::All => Problem::new(ProblemKind::Busy, "too many requests at once"),
            };
            problem.after(Duration::from_secs(1))
        })
    }

    /// How far the tables are that the answer is made of; `None` where it is made of other things, or where that is unknown. What
    /// the answer is read from later has that much at least.
    async fn read(self, state: &ApiState, method: &Method) -> Option<Vec<Read>> {
        if self.streams.is_empty() || !matches!(*method, Method::GET | Method::HEAD) {
            return None;
        }
        let all = state.positions().await.ok()?;
        let of = |stream: &Stream| {
            (*stream, all.iter().find(|one| one.stream == stream.name()).cloned())
        };
        Some(self.streams.iter().map(of).collect())
    }

    fn describe(self, operation: &mut Operation) {
        operation.security = Some(vec![SecurityRequirement::new("key", [self.scope.as_str()])]);
        let extensions = ExtensionsBuilder::new()
            .add("x-scope", self.scope.as_str())
            .add("x-cost", self.cost)
            .build();
        operation.extensions.get_or_insert_default().merge(extensions);
        let mut codes = vec![
            ("400", "A parameter is not valid."),
            ("401", "A valid key is needed."),
            ("403", "The key has not the scope."),
            ("421", "The host is not one of this API."),
            ("429", "The quota is used up; `Retry-After` says for how long."),
            ("503", "The database is busy or away; `Retry-After` says when to try again."),
        ];
        if !self.streams.is_empty() {
            codes.push(("304", "As `If-None-Match` says, the client has it."));
        }
        if operation.request_body.is_some() {
            codes.extend([
                ("413", "The body is too large."),
                ("415", "The body is not `application/json`."),
                ("422", "The body says what cannot be done."),
            ]);
        }
        for (code, about) in codes {
            let known = &mut operation.responses.responses;
            known.entry(code.to_owned()).or_insert_with(|| RefOr::T(failed(code, about)));
        }
    }
}

/// How far the tables had read each stream that an answer is made of, before it was made: live events from there on complete it.
#[derive(Debug, Clone, Default)]
pub(crate) struct AsOf(pub(crate) BTreeMap<String, u64>);

impl AsOf {
    fn new(read: &[Read]) -> Self {
        let known = read.iter().filter_map(|(_, position)| position.as_ref());
        Self(known.map(|one| (one.stream.clone(), one.sequence)).collect())
    }
}

impl<S: Sync> FromRequestParts<S> for AsOf {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Infallible> {
        Ok(parts.extensions.get::<Self>().cloned().unwrap_or_default())
    }
}

fn tag(read: &[Read]) -> String {
    let mut tag = format!("W/\"{}", env!("CARGO_PKG_VERSION"));
    for (stream, position) in read {
        let (sequence, stored) =
            position.as_ref().map_or((0, 0), |one| (one.sequence, one.stored_at_us));
        // A stream that was recreated counts from 1 again: its times differ.
        let _ = write!(tag, "/{stream}.{sequence}.{:x}", stored & 0xff_ffff);
    }
    tag.push('"');
    tag
}

fn failed(code: &str, about: &str) -> utoipa::openapi::Response {
    let response = ResponseBuilder::new().description(about);
    if code == "304" {
        return response.build();
    }
    let content = Content::new(Some(Ref::from_schema_name("Problem")));
    response.content(PROBLEM_JSON, content).build()
}

/// A failure that one route describes beside those that all have.
pub(crate) fn operations(item: &mut PathItem) -> impl Iterator<Item = &mut Operation> {
    let PathItem { get, put, post, delete, patch, .. } = item;
    [get, put, post, delete, patch].into_iter().flatten()
}

/// Every route with its method and scope.
pub(crate) fn scopes(openapi: &OpenApi) -> Vec<(String, String, String)> {
    let mut found = Vec::new();
    for (path, item) in &openapi.paths.paths {
        for (method, operation) in [
            ("GET", &item.get),
            ("POST", &item.post),
            ("PUT", &item.put),
            ("PATCH", &item.patch),
            ("DELETE", &item.delete),
        ] {
            let Some(operation) = operation else { continue };
            let extensions = operation.extensions.as_ref();
            let scope = extensions.and_then(|all| all.get("x-scope")?.as_str());
            found.push((method.to_owned(), path.clone(), scope.unwrap_or_default().to_owned()));
        }
    }
    found
}

fn has(headers: &HeaderMap, tag: &str) -> bool {
    let values = headers.get_all(header::IF_NONE_MATCH).iter();
    let tags = values.filter_map(|value| value.to_str().ok()).flat_map(|value| value.split(','));
    let plain = |tag: &str| tag.trim().trim_start_matches("W/").to_owned();
    tags.map(plain).any(|one| one == "*" || one == plain(tag))
}

fn cached(mut response: Response, tag: &str) -> Response {
    let headers = response.headers_mut();
    if let Ok(value) = HeaderValue::from_str(tag) {
        headers.insert(header::ETAG, value);
    }
    let fresh = HeaderValue::from_static("private, max-age=0, must-revalidate");
    headers.insert(header::CACHE_CONTROL, fresh);
    headers.insert(header::VARY, HeaderValue::from_static("authorization, accept-encoding"));
    response
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tag_is_compared_weakly() {
        let with = |value: &str| {
            let mut headers = HeaderMap::new();
            headers.insert(header::IF_NONE_MATCH, value.parse().unwrap());
            has(&headers, "W/\"EVM.7\"")
        };
        assert!(
            with("W/\"EVM.7\"") && with("\"EVM.7\"") && with("\"a\", W/\"EVM.7\"") && with("*")
        );
        assert!(!with("W/\"EVM.8\"") && !with("EVM.7") && !with(""));
        assert!(!has(&HeaderMap::new(), "W/\"EVM.7\""));
    }
}
