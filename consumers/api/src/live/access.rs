//! Who may connect: where a page is from, which key came how, and how many connections there are.

use std::{net::IpAddr, sync::Arc, time::Duration};

use axum::http::{HeaderMap, header};
use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};

use super::config::LiveConfig;
use crate::{
    auth::{Caller, Credential, Identity, by_token, invalid},
    layers::origin::{foreign, is_own_page},
    places::{Full, Owner, Place, Places},
    problem::{Problem, ProblemKind},
    state::ApiState,
};

/// The subprotocol that carries a key.
const BEARER_PROTOCOL: &str = "bearer.";
/// Query parameters that people put keys into.
const OF_KEYS: [&str; 6] = ["token", "key", "api_key", "apikey", "access_token", "authorization"];

/// Whether a page of this origin may connect: none (no browser), the host that it calls, or one that the configuration names.
///
/// # Errors
/// A problem that names the origin.
pub(crate) fn check_origin(headers: &HeaderMap, allowed: &[String]) -> Result<(), Problem> {
    let Some(origin) = foreign(headers, allowed) else { return Ok(()) };
    let detail = format!("pages of {origin:?} may not connect: add it to api.live.allowed_origins");
    Err(Problem::new(ProblemKind::Forbidden, detail))
}

/// A key in an address ends in logs and histories.
///
/// # Errors
/// A problem that names the parameter.
pub(crate) fn refuse_key_in(query: Option<&str>) -> Result<(), Problem> {
    let names = query.unwrap_or_default().split('&').filter_map(|pair| pair.split('=').next());
    for name in names {
        if OF_KEYS.contains(&name.to_ascii_lowercase().as_str()) {
            let detail = "a key in the address ends in logs: send it in the header Authorization, as the \
                subprotocol bearer.<base64url>, or as first message {\"action\":\"auth\",\"token\":\"…\"}";
            return Err(Problem::parameter(name, detail));
        }
    }
    Ok(())
}

/// Who connects, by header, cookie or subprotocol; `None` for who has to say so.
///
/// # Errors
/// When a key came that does not count, or a cookie without the own page.
pub(crate) async fn admitted(
    state: &ApiState,
    identity: Identity,
    headers: &HeaderMap,
    address: IpAddr,
) -> Result<Option<Caller>, Problem> {
    if let Some(token) = bearer_protocol(headers) {
        return by_token(state, &token?, address).await.map(Some);
    }
    match identity {
        Identity::Known(caller) => {
            let by_cookie = matches!(caller.credential, Credential::Session(_));
            if by_cookie && !is_own_page(headers) {
                let detail = "a session connects the dashboard's own page only: send a key in the header Authorization";
                return Err(Problem::new(ProblemKind::Forbidden, detail));
            }
            Ok(Some(caller))
        }
        Identity::Stranger => Ok(None),
        Identity::Invalid(why) => Err(Problem::new(ProblemKind::Unauthenticated, why)),
    }
}

/// The key of a subprotocol: base64url, because a key itself may hold what the header's grammar has not.
fn bearer_protocol(headers: &HeaderMap) -> Option<Result<String, Problem>> {
    let values = headers.get_all(header::SEC_WEBSOCKET_PROTOCOL).iter();
    let mut protocols =
        values.filter_map(|value| value.to_str().ok()).flat_map(|value| value.split(','));
    let encoded = protocols.find_map(|protocol| protocol.trim().strip_prefix(BEARER_PROTOCOL))?;
    let bytes = URL_SAFE_NO_PAD.decode(encoded.trim_end_matches('=')).ok();
    Some(bytes.and_then(|bytes| String::from_utf8(bytes).ok()).ok_or_else(invalid))
}

/// Counts one more connection.
///
/// # Errors
/// When there are too many.
pub(crate) fn connect(
    connections: &Arc<Places>,
    caller: Option<&Caller>,
    address: IpAddr,
    config: &LiveConfig,
) -> Result<Place, Problem> {
    let owner = Owner::of(caller, address);
    let most = owner.most(config.max_connections_per_key, config.max_connections_per_address);
    let whose = owner.as_str();
    connections.take(owner, most, config.max_connections).map_err(|full| {
        let problem = match full {
            Full::All => {
                let detail = "the server has as many live connections as it may";
                Problem::new(ProblemKind::Busy, detail)
            }
            Full::Owner => {
                let detail = format!("{most} live connections are the most of {whose}");
                Problem::new(ProblemKind::QuotaExceeded, detail)
            }
        };
        problem.after(Duration::from_secs(30))
    })
}

#[cfg(test)]
mod tests {
    use axum::http::HeaderValue;

    use super::*;

    fn headers(pairs: &[(header::HeaderName, &str)]) -> HeaderMap {
        pairs
            .iter()
            .map(|(name, value)| (name.clone(), HeaderValue::from_str(value).unwrap()))
            .collect()
    }

    #[test]
    fn only_own_and_allowed_pages_connect() {
        let allowed = ["https://desk.example".to_owned()];
        let check = |origin: &str| {
            let headers = headers(&[(header::HOST, "api.example:8420"), (header::ORIGIN, origin)]);
            check_origin(&headers, &allowed).is_ok()
        };
        assert!(check("http://api.example:8420") && check("https://API.example:8420"));
        assert!(check("https://desk.example"));
        for origin in
            ["http://api.example", "https://evil.example", "https://desk.example.evil", "null", ""]
        {
            assert!(!check(origin), "{origin}");
        }
        assert!(check_origin(&HeaderMap::new(), &[]).is_ok());
    }

    #[test]
    fn keys_in_addresses_are_refused() {
        for query in ["token=ci_x", "service=all&api_key=ci_x", "Access_Token="] {
            let problem = refuse_key_in(Some(query)).unwrap_err();
            assert!(problem.detail.contains("Authorization"), "{}", problem.detail);
        }
        assert!(refuse_key_in(None).is_ok() && refuse_key_in(Some("service=all")).is_ok());
    }

    #[test]
    fn a_key_is_found_among_subprotocols() {
        let encoded = URL_SAFE_NO_PAD.encode("ci_key");
        let value = format!("crypto-intel.v1.json, bearer.{encoded}");
        let with = headers(&[(header::SEC_WEBSOCKET_PROTOCOL, &value)]);
        assert_eq!(bearer_protocol(&with).unwrap().unwrap(), "ci_key");
        assert!(
            bearer_protocol(&headers(&[(header::SEC_WEBSOCKET_PROTOCOL, "bearer.%%")]))
                .unwrap()
                .is_err()
        );
        assert!(bearer_protocol(&HeaderMap::new()).is_none());
    }

    #[test]
    fn too_many_connections_are_told_apart() {
        let connections = Arc::default();
        let config = LiveConfig {
            max_connections: 3,
            max_connections_per_address: 2,
            ..LiveConfig::default()
        };
        let add = |address: &str| connect(&connections, None, address.parse().unwrap(), &config);
        let _held = (add("1.1.1.1").unwrap(), add("1.1.1.1").unwrap());
        assert_eq!(add("1.1.1.1").unwrap_err().status, 429);
        let _third = add("1.1.1.2").unwrap();
        assert_eq!(add("1.1.1.3").unwrap_err().status, 503);
    }
}
