//! Webhooks.

use std::time::{Duration, Instant};

use axum::http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, header};
use axum::response::{IntoResponse as _, Response};
use serde_json::{Value, json};

use super::Outcome;
use super::delivery::{Asked, meet_fault};
use super::discord_form;
use super::multipart::{parse, png_size};
use super::state::{Accepted, ChatMessage, ChatService, ChatState};

/// Without a boosted server.
const MAX_FILE_BYTES: usize = 10 << 20;
const SUPPRESS_EMBEDS: u64 = 1 << 2;
const SERVICE: ChatService = ChatService::Discord;
/// Key of the limit for everything from one address.
const ADDRESS: &str = "discord address";

/// A request to a webhook.
pub(super) struct Request<'a> {
    pub(super) method: &'a Method,
    /// The path behind `webhooks/`: id, token, and for an edit `messages` and the message's id.
    pub(super) path: &'a [&'a str],
    pub(super) query: &'a str,
    pub(super) headers: &'a HeaderMap,
    pub(super) body: &'a [u8],
}

/// Answers `GET` and `POST /webhooks/{id}/{token}`, and `PATCH …/messages/{message}`.
pub(super) fn handle(state: &mut ChatState, request: &Request<'_>) -> Outcome {
    let user_agent = request.headers.get(header::USER_AGENT).and_then(|value| value.to_str().ok());
    if !user_agent.is_some_and(|agent| agent.starts_with("DiscordBot (")) {
        state.violation(SERVICE, "user_agent", format!("User-Agent is {user_agent:?}"));
        return Outcome::Answer(error(403, 40_333, "internal network error"));
    }
    let Some(webhook) = request.path.first().filter(|_| request.path.len() >= 2) else {
        return Outcome::Answer(error(404, 0, "404: Not Found"));
    };
    if let Some((status, description)) = state.dead(SERVICE, webhook) {
        let code = if status == 404 { 10_015 } else { 50_027 };
        return Outcome::Answer(error(status, code, &description));
    }
    if let (&Method::GET, [id, token]) = (request.method, request.path) {
        // Anyone with the token may ask which webhook it is.
        let channel = state.channel_of(id);
        let webhook =
            json!({"id": id, "token": token, "type": 1, "name": "stand-in", "channel_id": channel});
        return Outcome::Answer((StatusCode::OK, axum::Json(webhook)).into_response());
    }
    let (body, picture) = match read(request) {
        Ok(read) => read,
        Err(what) => {
            state.violation(SERVICE, "form", what);
            return Outcome::Answer(error(400, 50_109, "The request body contains invalid JSON."));
        }
    };
    if let Err(errors) = discord_form::check(&body) {
        state.violation(SERVICE, "form", errors.to_string());
        let body = json!({"message": "Invalid Form Body", "code": 50_035, "errors": errors});
        return Outcome::Answer((StatusCode::BAD_REQUEST, axum::Json(body)).into_response());
    }
    let has_embeds = body["embeds"].as_array().is_some_and(|embeds| !embeds.is_empty());
    if has_embeds && body["flags"].as_u64().is_some_and(|flags| flags & SUPPRESS_EMBEDS > 0) {
        state.violation(SERVICE, "form", "embeds that SUPPRESS_EMBEDS hides");
    }
    match (request.method, request.path) {
        (&Method::POST, [_, _]) => send(state, webhook, request, &body, picture),
        (&Method::PATCH, [_, _, "messages", message]) => edit(state, webhook, message, &body),
        _ => {
            state.violation(SERVICE, "method", format!("{} is not supported", request.method));
            Outcome::Answer(error(405, 0, "405: Method Not Allowed"))
        }
    }
}

