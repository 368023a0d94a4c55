//! A receiver of signed requests, by the rules of Standard Webhooks.

use std::time::SystemTime;

use axum::http::{HeaderMap, StatusCode};
use axum::response::IntoResponse as _;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use hmac::{Hmac, Mac as _};
use serde_json::Value;
use sha2::Sha256;

use super::Outcome;
use super::delivery::Service;
use super::state::{Accepted, ChatService, ChatState};

const SERVICE: ChatService = ChatService::Webhook;
const TOLERANCE_SECONDS: u64 = 300;
const MAX_BYTES: usize = 20_000;
/// What the receiver checks signatures by.
pub const WEBHOOK_SECRET: &str = "whsec_C2FVsBQIhrscChlQIMV+b5sSYspob7oD";

/// Answers `POST /hooks/<name>`. A delivery that it knows is accepted and not kept again.
pub(super) fn receive(
    state: &mut ChatState,
    name: &str,
    headers: &HeaderMap,
    body: &[u8],
) -> Outcome {
    if let Some((status, text)) = state.dead(SERVICE, name) {
        let status = StatusCode::from_u16(status).unwrap_or(StatusCode::GONE);
        return Outcome::Answer((status, text).into_response());
    }
    let id = match check(headers, body) {
        Ok(id) => id,
        Err(detail) => {
            state.violation(SERVICE, "form", detail);
            return Outcome::Answer(StatusCode::BAD_REQUEST.into_response());
        }
    };
    let source = String::from_utf8_lossy(body).into_owned();
    let first = state.bodies.entry(id.clone()).or_insert_with(|| source.clone());
    if *first != source {
        let detail = format!("{id} came with another body than before");
        state.violation(SERVICE, "body", detail);
    }
    let too_many = |_: f64| StatusCode::TOO_MANY_REQUESTS.into_response();
    let windows = state.limits.webhook();
    let key = format!("webhook {name}");
    let service = Service { service: SERVICE, key, windows, too_many: &too_many };
    service.conclude(state, |state| {
        if state.message(SERVICE, name, &id).is_none() {
            let event: Value = serde_json::from_slice(body).unwrap_or_default();
            let alert = &event["alert"];
            let text = format!("{} {} {}", alert["state"], alert["title"], alert["code"]);
            state.accept_as(
                &id,
                Accepted {
                    service: SERVICE,
                    destination: name.to_owned(),
                    text: text.replace('"', ""),
                    source,
                    reply_to: None,
                },
            );
        }
        StatusCode::NO_CONTENT.into_response()
    })
}

/// The delivery's id, or what is wrong.
fn check(headers: &HeaderMap, body: &[u8]) -> Result<String, String> {
    let header = |name: &str| {
        let value = headers.get(name).and_then(|value| value.to_str().ok());
        value.map(str::to_owned).ok_or_else(|| format!("{name} is missing"))
    };
    let (id, timestamp) = (header("webhook-id")?, header("webhook-timestamp")?);
    let seconds: u64 = timestamp.parse().map_err(|_| format!("timestamp {timestamp}"))?;
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    if now.as_secs().abs_diff(seconds) > TOLERANCE_SECONDS {
        return Err(format!("timestamp {timestamp} is not the attempt's"));
    }
    if body.len() >= MAX_BYTES {
        return Err(format!("{} bytes", body.len()));
    }
    let signatures = header("webhook-signature")?;
    let key = STANDARD.decode(WEBHOOK_SECRET.trim_start_matches("whsec_"));
    let key = key.map_err(|error| error.to_string())?;
    let is_signed = signatures.split(' ').filter_map(|one| one.strip_prefix("v1,")).any(|one| {
        let Ok(mut hmac) = Hmac::<Sha256>::new_from_slice(&key) else { return false };
        hmac.update(format!("{id}.{timestamp}.").as_bytes());
        hmac.update(body);
        STANDARD.decode(one).is_ok_and(|given| hmac.verify_slice(&given).is_ok())
    });
    if is_signed { Ok(id) } else { Err(format!("signature {signatures}")) }
}
