use std::{panic::AssertUnwindSafe, time::Instant};

use axum::{
    body::{Body, to_bytes},
    extract::{MatchedPath, Request, State},
    http::{HeaderName, HeaderValue, Method, header},
    middleware::Next,
    response::{IntoResponse as _, Response},
};
use futures::FutureExt as _;

use crate::{
    auth::{LoggedCaller, key::hex},
    change::refusals::{self, Refused},
    layers::client::ClientAddress,
    problem::{PROBLEM_JSON, Problem, ProblemKind},
    state::ApiState,
};

/// The id of a request, for the log and for questions about it.
pub(crate) const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");
/// Texts of failed answers that are no problems yet are read up to here.
const MAX_TEXT_BYTES: usize = 4 << 10;

/// What answers forbid a browser, unless they say otherwise themselves.
const SECURITY_HEADERS: [(HeaderName, &str); 5] = [
    (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
    (header::REFERRER_POLICY, "no-referrer"),
    (header::X_FRAME_OPTIONS, "DENY"),
    (header::CONTENT_SECURITY_POLICY, "default-src 'none'; frame-ancestors 'none'"),
    (HeaderName::from_static("cross-origin-opener-policy"), "same-origin"),
];

/// The id of a request, for what is made of it.
#[derive(Debug, Clone)]
pub(crate) struct RequestId(pub(crate) String);

/// Gives each request an id, a log line and its metrics; makes a problem of everything that failed, panics too.
pub(crate) async fn observe(
    State(state): State<ApiState>,
    mut request: Request,
    next: Next,
) -> Response {
    let id = hex(&rand::random::<[u8; 8]>());
    let started = Instant::now();
    let method = request.method().clone();
    // Never the path itself: it may have anything in it, and is unbounded as a label.
    let route = request.extensions().get::<MatchedPath>().map(|path| path.as_str().to_owned());
    let route = route.unwrap_or_else(|| "none".to_owned());
    let client = request.extensions().get::<ClientAddress>().copied();
    request.extensions_mut().insert(RequestId(id.clone()));
    let _in_flight = state.metrics.begin();
    let answered = AssertUnwindSafe(next.run(request)).catch_unwind().await;
    let response = answered.unwrap_or_else(|panic| {
        let text = panic.downcast_ref::<&str>().copied();
        let text = text.or_else(|| panic.downcast_ref::<String>().map(String::as_str));
        tracing::error!(
            request = id,
            route,
            panic = text.unwrap_or("no message"),
            "a handler panicked"
        );
        Problem::new(ProblemKind::Internal, "the request failed; its id is in the log")
            .into_response()
    });
    let mut response = as_problem(response, &id).await;
    let caller = response.extensions().get::<LoggedCaller>().map(|caller| caller.0.clone());
    let headers = response.headers_mut();
    for (name, value) in SECURITY_HEADERS {
        headers.entry(name).or_insert(HeaderValue::from_static(value));
    }
    if let Ok(value) = HeaderValue::from_str(&id) {
        headers.insert(REQUEST_ID, value);
    }
    let status = response.status();
    let elapsed = started.elapsed();
    let address = client.unwrap_or(ClientAddress::UNKNOWN).0;
    let target = format!("{method} {route}");
    let refused = Refused { status, client: address, caller: caller.clone(), target, request: &id };
    refusals::tell(&state, refused);
    state.metrics.answered(&method, &route, status, elapsed);
    tracing::info!(
        target: "crypto_intel_api::access",
        request = id,
        method = method.as_str(),
        route,
        status = status.as_u16(),
        ms = elapsed.as_secs_f64() * 1e3,
        caller = caller.as_deref().unwrap_or("none"),
        client = client.map(|client| client.0.to_string()),
        "request"
    );
    response
}

/// Failed answers as problems that name the request.
async fn as_problem(mut response: Response, id: &str) -> Response {
    let status = response.status();
    if !(status.is_client_error() || status.is_server_error()) {
        return response;
    }
    let problem = match response.extensions_mut().remove::<Problem>() {
        Some(problem) => problem,
        None if response
            .headers()
            .get(header::CONTENT_TYPE)
            .is_some_and(|it| it == PROBLEM_JSON) =>
        {
            return response;
        }
        None => {
            let body = std::mem::replace(response.body_mut(), Body::empty());
            let text = to_bytes(body, MAX_TEXT_BYTES).await.unwrap_or_default();
            // What a server error says is for the log alone.
            let text = if status.is_server_error() { "" } else { &String::from_utf8_lossy(&text) };
            Problem::of_answer(status, text)
        }
    };
    let (mut parts, _) = response.into_parts();
    let made = Problem { instance: Some(id.to_owned()), ..problem }.answer();
    let (made, body) = made.into_parts();
    parts.status = made.status;
    parts.headers.remove(header::CONTENT_LENGTH);
    parts.headers.remove(header::CONTENT_ENCODING);
    parts.headers.remove(header::ETAG);
    for (name, value) in &made.headers {
        parts.headers.insert(name, value.clone());
    }
    Response::from_parts(parts, body)
}

/// What the router answers where it knows no path.
pub(crate) async fn not_found() -> Problem {
    Problem::not_found("there is no such path: /api/v1/openapi.json describes all")
}

/// What the router answers where a path has other methods.
pub(crate) async fn method_not_allowed(method: Method) -> Problem {
    let detail = format!("{method} is not allowed here: the header Allow says what is");
    Problem::new(ProblemKind::MethodNotAllowed, detail)
}