/// The message, and the file that it brings.
fn read(request: &Request<'_>) -> Result<(Value, Option<Vec<u8>>), String> {
    let content_type = request.headers.get(header::CONTENT_TYPE);
    let content_type = content_type.and_then(|value| value.to_str().ok()).unwrap_or_default();
    let json =
        |bytes: &[u8]| serde_json::from_slice(bytes).map_err(|_| "the body is not JSON".to_owned());
    if content_type == "application/json" {
        return Ok((json(request.body)?, None));
    }
    let (mut payload, mut file) = (None, None);
    for part in parse(content_type, request.body)? {
        match part.name.as_str() {
            "payload_json" if part.content_type.as_deref() == Some("application/json") => {
                payload = Some(json(part.body)?);
            }
            "files[0]" => {
                png_size(part.body).ok_or("the file is no picture")?;
                file = Some((part.file.ok_or("a file without a name")?, part.body.to_vec()));
            }
            name => return Err(format!("part {name} is not one of a message")),
        }
    }
    let body: Value = payload.ok_or("there is no payload_json")?;
    let (name, bytes) = file.ok_or("there is no file")?;
    if bytes.len() > MAX_FILE_BYTES {
        return Err(format!("a file of {} bytes", bytes.len()));
    }
    let named = &body["attachments"][0];
    if named["id"] != 0 || named["filename"] != name.as_str() {
        return Err(format!("attachments do not name {name}"));
    }
    Ok((body, Some(bytes)))
}

/// Whether an embed shows a file that the message does not have.
fn shows_missing_file(body: &Value, has_file: bool) -> bool {
    let embeds = body["embeds"].as_array().map_or(&[][..], Vec::as_slice);
    let mut shown = embeds.iter().filter_map(|embed| embed["image"]["url"].as_str());
    shown.any(|url| url.starts_with("attachment://") && !has_file)
}

fn send(
    state: &mut ChatState,
    webhook: &str,
    request: &Request<'_>,
    body: &Value,
    picture: Option<Vec<u8>>,
) -> Outcome {
    if shows_missing_file(body, picture.is_some()) {
        state.violation(SERVICE, "form", "an embed shows a file that is not there");
    }
    let text = discord_form::text(body);
    if text.trim().is_empty() {
        state.violation(SERVICE, "length", "the message is empty");
        return Outcome::Answer(error(400, 50_006, "Cannot send an empty message"));
    }
    if body.get("allowed_mentions").is_none() {
        state.violation(SERVICE, "allowed_mentions", "allowed_mentions is missing");
    }
    let waits = request.query.split('&').any(|pair| pair == "wait=true");
    if !waits {
        state.violation(
            SERVICE,
            "wait",
            "without wait=true a message that is not saved goes unnoticed",
        );
    }
    if let Some(refusal) = pace(state, webhook) {
        return Outcome::Answer(refusal);
    }
    let accepted = Accepted {
        service: SERVICE,
        destination: webhook.to_owned(),
        text,
        source: body.to_string(),
        reply_to: None,
    };
    let refuse = |state: &mut ChatState, asked: Asked| match asked.is_global {
        true => too_many(state, ADDRESS, asked.seconds),
        false => too_many(state, &webhook_key(webhook), asked.seconds),
    };
    meet_fault(state, SERVICE, refuse, |state| {
        let message = state.accept(accepted);
        if let Some(kept) = state.message(SERVICE, webhook, &message.message_id) {
            kept.picture = picture;
        }
        if !waits {
            return StatusCode::NO_CONTENT.into_response();
        }
        let answer = message_json(&message, &state.channel_of(webhook));
        with_limits(state, webhook, answer)
    })
}

fn edit(state: &mut ChatState, webhook: &str, message_id: &str, body: &Value) -> Outcome {
    if let Some(refusal) = pace(state, webhook) {
        return Outcome::Answer(refusal);
    }
    let has_file =
        state.message(SERVICE, webhook, message_id).is_some_and(|kept| kept.picture.is_some());
    if shows_missing_file(body, has_file) {
        state.violation(SERVICE, "form", "an embed shows a file that is not there");
    }
    let channel = state.channel_of(webhook);
    let (text, source) = (discord_form::text(body), body.to_string());
    let Some(message) = state.change(SERVICE, webhook, message_id, text, source) else {
        return Outcome::Answer(error(404, 10_008, "Unknown Message"));
    };
    let answer = message_json(&message, &channel);
    Outcome::Answer(with_limits(state, webhook, answer))
}

