//! The caller of a request, and what it may do.

pub(crate) mod jwt;
pub(crate) mod key;
pub(crate) mod keys;
pub(crate) mod ring;
pub(crate) mod scopes;
pub(crate) mod sessions;

use std::{convert::Infallible, net::IpAddr, time::Duration};

use axum::{
    extract::{FromRequestParts, Request, State},
    http::{HeaderMap, StatusCode, header, request::Parts},
    middleware::Next,
    response::{IntoResponse as _, Response},
};
use crypto_intel_schemas::{ApiKeyEntry, ApiRole};
use crypto_intel_service::now_us;

use crate::{
    layers::{client::ClientAddress, origin::is_own_page},
    problem::{Problem, ProblemKind},
    state::ApiState,
};
use jwt::{Issuer, Person, Refused};
use key::ApiKey;
use scopes::Scope;
use sessions::Holder;

/// The cookie of a session: over TLS, and without it.
pub(crate) const COOKIES: [&str; 2] = ["__Host-ci", "ci"];

/// By what a client is known.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Credential {
    /// Nothing: a client of a closed network.
    None,
    /// Its API key.
    Key,
    /// A session of the dashboard, by its key in the bucket.
    Session(String),
    /// A token of an identity provider, until it ends, microseconds UTC.
    Token(i64),
}

/// Who a request is from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Caller {
    /// Id of the key, under which everything of it is counted; `None` for a client without one.
    pub(crate) key: Option<String>,
    /// Whose key it is.
    pub(crate) name: String,
    /// What the client may do.
    pub(crate) role: ApiRole,
    /// Chains that it may see; `None` for all.
    pub(crate) chains: Option<Vec<String>>,
    /// By what it is known.
    pub(crate) credential: Credential,
    /// Where it is.
    pub(crate) address: IpAddr,
}

impl Caller {
    /// The holder of a key.
    pub(crate) fn of_key(
        id: &str,
        entry: ApiKeyEntry,
        credential: Credential,
        address: IpAddr,
    ) -> Self {
        let ApiKeyEntry { name, role, chains, .. } = entry;
        Self { key: Some(id.to_owned()), name, role, chains, credential, address }
    }

    /// Someone who is not known yet, and sees nothing.
    pub(crate) fn stranger(address: IpAddr) -> Self {
        let (role, credential) = (ApiRole::Viewer, Credential::None);
        let (name, chains) = ("stranger".to_owned(), Some(Vec::new()));
        Self { key: None, name, role, chains, credential, address }
    }

    /// Whether it is still known, for connections that last.
    pub(crate) fn counts(&self, state: &ApiState) -> bool {
        let has_key =
            |id: &Option<String>| id.as_ref().is_some_and(|id| state.keys.valid(id).is_some());
        match &self.credential {
            Credential::None => true,
            Credential::Key => has_key(&self.key),
            Credential::Token(until_us) => now_us() < *until_us,
            Credential::Session(place) => match state.sessions.at(place).map(|one| one.holder) {
                Some(Holder::Key(id)) => has_key(&Some(id)),
                Some(Holder::Person { until_us, .. }) => now_us() < until_us,
                None => false,
            },
        }
    }

    /// By which what it made is found again: its key, else its address.
    pub(crate) fn id(&self) -> String {
        self.key.clone().unwrap_or_else(|| format!("at-{}", self.address))
    }

    /// Whether it has a right.
    pub(crate) fn may(&self, scope: Scope) -> bool {
        scope.is_of(self.role)
    }

    /// Whether it may see a chain.
    pub(crate) fn sees(&self, chain: &str) -> bool {
        self.chains.as_ref().is_none_or(|chains| chains.iter().any(|one| one == chain))
    }

    /// Of the chains that are asked for (none: all) those that it may see; `None` for all there are.
    pub(crate) fn chains_of(&self, asked: &[String]) -> Option<Vec<String>> {
        match (&self.chains, asked) {
            (None, []) => None,
            (Some(own), []) => Some(own.clone()),
            (_, asked) => Some(asked.iter().filter(|chain| self.sees(chain)).cloned().collect()),
        }
    }
}

/// Whom [`identify`] found; the guard of a route decides whether that is enough.
#[derive(Debug, Clone)]
pub(crate) enum Identity {
    Known(Caller),
    /// No key, and strangers have no role.
    Stranger,
    /// A key or a token that does not count, and why.
    Invalid(String),
}

