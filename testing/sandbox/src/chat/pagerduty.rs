//! PagerDuty's Events API v2.

use axum::http::StatusCode;
use axum::response::{IntoResponse as _, Response};
use serde_json::{Value, json};

use super::Outcome;
use super::delivery::Service;
use super::state::{Accepted, ChatService, ChatState};

const SERVICE: ChatService = ChatService::Pagerduty;
const MAX_BYTES: usize = 512 << 10;
const MAX_KEY: usize = 255;
const MAX_SUMMARY: usize = 1_024;

/// Answers `POST /v2/enqueue`. The message's text is the action and the summary, its id the `dedup_key`.
pub(super) fn enqueue(state: &mut ChatState, body: &[u8]) -> Outcome {
    let body = match check(body) {
        Ok(body) => body,
        Err(detail) => {
            state.violation(SERVICE, "form", &*detail);
            return Outcome::Answer(invalid(&detail));
        }
    };
    let key = body["routing_key"].as_str().unwrap_or_default().to_owned();
    if let Some((_, text)) = state.dead(SERVICE, &key) {
        return Outcome::Answer(invalid(&text));
    }
    let too_many = |_: f64| {
        let body = json!({ "status": "throttle exceeded", "message": "Requests for this service have exceeded the allowed limit" });
        (StatusCode::TOO_MANY_REQUESTS, axum::Json(body)).into_response()
    };
    let windows = state.limits.pagerduty_key();
    let service =
        Service { service: SERVICE, key: format!("pagerduty {key}"), windows, too_many: &too_many };
    service.conclude(state, |state| {
        let (action, dedup) = (body["event_action"].as_str(), body["dedup_key"].as_str());
        let (action, dedup) = (action.unwrap_or_default(), dedup.unwrap_or_default());
        let summary = body["payload"]["summary"].as_str().unwrap_or_default();
        state.accept_as(
            dedup,
            Accepted {
                service: SERVICE,
                destination: key,
                text: format!("{action} {summary}").trim().to_owned(),
                source: body.to_string(),
                reply_to: None,
            },
        );
        let answer =
            json!({ "status": "success", "message": "Event processed", "dedup_key": dedup });
        (StatusCode::ACCEPTED, axum::Json(answer)).into_response()
    })
}

fn check(body: &[u8]) -> Result<Value, String> {
    if body.len() > MAX_BYTES {
        return Err(format!("{} bytes", body.len()));
    }
    let body: Value = serde_json::from_slice(body).map_err(|_| "the body is not JSON")?;
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    if text(&body["routing_key"]).len() != 32 {
        return Err("Length of 'routing_key' is incorrect (should be 32 characters)".to_owned());
    }
    let key = text(&body["dedup_key"]);
    if key.is_empty() || key.len() > MAX_KEY {
        return Err(format!("'dedup_key' has {} characters", key.len()));
    }
    match body["event_action"].as_str() {
        Some("acknowledge" | "resolve") => return Ok(body),
        Some("trigger") => {}
        other => return Err(format!("'event_action' is {other:?}")),
    }
    let payload = &body["payload"];
    let summary = text(&payload["summary"]);
    if summary.is_empty() || summary.encode_utf16().count() > MAX_SUMMARY {
        return Err(format!("'payload.summary' has {} bytes", summary.len()));
    }
    if text(&payload["source"]).is_empty() {
        return Err("'payload.source' is missing or blank".to_owned());
    }
    if !["critical", "error", "warning", "info"].contains(&text(&payload["severity"]).as_str()) {
        return Err(format!("'payload.severity' is {}", payload["severity"]));
    }
    Ok(body)
}

fn invalid(detail: &str) -> Response {
    let body = json!({ "status": "invalid event", "message": "Event object is invalid", "errors": [detail] });
    (StatusCode::BAD_REQUEST, axum::Json(body)).into_response()
}
