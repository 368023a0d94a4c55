use axum::{
    extract::Request,
    http::{HeaderMap, Uri, header},
    middleware::Next,
    response::{IntoResponse as _, Response},
};

use crate::problem::{Problem, ProblemKind};

/// What a browser tells of the page that makes a request.
const FETCH_SITE: &str = "sec-fetch-site";

/// Refuses changes that a page of another host asks for: a browser sends such a request with whatever right its user, or anybody
/// on this machine, has. What only reads may be sent, as the page cannot read the answer.
pub(crate) async fn refuse_foreign_changes(request: Request, next: Next) -> Response {
    if request.method().is_safe() {
        return next.run(request).await;
    }
    let headers = request.headers();
    let site = headers.get(FETCH_SITE).map(|site| site.as_bytes());
    let is_foreign = site.is_some_and(|site| site != b"same-origin" && site != b"none");
    match foreign(headers, &[]) {
        None if !is_foreign => next.run(request).await,
        origin => {
            let page = origin.unwrap_or_else(|| "another site".to_owned());
            let detail = format!(
                "pages of {page:?} may change nothing here: open the dashboard of this host"
            );
            Problem::new(ProblemKind::Forbidden, detail).into_response()
        }
    }
}

/// Whether the page that asks is surely the own one: browsers say so, and nothing else holds a cookie.
pub(crate) fn is_own_page(headers: &HeaderMap) -> bool {
    let is_same = headers.get(FETCH_SITE).is_some_and(|site| site == "same-origin");
    let has_own_origin = headers.contains_key(header::ORIGIN) && foreign(headers, &[]).is_none();
    is_same && !headers.contains_key(header::ORIGIN) || has_own_origin
}

/// The origin of the page that asks, where it is neither none (no browser), nor of the host that it calls, nor one of those allowed.
/// Safe to be shown.
pub(crate) fn foreign(headers: &HeaderMap, allowed: &[String]) -> Option<String> {
    let origin = headers.get(header::ORIGIN)?.to_str().unwrap_or_default();
    let authority = origin.parse::<Uri>().ok().and_then(|uri| uri.authority().cloned());
    let host = headers.get(header::HOST).and_then(|host| host.to_str().ok());
    // `Host` is one of ours: a layer before this one saw to it.
    let is_own = authority.is_some_and(|authority| {
        host.is_some_and(|host| authority.as_str().eq_ignore_ascii_case(host))
    });
    if is_own || allowed.iter().any(|one| one == origin) {
        return None;
    }
    Some(origin.chars().filter(|one| !one.is_control()).take(100).collect())
}