/// Finds the caller. Nothing is refused here but a client that tries keys, and a change by a cookie that the own page did not ask for.
pub(crate) async fn identify(
    State(state): State<ApiState>,
    mut request: Request,
    next: Next,
) -> Response {
    let address =
        request.extensions().get::<ClientAddress>().map_or(ClientAddress::UNKNOWN, |one| *one).0;
    let headers = request.headers();
    let identity = if let Some(token) = bearer(headers) {
        match by_token(&state, token, address).await {
            Ok(caller) => Identity::Known(caller),
            Err(problem) if problem.status() == StatusCode::UNAUTHORIZED => {
                Identity::Invalid(problem.detail)
            }
            Err(problem) => return problem.into_response(),
        }
    } else if let Some(caller) = by_cookie(&state, headers, address) {
        if !request.method().is_safe() && !is_own_page(headers) {
            let detail = "a session changes things for the dashboard's own page only: send a key in the header Authorization";
            return Problem::new(ProblemKind::Forbidden, detail).into_response();
        }
        Identity::Known(caller)
    } else {
        state.config.anonymous_role.map_or(Identity::Stranger, |role| {
            let (name, credential) = ("anonymous".to_owned(), Credential::None);
            Identity::Known(Caller { key: None, name, role, chains: None, credential, address })
        })
    };
    if let Identity::Known(caller) = &identity {
        request.extensions_mut().insert(caller.clone());
    }
    request.extensions_mut().insert(identity);
    request.extensions_mut().insert(state);
    next.run(request).await
}

/// Whose a bearer token is.
///
/// # Errors
/// When it does not count, or too many came from the address that did not.
pub(crate) async fn by_token(
    state: &ApiState,
    token: &str,
    address: IpAddr,
) -> Result<Caller, Problem> {
    state.limits.may_try(address).map_err(|wait| {
        let detail = "too many keys that do not count came from this address";
        Problem::new(ProblemKind::QuotaExceeded, detail).after(wait)
    })?;
    let token = token.trim();
    if let Some(issuer) = state.issuer.as_ref().filter(|_| Issuer::is_token(token)) {
        return by_jwt(state, issuer, token, address).await;
    }
    let key = ApiKey::parse(token);
    let found = key.and_then(|key| Some((state.keys.find(&key)?, key)));
    let Some((entry, key)) = found else {
        state.limits.failed(address);
        return Err(invalid());
    };
    Ok(Caller::of_key(key.id(), entry, Credential::Key, address))
}

/// Whose a token of the identity provider is.
async fn by_jwt(
    state: &ApiState,
    issuer: &Issuer,
    token: &str,
    address: IpAddr,
) -> Result<Caller, Problem> {
    let refused = match issuer.verify(token).await {
        Ok(Person { id, name, role, until_us }) => {
            let credential = Credential::Token(until_us);
            return Ok(Caller { key: Some(id), name, role, chains: None, credential, address });
        }
        Err(refused) => refused,
    };
    Err(match refused {
        Refused::Invalid => {
            state.limits.failed(address);
            let detail = "the token is none of the identity provider's for this API";
            Problem::new(ProblemKind::Unauthenticated, detail)
        }
        // No guess: what is by an unknown key says nothing about those that are known.
        Refused::UnknownKey => {
            let detail = "the token is by a key that the identity provider does not name, or did not a minute ago";
            Problem::new(ProblemKind::Unauthenticated, detail)
        }
        Refused::Ended => {
            Problem::new(ProblemKind::Unauthenticated, "the token has ended: ask for another")
        }
        Refused::NoRole => {
            let detail = "the token gives no role of this API (api.jwt.role_claim, api.jwt.roles)";
            Problem::new(ProblemKind::Forbidden, detail)
        }
        Refused::Away => {
            let detail = "the keys of the identity provider cannot be read now";
            Problem::new(ProblemKind::Unavailable, detail).after(Duration::from_secs(30))
        }
    })
}

/// That a credential does not count.
pub(crate) fn invalid() -> Problem {
    let detail = "the key is unknown, has expired or was revoked";
    Problem::new(ProblemKind::Unauthenticated, detail)
}

/// Whose session a browser's cookie names, if it lasts.
fn by_cookie(state: &ApiState, headers: &HeaderMap, address: IpAddr) -> Option<Caller> {
    let (place, session) = cookies(headers).find_map(|id| state.sessions.find(id))?;
    let caller = match session.holder {
        Holder::Key(id) => {
            let entry = state.keys.valid(&id)?;
            Caller::of_key(&id, entry, Credential::Session(place.clone()), address)
        }
        Holder::Person { id, name, role, .. } => Caller {
            key: Some(id),
            name,
            role,
            chains: None,
            credential: Credential::Session(place.clone()),
            address,
        },
    };
    state.sessions.touch(&state.nats, &place);
    Some(caller)
}

