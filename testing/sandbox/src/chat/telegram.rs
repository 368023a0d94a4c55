//! The Bot API.

use std::time::{Duration, Instant, UNIX_EPOCH};

use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse as _, Response};
use serde_json::{Value, json};

use super::delivery::{Asked, meet_fault};
use super::state::{Accepted, ChatMessage, ChatService, ChatState};
use super::{Outcome, telegram_buttons, telegram_html, telegram_photo};

const MAX_UNITS: usize = 4_096;
/// Of the text below a picture.
const MAX_CAPTION_UNITS: usize = 1_024;
const SERVICE: ChatService = ChatService::Telegram;
const FROZEN_CHATS_OF_FROZEN_BOT: usize = 3;

/// Answers `/bot<token>/<method>`.
pub(super) fn handle(
    state: &mut ChatState,
    token: &str,
    method: &str,
    headers: &HeaderMap,
    body: &[u8],
) -> Outcome {
    if state.telegram_token.as_deref().is_some_and(|expected| expected != token) {
        if !state.refused_tokens.insert(token.to_owned()) {
            state.violation(SERVICE, "bad_token", "a request after 401");
        }
        return Outcome::Answer(error(401, "Unauthorized"));
    }
    if method.eq_ignore_ascii_case("sendphoto") {
        return telegram_photo::send(state, headers, body);
    }
    let parameters: Value = match body.iter().all(u8::is_ascii_whitespace) {
        true => json!({}),
        false => match serde_json::from_slice(body) {
            Ok(parameters) => parameters,
            Err(_) => {
                state.violation(SERVICE, "form", "the body is not JSON");
                return Outcome::Answer(error(400, "Bad Request: can't parse request JSON object"));
            }
        },
    };
    match method.to_ascii_lowercase().as_str() {
        "getme" => Outcome::Answer(ok(&bot())),
        "answercallbackquery" => telegram_buttons::answer(state, &parameters),
        "editmessagereplymarkup" => with_chat(state, &parameters, telegram_buttons::edit),
        "sendmessage" => with_chat(state, &parameters, send),
        "editmessagetext" => with_chat(state, &parameters, edit),
        "editmessagecaption" => with_chat(state, &parameters, telegram_photo::edit),
        _ => {
            state.violation(SERVICE, "method", format!("method {method} is not supported"));
            Outcome::Answer(error(404, "Not Found"))
        }
    }
}

pub(super) fn with_chat(
    state: &mut ChatState,
    parameters: &Value,
    then: impl FnOnce(&mut ChatState, i64, &Value) -> Outcome,
) -> Outcome {
    let chat_id = match &parameters["chat_id"] {
        Value::Number(number) => number.as_i64(),
        Value::String(text) => text.parse().ok(),
        _ => None,
    };
    let Some(chat_id) = chat_id else {
        // The real server accepts names of public channels; a rate limiter cannot match them with the id.
        let given = &parameters["chat_id"];
        state.violation(SERVICE, "chat_id", format!("chat_id is {given}, not a number"));
        return Outcome::Answer(error(400, "Bad Request: chat not found"));
    };
    if let Some((status, description)) = state.dead(SERVICE, &chat_id.to_string()) {
        return Outcome::Answer(error(status, &description));
    }
    if let Some(new) = state.upgraded.get(&chat_id).copied() {
        if !state.told_upgraded.insert(chat_id) {
            state.violation(SERVICE, "upgraded", format!("chat {chat_id} is {new} since"));
        }
        return Outcome::Answer(upgraded(new));
    }
    then(state, chat_id, parameters)
}

fn send(state: &mut ChatState, chat_id: i64, parameters: &Value) -> Outcome {
    post(state, chat_id, parameters, &TEXT, None)
}

