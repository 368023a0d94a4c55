use std::net::IpAddr;

use axum::{
    extract::{Request, State},
    http::header,
    middleware::Next,
    response::{IntoResponse as _, Response},
};

use crate::{
    problem::{Problem, ProblemKind},
    state::ApiState,
};

/// Refuses requests for a host that is not ours. A web page may give its own name the address of this port (DNS rebinding) and
/// then read what only this machine should; the name in `Host` is still its own.
pub(crate) async fn allow(State(state): State<ApiState>, request: Request, next: Next) -> Response {
    let header = request.headers().get(header::HOST).and_then(|host| host.to_str().ok());
    // HTTP/1.0 has none, and no browser speaks it.
    let Some(host) = header.or_else(|| request.uri().authority().map(|one| one.as_str())) else {
        return next.run(request).await;
    };
    if is_allowed(host, &state.config.hosts) {
        return next.run(request).await;
    }
    let detail = format!("{:?} is not a host of this API: add it to api.hosts", shown(host));
    Problem::new(ProblemKind::UnknownHost, detail).into_response()
}

fn shown(host: &str) -> String {
    host.chars().filter(|character| !character.is_control()).take(100).collect()
}

fn is_allowed(host: &str, allowed: &[String]) -> bool {
    let name = without_port(host);
    let is_loopback = name.parse::<IpAddr>().is_ok_and(|address| address.is_loopback());
    is_loopback
        || name.eq_ignore_ascii_case("localhost")
        || allowed.iter().any(|one| one.eq_ignore_ascii_case(name))
}

/// `[::1]:80` → `::1`, `localhost:80` → `localhost`.
fn without_port(host: &str) -> &str {
    if let Some(rest) = host.strip_prefix('[') {
        return rest.split(']').next().unwrap_or(rest);
    }
    match host.rsplit_once(':') {
        Some((name, port)) if port.bytes().all(|byte| byte.is_ascii_digit()) => name,
        _ => host,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn loopback_and_named_hosts_are_allowed_and_no_others() {
        let allowed = ["api.example.org".to_owned(), "10.1.2.3".to_owned()];
        for host in [
            "localhost",
            "LOCALHOST:8420",
            "127.0.0.1:1",
            "[::1]:80",
            "API.example.org",
            "10.1.2.3:80",
        ] {
            assert!(is_allowed(host, &allowed), "{host}");
        }
        for host in ["", "evil.org", "localhost.evil.org", "127.0.0.1.evil.org", "10.1.2.4", "a@b"]
        {
            assert!(!is_allowed(host, &allowed), "{host}");
        }
    }
}
