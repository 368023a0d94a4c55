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
    change::{Action, carry_out, key_parameter, look},
    layers::client::ClientAddress,
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
    action: Option<Action>,
    is_open: bool,
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
        Self { scope, cost, streams: &[], action: None, is_open: false }
    }

    /// The answer follows from tables of these streams alone: while they have read nothing more, it is the same.
    pub(crate) const fn by_position_of(self, streams: &'static [Stream]) -> Self {
        Self { streams, ..self }
    }

    /// What the route does, for the audit, as thing and verb: every change names it.
    pub(crate) const fn doing(self, name: &'static str) -> Self {
        Self { action: Some(Action { name, is_kept: true }), ..self }
    }

    /// As [`doing`](Self::doing), where the answer holds a secret: it is not kept for those who ask again.
    pub(crate) const fn telling(self, name: &'static str) -> Self {
        Self { action: Some(Action { name, is_kept: false }), ..self }
    }

    /// Strangers pass, too: the handler itself finds the caller.
    pub(crate) const fn to_strangers(self) -> Self {
        Self { is_open: true, ..self }
    }

    /// Puts this before a route, and into its description.
    pub(crate) fn of(self, route: UtoipaMethodRouter<ApiState>) -> UtoipaMethodRouter<ApiState> {
        let (schemas, mut paths, router) = route.map(|router| {
            // Not before the answer that another method is meant.
            router.route_layer(from_fn(move |request, next| self.pass(request, next)))
        });
        for item in paths.paths.values_mut() {
            for (method, operation) in operations(item) {
                self.describe(operation);
                if !method.is_safe() {
                    self.describe_change(operation);
                }
            }
        }
        (schemas, paths, router)
    }

    async fn pass(self, request: Request, next: Next) -> Response {
        let Some(state) = request.extensions().get::<ApiState>().cloned() else {
            return Problem::new(ProblemKind::Internal, "no layer found the caller")
                .into_response();
        };
        let address =
            request.extensions().get::<ClientAddress>().map_or(ClientAddress::UNKNOWN, |one| *one);
        let caller = match self.admit(request.extensions().get::<Identity>(), address) {
            Ok(caller) => caller,
            Err(problem) => {
                let is_key = problem.status() == StatusCode::UNAUTHORIZED;
                state.metrics.refused(if is_key { "key" } else { "scope" });
                let mut response = problem.into_response();
                if let Some(Identity::Known(caller)) = request.extensions().get::<Identity>() {
                    response.extensions_mut().insert(LoggedCaller::of(caller));
                }
                return response;
            }
        };
        let logged = LoggedCaller::of(&caller);
        let mut response = self.answer(&state, &caller, request, next).await;
        response.extensions_mut().insert(logged);
        response
    }

    fn admit(self, identity: Option<&Identity>, address: ClientAddress) -> Result<Caller, Problem> {
        let unauthenticated = |detail: &str| Problem::new(ProblemKind::Unauthenticated, detail);
        let caller = match identity {
            Some(Identity::Known(caller)) => caller,
            Some(Identity::Invalid(why)) => return Err(unauthenticated(why)),
            Some(Identity::Stranger) | None if self.is_open => {
                return Ok(Caller::stranger(address.0));
            }
            Some(Identity::Stranger) | None => {
                return Err(unauthenticated(
                    "send a key as `Authorization: Bearer ci_…`; `crypto-intel keys add` makes one",
                ));
            }
        };
        if caller.may(self.scope) {
            return Ok(caller.clone());
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
        let mut response = match self.action {
            Some(action) if !request.method().is_safe() => {
                carry_out(state, caller, action, request, next).await
            }
            _ => look(state, caller, request, next).await,
        };
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
        // What is sent to be looked at only, such as rules to be tried, changes nothing.
        if !method.is_safe()
            && self.action.is_some()
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
        let by = ["key", "session"].map(|by| SecurityRequirement::new(by, [self.scope.as_str()]));
        operation.security = Some(by.into());
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

    /// What changes have beside that: their name in the audit, and the header that makes them once.
    fn describe_change(self, operation: &mut Operation) {
        let Some(action) = self.action else { return };
        let extensions = ExtensionsBuilder::new().add("x-action", action.name).build();
        operation.extensions.get_or_insert_default().merge(extensions);
        if !action.is_kept {
            return;
        }
        operation.parameters.get_or_insert_default().push(key_parameter().into());
        let known = &mut operation.responses.responses;
        for (code, about) in [
            ("409", "The change of this `Idempotency-Key` has begun, and has no outcome yet."),
            ("422", "The body says what cannot be done, or the key belongs to another request."),
        ] {
            known.insert(code.to_owned(), RefOr::T(failed(code, about)));
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

/// The operations of a path with their methods.
pub(crate) fn operations(item: &mut PathItem) -> impl Iterator<Item = (Method, &mut Operation)> {
    let PathItem { get, put, post, delete, patch, .. } = item;
    let all = [
        (Method::GET, get),
        (Method::PUT, put),
        (Method::POST, post),
        (Method::DELETE, delete),
        (Method::PATCH, patch),
    ];
    all.into_iter().filter_map(|(method, operation)| Some((method, operation.as_mut()?)))
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
    // A file may be cut, and is kept by no cache.
    if headers.contains_key(header::CACHE_CONTROL) {
        return response;
    }
    if let Ok(value) = HeaderValue::from_str(tag) {
        headers.insert(header::ETAG, value);
    }
    let fresh = HeaderValue::from_static("private, max-age=0, must-revalidate");
    headers.insert(header::CACHE_CONTROL, fresh);
    headers.insert(
        header::VARY,
        HeaderValue::from_static("accept, accept-encoding, authorization, cookie"),
    );
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
