//! The caller of a request, and what it may do.

pub(crate) mod key;
pub(crate) mod keys;
pub(crate) mod scopes;

use std::{convert::Infallible, net::IpAddr};

use axum::{
    extract::{FromRequestParts, Request, State},
    http::{HeaderMap, header, request::Parts},
    middleware::Next,
    response::{IntoResponse as _, Response},
};
use crypto_intel_schemas::ApiRole;

use crate::{
    layers::client::ClientAddress,
    problem::{Problem, ProblemKind},
    state::ApiState,
};
use key::ApiKey;
use scopes::Scope;

/// Who a request is from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Caller {
    /// Id of the key; `None` for a client without one.
    pub(crate) key: Option<String>,
    /// Whose key it is.
    pub(crate) name: String,
    /// What the client may do.
    pub(crate) role: ApiRole,
    /// Chains that it may see; `None` for all.
    pub(crate) chains: Option<Vec<String>>,
    /// Where it is.
    pub(crate) address: IpAddr,
}

impl Caller {
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
    /// A key that does not count.
    Invalid,
}

/// Finds the caller. Nothing is refused here but a client that tries keys.
pub(crate) async fn identify(
    State(state): State<ApiState>,
    mut request: Request,
    next: Next,
) -> Response {
    let address =
        request.extensions().get::<ClientAddress>().map_or(ClientAddress::UNKNOWN, |one| *one).0;
    let identity = match bearer(request.headers()) {
        None => state.config.anonymous_role.map_or(Identity::Stranger, |role| {
            let name = "anonymous".to_owned();
            Identity::Known(Caller { key: None, name, role, chains: None, address })
        }),
        Some(text) => {
            if let Err(wait) = state.limits.may_try(address) {
                let detail = "too many keys that do not count came from this address";
                return Problem::new(ProblemKind::QuotaExceeded, detail)
                    .after(wait)
                    .into_response();
            }
            let key = ApiKey::parse(text);
            match key.and_then(|key| state.keys.find(&key).map(|entry| (key, entry))) {
                Some((key, entry)) => Identity::Known(Caller {
                    key: Some(key.id().to_owned()),
                    name: entry.name,
                    role: entry.role,
                    chains: entry.chains,
                    address,
                }),
                None => {
                    state.limits.failed(address);
                    Identity::Invalid
                }
            }
        }
    };
    if let Identity::Known(caller) = &identity {
        request.extensions_mut().insert(caller.clone());
    }
    request.extensions_mut().insert(identity);
    request.extensions_mut().insert(state);
    next.run(request).await
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
