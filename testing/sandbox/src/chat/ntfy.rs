//! ntfy: messages published as JSON.

use axum::http::StatusCode;
use axum::response::{IntoResponse as _, Response};
use serde_json::{Value, json};

use super::Outcome;
use super::delivery::Service;
use super::state::{Accepted, ChatService, ChatState};

const SERVICE: ChatService = ChatService::Ntfy;
const MAX_MESSAGE_BYTES: usize = 4_096;
const MAX_TITLE_BYTES: usize = 1_024;
const MAX_TOPIC: usize = 64;

/// Answers `GET /v1/health`.
pub(super) fn health() -> Outcome {
    Outcome::Answer(axum::Json(json!({ "healthy": true })).into_response())
}

/// Answers `POST /`.
pub(super) fn publish(state: &mut ChatState, body: &[u8]) -> Outcome {
    let checked = check(body);
    let body = match checked {
        Ok(body) => body,
        Err(detail) => {
            state.violation(SERVICE, "form", detail);
            return Outcome::Answer(error(400, 40_024, "invalid request"));
        }
    };
    let topic = body["topic"].as_str().unwrap_or_default().to_owned();
    if let Some((status, text)) = state.dead(SERVICE, &topic) {
        return Outcome::Answer(error(status, u32::from(status) * 100 + 1, &text));
    }
    let too_many = |_: f64| error(429, 42_901, "limit reached: too many requests");
    // A visitor is an address, whatever the topic.
    let windows = state.limits.ntfy_visitor();
    let service =
        Service { service: SERVICE, key: "ntfy".to_owned(), windows, too_many: &too_many };
    service.conclude(state, |state| {
        let text = |field: &str| body[field].as_str().unwrap_or_default().to_owned();
        let message = state.accept(Accepted {
            service: SERVICE,
            destination: topic,
            text: format!("{}\n{}", text("title"), text("message")),
            source: body.to_string(),
            reply_to: None,
        });
        let answer = json!({ "id": message.message_id, "event": "message" });
        axum::Json(answer).into_response()
    })
}

fn check(body: &[u8]) -> Result<Value, String> {
    let body: Value = serde_json::from_slice(body).map_err(|_| "the body is not JSON")?;
    let topic = body["topic"].as_str().unwrap_or_default();
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-');
    if topic.is_empty() || topic.len() > MAX_TOPIC || !topic.bytes().all(plain) {
        return Err(format!("topic {topic:?}"));
    }
    let length = |field: &str| body[field].as_str().unwrap_or_default().len();
    if length("message") == 0 || length("message") > MAX_MESSAGE_BYTES {
        return Err(format!("{} bytes in message: it would become a file", length("message")));
    }
    if length("title") > MAX_TITLE_BYTES {
        return Err(format!("{} bytes in title", length("title")));
    }
    if !body
        .get("priority")
        .is_none_or(|priority| (1..=5).contains(&priority.as_i64().unwrap_or(0)))
    {
        return Err(format!("priority {}", body["priority"]));
    }
    Ok(body)
}

fn error(status: u16, code: u32, text: &str) -> Response {
    let body = json!({ "code": code, "http": status, "error": text });
    let status = StatusCode::from_u16(status).unwrap_or(StatusCode::BAD_REQUEST);
    (status, axum::Json(body)).into_response()
}
