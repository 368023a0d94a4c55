//! Refused requests in the audit: who tried what. One a minute for each address and status, so that trying again and again fills no stream.

use std::{
    collections::HashMap,
    net::IpAddr,
    time::{Duration, Instant},
};

use axum::http::StatusCode;
use crypto_intel_nats::write_audit;
use crypto_intel_schemas::Audit;
use crypto_intel_service::now_us;
use parking_lot::Mutex;

use crate::{limits::network, state::ApiState};

/// Others of the same address and status are in the log alone meanwhile.
const SAMPLE_INTERVAL: Duration = Duration::from_secs(60);
/// Addresses that are remembered; refusals of more are in the log alone.
const MAX_ADDRESSES: usize = 10_000;

/// When a refusal of each address and status was told last.
#[derive(Debug, Default)]
pub(crate) struct Refusals {
    told: Mutex<HashMap<(IpAddr, StatusCode), Instant>>,
}

impl Refusals {
    /// Whether one is told at this time, which is then the last.
    fn is_due(&self, address: IpAddr, status: StatusCode, now: Instant) -> bool {
        let key = (network(address), status);
        let mut told = self.told.lock();
        let is_fresh = |at: &Instant| now.duration_since(*at) < SAMPLE_INTERVAL;
        if told.get(&key).is_some_and(is_fresh) {
            return false;
        }
        if told.len() >= MAX_ADDRESSES {
            told.retain(|_, at| is_fresh(at));
        }
        let has_room = told.len() < MAX_ADDRESSES;
        if has_room {
            told.insert(key, now);
        }
        has_room
    }
}

/// A request that was refused.
#[derive(Debug)]
pub(crate) struct Refused<'r> {
    pub(crate) status: StatusCode,
    pub(crate) client: IpAddr,
    /// Who asked, where that is known.
    pub(crate) caller: Option<String>,
    /// Method and route; never the path itself.
    pub(crate) target: String,
    pub(crate) request: &'r str,
}

/// Tells of a refusal beside the answer, which does not wait for it.
pub(crate) fn tell(state: &ApiState, refused: Refused<'_>) {
    let Refused { status, client, caller, target, request } = refused;
    if !matches!(status, StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN)
        || !state.refusals.is_due(client, status, Instant::now())
    {
        return;
    }
    let now = now_us();
    let audit = Audit {
        id: format!("audit:{request}"),
        actor: caller.unwrap_or_else(|| "unknown".to_owned()),
        action: "access.refuse".to_owned(),
        target: Some(target),
        via: "api".to_owned(),
        origin: client.to_string(),
        request: Some(request.to_owned()),
        after: Some(format!("{{\"status\":{}}}", status.as_u16())),
        ..Audit::at("api", now, now)
    };
    let state = state.clone();
    let tracker = state.changes.clone();
    tracker.spawn(async move {
        if let Err(error) = write_audit(&state.nats, &audit).await {
            tracing::warn!(%error, request = audit.request, "a refusal is not in the audit");
        }
    });
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_a_minute_is_told_for_each_address_and_status() {
        let refusals = Refusals::default();
        let (one, other): (IpAddr, IpAddr) = ([10, 0, 0, 1].into(), [10, 0, 0, 2].into());
        let now = Instant::now();
        let is_due = |address, status, after| {
            refusals.is_due(address, status, now + Duration::from_secs(after))
        };
        assert!(is_due(one, StatusCode::FORBIDDEN, 0));
        assert!(!is_due(one, StatusCode::FORBIDDEN, 59));
        assert!(is_due(one, StatusCode::UNAUTHORIZED, 1));
        assert!(is_due(other, StatusCode::FORBIDDEN, 1));
        assert!(is_due(one, StatusCode::FORBIDDEN, 60));
    }
}
