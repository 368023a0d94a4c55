//! Buttons below messages, and who pressed them.

use serde_json::{Value, json};

use super::Outcome;
use super::state::{ChatService, ChatState};
use super::telegram::{error, ok, pace};

const SERVICE: ChatService = ChatService::Telegram;
const MAX_DATA: usize = 64;

/// Texts and data of a request's keyboard.
pub(super) fn of(parameters: &Value) -> Vec<(String, String)> {
    let rows = parameters["reply_markup"]["inline_keyboard"].as_array();
    let buttons = rows.into_iter().flatten().filter_map(Value::as_array).flatten();
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    buttons.map(|button| (text(&button["text"]), text(&button["callback_data"]))).collect()
}

/// Keeps the keyboard of a message that was sent or changed.
pub(super) fn keep(state: &mut ChatState, chat_id: i64, message_id: &str, parameters: &Value) {
    let buttons = of(parameters);
    for (text, data) in &buttons {
        if text.is_empty() || data.is_empty() || data.len() > MAX_DATA {
            state.violation(SERVICE, "form", format!("button {text:?} with data {data:?}"));
        }
    }
    if let Some(message) = state.message(SERVICE, &chat_id.to_string(), message_id) {
        message.buttons = buttons;
    }
}

/// `editMessageReplyMarkup`.
pub(super) fn edit(state: &mut ChatState, chat_id: i64, parameters: &Value) -> Outcome {
    if let Some(refusal) = pace(state, chat_id) {
        return Outcome::Answer(refusal);
    }
    let message_id = parameters["message_id"].as_i64().unwrap_or_default().to_string();
    let known = state.message(SERVICE, &chat_id.to_string(), &message_id).cloned();
    match known {
        None => Outcome::Answer(error(400, "Bad Request: message to edit not found")),
        Some(message) if message.buttons == of(parameters) => {
            Outcome::Answer(error(400, "Bad Request: message is not modified"))
        }
        Some(_) => {
            keep(state, chat_id, &message_id, parameters);
            Outcome::Answer(ok(&json!({ "message_id": parameters["message_id"] })))
        }
    }
}

/// `answerCallbackQuery`.
pub(super) fn answer(state: &mut ChatState, parameters: &Value) -> Outcome {
    let text = |name: &str| parameters[name].as_str().unwrap_or_default().to_owned();
    if text("text").chars().count() > 200 {
        state.violation(SERVICE, "form", "the answer to a press is longer than 200 characters");
    }
    state.answers.push((text("callback_query_id"), text("text")));
    Outcome::Answer(ok(&json!(true)))
}

/// A person presses the button with this data below a message.
pub(super) fn press(
    state: &mut ChatState,
    chat_id: i64,
    message_id: &str,
    press: &(i64, &str, &str),
) {
    let (user, name, data) = press;
    let message = state.message(SERVICE, &chat_id.to_string(), message_id);
    let topic = message.as_ref().and_then(|message| message.topic);
    let buttons = message.map(|message| message.buttons.clone()).unwrap_or_default();
    let keys: Vec<Value> =
        buttons.iter().map(|(text, data)| json!({ "text": text, "callback_data": data })).collect();
    state.last_update += 1;
    let number = state.last_update;
    let mut update = json!({
        "update_id": number,
        "callback_query": {
            "id": format!("press-{number}"),
            "from": { "id": user, "is_bot": false, "first_name": name },
            "message": {
                "message_id": message_id.parse::<i64>().unwrap_or_default(),
                "chat": { "id": chat_id, "type": "supergroup" },
                "reply_markup": { "inline_keyboard": [keys] },
            },
            "data": data,
        },
    });
    if let Some(topic) = topic {
        let message = &mut update["callback_query"]["message"];
        message["message_thread_id"] = json!(topic);
        message["is_topic_message"] = json!(true);
    }
    state.updates.push((number, update));
}

/// What `getUpdates` answers now; none while it has to wait.
pub(super) fn updates(state: &mut ChatState, body: &[u8]) -> Option<Value> {
    let parameters: Value = serde_json::from_slice(body).unwrap_or_default();
    let offset = parameters["offset"].as_i64().unwrap_or(0);
    // The number confirms what is before it.
    state.updates.retain(|(number, _)| *number >= offset);
    let all: Vec<Value> =
        state.updates.iter().map(|(_, update)| update.clone()).take(100).collect();
    (!all.is_empty()).then(|| Value::from(all))
}
