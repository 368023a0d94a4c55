//! Sessions of the dashboard: a cookie instead of a key that the page would have to hold.

use axum::{
    Extension, Json,
    extract::State,
    http::{HeaderMap, HeaderName, StatusCode, Uri, header},
};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use utoipa_axum::{router::OpenApiRouter, routes};

use crate::{
    auth::{
        COOKIES, Caller, Credential, Identity, holder_of,
        scopes::Scope,
        sessions::{Holder, MAX_AGE_US, Session},
    },
    change::Changed,
    guard::Guard,
    layers::client::ClientAddress,
    limits::cost,
    parameters::{Asked, NoParameters, body::Body},
    problem::{Problem, ProblemKind},
    state::ApiState,
};

pub(super) fn routes() -> OpenApiRouter<ApiState> {
    let guard = Guard::new(Scope::Chain, cost::LOOK_UP);
    let begun = guard.to_strangers().telling("session.begin");
    OpenApiRouter::new()
        .routes(guard.of(routes!(who)))
        .routes(begun.of(routes!(begin)))
        .routes(guard.telling("session.end").of(routes!(end)))
}

/// A session.
#[derive(Debug, Serialize, ToSchema)]
struct SessionItem {
    /// Whose it is.
    name: String,
    /// viewer, analyst, operator or admin.
    role: &'static str,
    /// When it began, microseconds UTC.
    began_us: i64,
    /// When it ends if it is not used again, microseconds UTC.
    ends_us: i64,
}

impl SessionItem {
    fn new(caller: &Caller, session: &Session) -> Self {
        Self {
            name: caller.name.clone(),
            role: caller.role.as_str(),
            began_us: session.began_us,
            ends_us: session.ends_us(),
        }
    }
}

/// How a session begins where no key is sent.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct Login {
    /// A code, as `crypto-intel keys login` prints it; it counts once, for five minutes.
    #[schema(min_length = 1, max_length = 200)]
    code: String,
}

/// Whose session the cookie is, and until when.
#[utoipa::path(
    get,
    path = "/api/v1/session",
    tag = "access",
    responses((status = 200, body = SessionItem), (status = 404, body = Problem, content_type = "application/problem+json"))
)]
async fn who(
    State(state): State<ApiState>,
    caller: Caller,
    _: Asked<NoParameters>,
) -> Result<Json<SessionItem>, Problem> {
    let (_, session) = session_of(&state, &caller)?;
    Ok(Json(SessionItem::new(&caller, &session)))
}

fn session_of(state: &ApiState, caller: &Caller) -> Result<(String, Session), Problem> {
    let place = match &caller.credential {
        Credential::Session(place) => Some(place.clone()),
        _ => None,
    };
    place
        .and_then(|place| Some((place.clone(), state.sessions.at(&place)?)))
        .ok_or_else(|| Problem::not_found("this request came with no session"))
}

type Begun = (StatusCode, [(HeaderName, String); 2], Extension<Changed>, Json<SessionItem>);

/// Begins a session of the key in the header, or of that of a code, and answers with its cookie: it is not readable by scripts, ends
/// after 12 hours without use, after 7 days in any case, and with its key.
#[utoipa::path(
    post,
    path = "/api/v1/session",
    tag = "access",
    request_body(content = inline(Option<Login>), content_type = "application/json"),
    responses((status = 201, body = SessionItem))
)]
async fn begin(
    State(state): State<ApiState>,
    identity: Identity,
    address: Extension<ClientAddress>,
    headers: HeaderMap,
    _: Asked<NoParameters>,
    login: Option<Body<Login>>,
) -> Result<Begun, Problem> {
    let (holder, caller) = match login {
        Some(Body(login)) => of_code(&state, &login.code, address.0).await?,
        None => match identity {
            Identity::Known(caller) => (holder_of(&state, &caller)?, caller),
            Identity::Stranger | Identity::Invalid(_) => return Err(nothing_given()),
        },
    };
    if let Credential::Session(place) = &caller.credential {
        // Another one in its place: the old id is void.
        state.sessions.end(&state.nats, place).await?;
    }
    let (id, session) = state.sessions.begin(&state.nats, holder).await?;
    let headers = [
        // It may outlive the session, which the server ends.
        (header::SET_COOKIE, cookie(&headers, &id, MAX_AGE_US / 1_000_000)),
        (header::CACHE_CONTROL, "no-store".to_owned()),
    ];
    let item = SessionItem::new(&caller, &session);
    let changed = Extension(Changed::default().by(&caller));
    Ok((StatusCode::CREATED, headers, changed, Json(item)))
}

