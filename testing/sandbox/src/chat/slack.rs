//! Slack's incoming webhooks and the two methods of its Web API that post.

use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse as _, Response};
use serde_json::{Value, json};

use super::Outcome;
use super::delivery::Service;
use super::slack_form;
use super::state::{Accepted, ChatService, ChatState};

const SERVICE: ChatService = ChatService::Slack;

/// Answers `POST /services/<team>/<hook>/<secret>`.
pub(super) fn webhook(state: &mut ChatState, id: &str, body: &[u8]) -> Outcome {
    if let Some((status, text)) = state.dead(SERVICE, id) {
        return Outcome::Answer(plain(status, &text));
    }
    let body = match slack_form::check(body) {
        Ok(body) => body,
        Err((error, detail)) => {
            state.violation(SERVICE, "form", detail);
            return Outcome::Answer(plain(400, error));
        }
    };
    let too_many = |seconds: f64| {
        let body = json!({ "retry_after": seconds, "ok": false, "error": "rate_limited" });
        with_retry_after(axum::Json(body).into_response(), seconds)
    };
    let service = service(state, id, &too_many);
    service.conclude(state, |state| {
        state.accept(accepted(id, &body, None));
        plain(200, "ok")
    })
}

/// Answers `POST /api/<method>`.
pub(super) fn method(
    state: &mut ChatState,
    method: &str,
    headers: &HeaderMap,
    body: &[u8],
) -> Outcome {
    let token = headers.get(header::AUTHORIZATION).and_then(|value| value.to_str().ok());
    if !token.is_some_and(|token| token.starts_with("Bearer xoxb-")) {
        state.violation(SERVICE, "bad_token", "no bot token");
        return Outcome::Answer(error("not_authed"));
    }
    if method == "auth.test" {
        let bot = json!({ "ok": true, "user": "stand-in", "team": "Tests" });
        return Outcome::Answer(axum::Json(bot).into_response());
    }
    let body = match slack_form::check(body) {
        Ok(body) => body,
        Err((code, detail)) => {
            state.violation(SERVICE, "form", detail);
            return Outcome::Answer(error(code));
        }
    };
    let channel = body["channel"].as_str().unwrap_or_default().to_owned();
    if !channel.starts_with(['C', 'G', 'D']) {
        state.violation(SERVICE, "chat_id", format!("channel is {channel:?}, not an id"));
        return Outcome::Answer(error("channel_not_found"));
    }
    if let Some((_, text)) = state.dead(SERVICE, &channel) {
        return Outcome::Answer(error(&text));
    }
    let too_many = |seconds: f64| with_retry_after(error("ratelimited"), seconds);
    let service = service(state, &channel, &too_many);
    match method {
        "chat.postMessage" => service.conclude(state, |state| {
            let message = state.accept(accepted(&channel, &body, body["thread_ts"].as_str()));
            let answer = json!({ "ok": true, "channel": channel, "ts": message.message_id });
            axum::Json(answer).into_response()
        }),
        "chat.update" => service.conclude(state, |state| {
            let ts = body["ts"].as_str().unwrap_or_default();
            let (text, source) = (slack_form::text(&body), body.to_string());
            if state.change(SERVICE, &channel, ts, text, source).is_none() {
                return error("message_not_found");
            }
            axum::Json(json!({ "ok": true, "channel": channel, "ts": ts })).into_response()
        }),
        _ => {
            state.violation(SERVICE, "method", format!("method {method} is not supported"));
            Outcome::Answer(error("unknown_method"))
        }
    }
}

fn service<'a>(state: &ChatState, id: &str, too_many: &'a dyn Fn(f64) -> Response) -> Service<'a> {
    let windows = state.limits.slack_channel();
    Service { service: SERVICE, key: format!("slack {id}"), windows, too_many }
}

fn accepted(destination: &str, body: &Value, reply_to: Option<&str>) -> Accepted {
    Accepted {
        service: SERVICE,
        destination: destination.to_owned(),
        text: slack_form::text(body),
        source: body.to_string(),
        reply_to: reply_to.map(str::to_owned),
    }
}

fn plain(status: u16, text: &str) -> Response {
    let status = StatusCode::from_u16(status).unwrap_or(StatusCode::BAD_REQUEST);
    (status, text.to_owned()).into_response()
}

fn error(code: &str) -> Response {
    axum::Json(json!({ "ok": false, "error": code })).into_response()
}

fn with_retry_after(mut response: Response, seconds: f64) -> Response {
    *response.status_mut() = StatusCode::TOO_MANY_REQUESTS;
    if let Ok(value) = HeaderValue::from_str(&seconds.to_string()) {
        response.headers_mut().insert(header::RETRY_AFTER, value);
    }
    response
}