/// Counts one more message, or refuses it.
fn pace(state: &mut ChatState, webhook: &str) -> Option<Response> {
    let now = Instant::now();
    let key = webhook_key(webhook);
    let channel = format!("discord channel {}", state.channel_of(webhook));
    for key in [ADDRESS, &key, &channel] {
        if let Some(rest) = state.still_closed(SERVICE, key) {
            return Some(too_many(state, key, rest));
        }
    }
    let rules = [
        (ADDRESS, state.limits.discord_address()),
        (&key, state.limits.discord_webhook()),
        (&channel, state.limits.discord_channel()),
    ];
    for (key, windows) in &rules {
        if let Some(wait) = state.pace.wait_for(key, windows, now) {
            let wait = wait.as_secs_f64();
            state.violation(SERVICE, "rate", format!("{key}: {wait:.1} s too fast"));
            return Some(too_many(state, key, wait));
        }
    }
    for (key, windows) in &rules {
        state.pace.use_now(key, windows, now);
    }
    None
}

fn webhook_key(webhook: &str) -> String {
    format!("discord {webhook}")
}

fn too_many(state: &mut ChatState, key: &str, seconds: f64) -> Response {
    if state.pace.closed_for(key, Instant::now()).is_none() {
        state.pace.close(key, Instant::now() + Duration::from_secs_f64(seconds));
    }
    let is_global = key == ADDRESS;
    state.count_invalid(SERVICE);
    let body = json!({"message": "You are being rate limited.", "retry_after": seconds, "global": is_global});
    let mut response = (StatusCode::TOO_MANY_REQUESTS, axum::Json(body)).into_response();
    // The header is the body's value rounded up.
    set_header(&mut response, "retry-after", &seconds.ceil().to_string());
    set_header(&mut response, "x-ratelimit-scope", if is_global { "global" } else { "user" });
    if is_global {
        set_header(&mut response, "x-ratelimit-global", "true");
    }
    response
}

fn with_limits(state: &ChatState, webhook: &str, body: Value) -> Response {
    let mut response = axum::Json(body).into_response();
    // Only the short window is reported; the one per minute is hidden, as in reality.
    if let Some(window) = state.limits.discord_webhook().first() {
        let remaining = state.pace.remaining(&webhook_key(webhook), *window, Instant::now());
        set_header(&mut response, "x-ratelimit-limit", &window.count.to_string());
        set_header(&mut response, "x-ratelimit-remaining", &remaining.to_string());
        set_header(&mut response, "x-ratelimit-reset-after", &window.length.as_secs().to_string());
        set_header(&mut response, "x-ratelimit-bucket", "stand-in");
    }
    response
}

fn set_header(response: &mut Response, name: &'static str, value: &str) {
    if let Ok(value) = HeaderValue::from_str(value) {
        response.headers_mut().insert(HeaderName::from_static(name), value);
    }
}

fn message_json(message: &ChatMessage, channel: &str) -> Value {
    let body: Value = serde_json::from_str(&message.source).unwrap_or_default();
    json!({
        "id": message.message_id,
        "type": 0,
        "content": body["content"].as_str().unwrap_or_default(),
        "channel_id": channel,
        "webhook_id": message.destination,
        "embeds": body.get("embeds").cloned().unwrap_or_else(|| json!([])),
        "attachments": [],
        "pinned": false,
        "tts": false,
        "flags": 0,
    })
}

fn error(status: u16, code: u32, message: &str) -> Response {
    let body = json!({"message": message, "code": code});
    let status = StatusCode::from_u16(status).unwrap_or(StatusCode::BAD_REQUEST);
    (status, axum::Json(body)).into_response()
}