/// A message of text, or with a picture and a caption.
pub(super) fn post(
    state: &mut ChatState,
    chat_id: i64,
    parameters: &Value,
    words: &Words,
    picture: Option<Vec<u8>>,
) -> Outcome {
    let text = match readable_text(state, parameters, words) {
        Ok(text) => text,
        Err(refusal) => return Outcome::Answer(*refusal),
    };
    let reply = &parameters["reply_parameters"];
    let reply_to = reply["message_id"].as_i64().map(|id| id.to_string());
    if let Some(id) = &reply_to
        && reply["allow_sending_without_reply"] != true
        && state.message(SERVICE, &chat_id.to_string(), id).is_none()
    {
        return Outcome::Answer(error(400, "Bad Request: message to be replied not found"));
    }
    if let Some(refusal) = pace(state, chat_id) {
        return Outcome::Answer(refusal);
    }
    let accepted = Accepted {
        service: SERVICE,
        destination: chat_id.to_string(),
        text,
        source: parameters[words.field].as_str().unwrap_or_default().to_owned(),
        reply_to,
    };
    let refuse = |state: &mut ChatState, asked: Asked| too_many(state, chat_id, asked.seconds);
    meet_fault(state, SERVICE, refuse, |state| {
        let message = state.accept(accepted);
        telegram_buttons::keep(state, chat_id, &message.message_id, parameters);
        if let Some(kept) = state.message(SERVICE, &chat_id.to_string(), &message.message_id) {
            kept.topic = parameters["message_thread_id"].as_i64();
            kept.picture = picture;
        }
        ok(&message_json(chat_id, &message))
    })
}

fn edit(state: &mut ChatState, chat_id: i64, parameters: &Value) -> Outcome {
    edit_words(state, chat_id, parameters, &TEXT)
}

/// Gives a message another text or caption.
pub(super) fn edit_words(
    state: &mut ChatState,
    chat_id: i64,
    parameters: &Value,
    words: &Words,
) -> Outcome {
    let text = match readable_text(state, parameters, words) {
        Ok(text) => text,
        Err(refusal) => return Outcome::Answer(*refusal),
    };
    if let Some(refusal) = pace(state, chat_id) {
        return Outcome::Answer(refusal);
    }
    let refuse = |state: &mut ChatState, asked: Asked| too_many(state, chat_id, asked.seconds);
    meet_fault(state, SERVICE, refuse, |state| change(state, chat_id, parameters, words, text))
}

/// Gives a message another text, and its buttons.
fn change(
    state: &mut ChatState,
    chat_id: i64,
    parameters: &Value,
    words: &Words,
    text: String,
) -> Response {
    let (chat, message_id) = (chat_id.to_string(), parameters["message_id"].as_i64());
    let message_id = message_id.unwrap_or_default().to_string();
    let source = parameters[words.field].as_str().unwrap_or_default().to_owned();
    let Some(message) = state.message(SERVICE, &chat, &message_id) else {
        return error(400, "Bad Request: message to edit not found");
    };
    if message.picture.is_some() != words.of_picture {
        let detail = format!("{} of a message that has none", words.field);
        state.violation(SERVICE, "method", detail);
        return error(400, "Bad Request: there is no text in the message to edit");
    }
    let buttons = telegram_buttons::of(parameters);
    if message.source == source && message.buttons == buttons {
        return error(
            400,
            "Bad Request: message is not modified: specified new message content and reply markup are \
             exactly the same as a current content and reply markup of the message",
        );
    }
    let Some(message) = state.change(SERVICE, &chat, &message_id, text, source) else {
        return error(400, "Bad Request: message to edit not found");
    };
    // An edit without a keyboard takes it away.
    telegram_buttons::keep(state, chat_id, &message_id, parameters);
    ok(&message_json(chat_id, &message))
}

/// Where the words of a message are, and how long they may be.
pub(super) struct Words {
    field: &'static str,
    max_units: usize,
    of_picture: bool,
}

const TEXT: Words = Words { field: "text", max_units: MAX_UNITS, of_picture: false };
pub(super) const CAPTION: Words =
    Words { field: "caption", max_units: MAX_CAPTION_UNITS, of_picture: true };

/// The text as people see it, or the refusal.
fn readable_text(
    state: &mut ChatState,
    parameters: &Value,
    words: &Words,
) -> Result<String, Box<Response>> {
    let source = parameters[words.field].as_str().unwrap_or_default();
    let text = match parameters["parse_mode"].as_str() {
        None | Some("") => source.to_owned(),
        Some(mode) if mode.eq_ignore_ascii_case("html") => {
            telegram_html::parse(source).map_err(|words| {
                state.violation(SERVICE, "html", format!("{words}: {source}"));
                Box::new(error(400, &format!("Bad Request: can't parse entities: {words}")))
            })?
        }
        Some(other) => {
            state.violation(SERVICE, "form", format!("parse_mode {other} is not offered here"));
            return Err(Box::new(error(400, "Bad Request: unsupported parse_mode")));
        }
    };
    if text.trim().is_empty() {
        state.violation(SERVICE, "length", "the text is empty");
        return Err(Box::new(error(400, "Bad Request: message text is empty")));
    }
    let units = text.encode_utf16().count();
    if units > words.max_units {
        state.violation(SERVICE, "length", format!("{units} UTF-16 units"));
        return Err(Box::new(error(400, "Bad Request: message is too long")));
    }
    Ok(text)
}