fn nothing_given() -> Problem {
    let detail = "send a key in the header Authorization, or {\"code\": …} as `crypto-intel keys login` prints it";
    Problem::new(ProblemKind::Unauthenticated, detail)
}

/// What a code may have.
const MAX_CODE_BYTES: usize = 200;

async fn of_code(
    state: &ApiState,
    code: &str,
    address: ClientAddress,
) -> Result<(Holder, Caller), Problem> {
    if !(1..=MAX_CODE_BYTES).contains(&code.len()) {
        return Err(Problem::unprocessable("code: write what `crypto-intel keys login` printed"));
    }
    let refused = || {
        let detail = "the code is unknown, older than five minutes or was used: `crypto-intel keys login` prints another";
        Problem::new(ProblemKind::Unauthenticated, detail)
    };
    let id = state.sessions.redeem(&state.nats, code).await?.ok_or_else(refused)?;
    let entry = state.keys.valid(&id).ok_or_else(refused)?;
    let caller = Caller::of_key(&id, entry, Credential::Key, address.0);
    Ok((Holder::Key(id), caller))
}

/// The cookie as a header. Where the page came by TLS, browsers take it from this host alone and send it by TLS alone.
fn cookie(headers: &HeaderMap, id: &str, seconds: i64) -> String {
    let [secure, plain] = COOKIES;
    let rest = format!("{id}; Path=/; HttpOnly; SameSite=Strict; Max-Age={seconds}");
    if is_by_tls(headers) { format!("{secure}={rest}; Secure") } else { format!("{plain}={rest}") }
}

fn is_by_tls(headers: &HeaderMap) -> bool {
    let text = |name: &str| headers.get(name).and_then(|value| value.to_str().ok());
    let origin = text("origin").and_then(|origin| origin.parse::<Uri>().ok());
    origin.is_some_and(|origin| origin.scheme_str() == Some("https"))
        || text("x-forwarded-proto").is_some_and(|scheme| scheme.eq_ignore_ascii_case("https"))
}

type Ended = (StatusCode, [(HeaderName, String); 1], Extension<Changed>);

/// Ends the session of the cookie.
#[utoipa::path(
    delete,
    path = "/api/v1/session",
    tag = "access",
    responses((status = 204), (status = 404, body = Problem, content_type = "application/problem+json"))
)]
async fn end(
    State(state): State<ApiState>,
    caller: Caller,
    headers: HeaderMap,
    _: Asked<NoParameters>,
) -> Result<Ended, Problem> {
    let (place, _) = session_of(&state, &caller)?;
    state.sessions.end(&state.nats, &place).await?;
    let gone = [(header::SET_COOKIE, cookie(&headers, "", 0))];
    Ok((StatusCode::NO_CONTENT, gone, Extension(Changed::default())))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cookie_is_for_this_host_by_tls_where_the_page_came_so() {
        let mut headers = HeaderMap::new();
        assert_eq!(cookie(&headers, "x", 9), "ci=x; Path=/; HttpOnly; SameSite=Strict; Max-Age=9");
        headers.insert(header::ORIGIN, "https://api.example.org".parse().unwrap());
        let secure = cookie(&headers, "x", 9);
        assert!(secure.starts_with("__Host-ci=x; Path=/;") && secure.ends_with("; Secure"));
        let mut headers = HeaderMap::new();
        headers.insert("x-forwarded-proto", "https".parse().unwrap());
        assert!(cookie(&headers, "x", 9).ends_with("; Secure"));
    }
}