/// Whose session one that a client begins is.
///
/// # Errors
/// For a client that no one knows.
pub(crate) fn holder_of(state: &ApiState, caller: &Caller) -> Result<Holder, Problem> {
    let by_session = match &caller.credential {
        Credential::Session(place) => state.sessions.at(place).map(|session| session.holder),
        Credential::Key => caller.key.clone().map(Holder::Key),
        Credential::Token(until_us) => caller.key.clone().map(|id| {
            let (name, role, until_us) = (caller.name.clone(), caller.role, *until_us);
            Holder::Person { id, name, role, until_us }
        }),
        Credential::None => None,
    };
    by_session.ok_or_else(|| {
        let detail = "a client without a key needs no session";
        Problem::new(ProblemKind::Unauthenticated, detail)
    })
}

/// Ids of sessions among the cookies of a request.
fn cookies(headers: &HeaderMap) -> impl Iterator<Item = &str> {
    let values = headers.get_all(header::COOKIE).iter().filter_map(|value| value.to_str().ok());
    let pairs = values.flat_map(|value| value.split(';')).filter_map(|pair| pair.split_once('='));
    pairs.filter(|(name, _)| COOKIES.contains(&name.trim())).map(|(_, id)| id.trim())
}

/// What an `Authorization: Bearer` header has; empty for another scheme, which is no valid key.
fn bearer(headers: &HeaderMap) -> Option<&str> {
    let value = headers.get(header::AUTHORIZATION)?.to_str().unwrap_or_default();
    let (scheme, token) = value.split_once(' ').unwrap_or((value, ""));
    Some(if scheme.eq_ignore_ascii_case("bearer") { token.trim() } else { "" })
}

impl<S: Sync> FromRequestParts<S> for Caller {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Problem> {
        let caller = parts.extensions.get::<Self>().cloned();
        caller.ok_or_else(|| Problem::new(ProblemKind::Unauthenticated, "no key was given"))
    }
}

/// What the response tells the access log of who asked.
#[derive(Debug, Clone)]
pub(crate) struct LoggedCaller(pub(crate) String);

impl LoggedCaller {
    /// By the key, else by the name.
    pub(crate) fn of(caller: &Caller) -> Self {
        Self(caller.key.clone().unwrap_or_else(|| caller.name.clone()))
    }
}

impl<S: Sync> FromRequestParts<S> for Identity {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Infallible> {
        Ok(parts.extensions.get::<Self>().cloned().unwrap_or(Self::Stranger))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn caller(chains: Option<&[&str]>) -> Caller {
        Caller {
            key: None,
            name: "test".into(),
            role: ApiRole::Viewer,
            chains: chains.map(|chains| chains.iter().map(ToString::to_string).collect()),
            credential: Credential::None,
            address: [127, 0, 0, 1].into(),
        }
    }

    #[test]
    fn a_key_of_some_chains_never_sees_another() {
        let base = ["base".to_owned()];
        let two = ["base".to_owned(), "ethereum".to_owned()];
        assert_eq!(caller(None).chains_of(&[]), None);
        assert_eq!(caller(None).chains_of(&base), Some(base.to_vec()));
        assert_eq!(caller(Some(&["base"])).chains_of(&[]), Some(base.to_vec()));
        assert_eq!(caller(Some(&["base"])).chains_of(&two), Some(base.to_vec()));
        assert_eq!(caller(Some(&["solana"])).chains_of(&two), Some(Vec::new()));
        assert!(!caller(Some(&["base"])).sees("ethereum"));
    }

    #[test]
    fn the_cookie_of_a_session_is_found_among_others() {
        let mut headers = HeaderMap::new();
        headers.append(header::COOKIE, "a=b; __Host-ci=one; cix=no".parse().unwrap());
        headers.append(header::COOKIE, "ci=two;ci".parse().unwrap());
        assert_eq!(cookies(&headers).collect::<Vec<_>>(), ["one", "two"]);
        assert_eq!(cookies(&HeaderMap::new()).count(), 0);
    }

    #[test]
    fn only_bearer_tokens_are_keys() {
        let header = |value: &str| {
            let mut headers = HeaderMap::new();
            headers.insert(header::AUTHORIZATION, value.parse().unwrap());
            headers
        };
        assert_eq!(bearer(&header("Bearer abc")), Some("abc"));
        assert_eq!(bearer(&header("bearer  abc ")), Some("abc"));
        assert_eq!(bearer(&header("Basic abc")), Some(""));
        assert_eq!(bearer(&header("Bearer")), Some(""));
        assert_eq!(bearer(&HeaderMap::new()), None);
    }
}
