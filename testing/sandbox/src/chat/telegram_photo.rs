//! Messages with a picture: `sendPhoto` with a file, `editMessageCaption`.

use axum::http::{HeaderMap, header};
use serde_json::{Map, Value};

use super::{
    Outcome,
    multipart::{parse, png_size},
    state::{ChatService, ChatState},
    telegram::{CAPTION, edit_words, error, post, with_chat},
};

const SERVICE: ChatService = ChatService::Telegram;
const MAX_PHOTO_BYTES: usize = 10 << 20;
/// Width and height together.
const MAX_SIDES: u32 = 10_000;
/// Of the longer side to the shorter one.
const MAX_RATIO: u32 = 20;
/// Fields of the method that we send.
const FIELDS: [&str; 8] = [
    "chat_id",
    "caption",
    "parse_mode",
    "disable_notification",
    "message_thread_id",
    "reply_parameters",
    "reply_markup",
    "photo",
];

pub(super) fn send(state: &mut ChatState, headers: &HeaderMap, body: &[u8]) -> Outcome {
    let content_type = headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok());
    let (parameters, photo) = match read(content_type.unwrap_or_default(), body) {
        Ok(read) => read,
        Err(what) => {
            state.violation(SERVICE, "form", what);
            return Outcome::Answer(error(400, "Bad Request: there is no photo in the request"));
        }
    };
    if photo.len() > MAX_PHOTO_BYTES {
        state.violation(SERVICE, "length", format!("a photo of {} bytes", photo.len()));
        return Outcome::Answer(error(413, "Request Entity Too Large"));
    }
    let Some((width, height)) = png_size(&photo) else {
        state.violation(SERVICE, "form", "the photo is no picture");
        return Outcome::Answer(error(400, "Bad Request: IMAGE_PROCESS_FAILED"));
    };
    let (long, short) = (width.max(height), width.min(height));
    if width + height > MAX_SIDES || long > MAX_RATIO * short {
        state.violation(SERVICE, "length", format!("a photo of {width} x {height}"));
        return Outcome::Answer(error(400, "Bad Request: PHOTO_INVALID_DIMENSIONS"));
    }
    with_chat(state, &parameters, |state, chat_id, parameters| {
        if state.refuses_photos.contains(&chat_id) {
            let words = "Bad Request: not enough rights to send photos to the chat";
            return Outcome::Answer(error(400, words));
        }
        post(state, chat_id, parameters, &CAPTION, Some(photo))
    })
}

pub(super) fn edit(state: &mut ChatState, chat_id: i64, parameters: &Value) -> Outcome {
    edit_words(state, chat_id, parameters, &CAPTION)
}

/// The parameters, and the bytes of the photo. In a form everything is text; what is no text is JSON.
fn read(content_type: &str, body: &[u8]) -> Result<(Value, Vec<u8>), String> {
    let mut parameters = Map::new();
    let mut photo = None;
    for part in parse(content_type, body)? {
        if !FIELDS.contains(&part.name.as_str()) {
            return Err(format!("field {} is not one of sendPhoto", part.name));
        }
        if part.name == "photo" {
            let is_file = part.file.is_some_and(|name| !name.is_empty());
            if !is_file || part.content_type.as_deref() != Some("image/png") {
                return Err("the photo is no file, or says not what it is".to_owned());
            }
            photo = Some(part.body.to_vec());
            continue;
        }
        let text =
            std::str::from_utf8(part.body).map_err(|_| format!("{} is no text", part.name))?;
        let value = match part.name.as_str() {
            "caption" | "parse_mode" => text.into(),
            name => serde_json::from_str(text).map_err(|error| format!("{name}: {error}"))?,
        };
        parameters.insert(part.name, value);
    }
    Ok((Value::Object(parameters), photo.ok_or("there is no photo")?))
}