/// Counts one more message, or refuses it.
pub(super) fn pace(state: &mut ChatState, chat_id: i64) -> Option<Response> {
    let now = Instant::now();
    let chat = chat_key(chat_id);
    if let Some(rest) = state.still_closed(SERVICE, &chat) {
        return Some(too_many(state, chat_id, rest));
    }
    // When three chats were asked to wait at once, the whole bot is limited: a client must not send to others.
    if state.pace.closed_count("telegram ", now) >= FROZEN_CHATS_OF_FROZEN_BOT {
        state.violation(SERVICE, "early_retry", "three chats of the bot were asked to wait");
        return Some(too_many(state, chat_id, 1.0));
    }
    let total = "telegram".to_owned();
    let rules =
        [(&chat, state.limits.telegram_chat(chat_id)), (&total, state.limits.telegram_total())];
    let wait =
        rules.iter().filter_map(|(key, windows)| state.pace.wait_for(key, windows, now)).max();
    if let Some(wait) = wait {
        state.violation(
            SERVICE,
            "rate",
            format!("chat {chat_id}: {:.1} s too fast", wait.as_secs_f64()),
        );
        return Some(too_many(state, chat_id, wait.as_secs_f64()));
    }
    for (key, windows) in &rules {
        state.pace.use_now(key, windows, now);
    }
    None
}

fn chat_key(chat_id: i64) -> String {
    format!("telegram {chat_id}")
}

fn too_many(state: &mut ChatState, chat_id: i64, seconds: f64) -> Response {
    state.count_invalid(SERVICE);
    let retry_after = seconds.ceil().max(1.0);
    let until = Instant::now() + Duration::from_secs_f64(retry_after);
    if state.pace.closed_for(&chat_key(chat_id), Instant::now()).is_none() {
        state.pace.close(&chat_key(chat_id), until);
    }
    let body = json!({
        "ok": false,
        "error_code": 429,
        "description": format!("Too Many Requests: retry after {retry_after}"),
        "parameters": {"retry_after": retry_after as u64},
    });
    (StatusCode::TOO_MANY_REQUESTS, axum::Json(body)).into_response()
}

fn bot() -> Value {
    json!({"id": 7_000_000_001_u64, "is_bot": true, "first_name": "Stand-in", "username": "stand_in_bot",
           "can_join_groups": true, "can_read_all_group_messages": false, "supports_inline_queries": false})
}

fn message_json(chat_id: i64, message: &ChatMessage) -> Value {
    let kind = if chat_id < 0 { "supergroup" } else { "private" };
    let date = message.accepted_at.duration_since(UNIX_EPOCH).unwrap_or_default().as_secs();
    let mut json = json!({
        "message_id": message.order,
        "from": bot(),
        "chat": {"id": chat_id, "type": kind},
        "date": date,
    });
    // A message with a picture has a caption instead of a text.
    let field = if message.picture.is_some() { "caption" } else { "text" };
    json[field] = message.text.clone().into();
    if message.edits > 0 {
        json["edit_date"] = json!(date);
    }
    json
}

fn upgraded(new: i64) -> Response {
    let body = json!({
        "ok": false,
        "error_code": 400,
        "description": "Bad Request: group chat was upgraded to a supergroup chat",
        "parameters": {"migrate_to_chat_id": new},
    });
    (StatusCode::BAD_REQUEST, axum::Json(body)).into_response()
}

pub(super) fn ok(result: &Value) -> Response {
    axum::Json(json!({"ok": true, "result": result})).into_response()
}

pub(super) fn error(code: u16, description: &str) -> Response {
    let body = json!({"ok": false, "error_code": code, "description": description});
    let status = StatusCode::from_u16(code).unwrap_or(StatusCode::BAD_REQUEST);
    (status, axum::Json(body)).into_response()
}
