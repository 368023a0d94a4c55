//! Telegram's Bot API: `sendMessage` and `editMessageText` with HTML.

mod answers;
mod buttons;
mod config;

use crypto_intel_schemas::Alert;
use futures::future::{BoxFuture, FutureExt as _};
use parking_lot::Mutex;
use reqwest::Client;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use self::answers::{BotReply, Meaning, meaning, picture_refusal, refusal};
pub use self::config::{ChatKind, TelegramConfig};
use super::{
    Capabilities, Channel, MessageContent, Outcome, Place, Reply, Request,
    http::{Answer, ask, exchange, post_request},
    multipart::Form,
};
use crate::render::{Voice, telegram as render};

/// One chat and the bot that writes to it.
#[derive(Debug)]
pub(crate) struct Telegram {
    config: TelegramConfig,
    client: Client,
    place: Mutex<ChatPlace>,
}

/// Where the bot writes to now.
#[derive(Debug, Clone, Copy)]
struct ChatPlace {
    /// The chat's current number, which differs from the configured one after a group was upgraded.
    chat_id: i64,
    /// Cleared when the topic takes no messages.
    topic: Option<i64>,
}

/// A group became a supergroup.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
struct Moved {
    /// The configured chat.
    from: i64,
    /// Where it is now.
    to: i64,
}

impl Channel for Telegram {
    fn capabilities(&self) -> Capabilities {
        Capabilities {
            digest_alerts: render::MAX_DIGEST_ALERTS,
            edits: true,
            replies: true,
            buttons: !self.config.allowed_users.is_empty(),
            ..Capabilities::default()
        }
    }

    fn request(&self, content: &MessageContent<'_>) -> Request {
        let place = *self.place.lock();
        let layout = render::layout(content);
        // A text that would lose lines below a picture is worth more than the picture.
        let picture = content.picture.filter(|_| render::fits_caption(&layout));
        let is_caption =
            picture.is_some() || matches!(content.place, Place::Edit { has_picture: true, .. });
        let mut body = json!({ "chat_id": place.chat_id });
        let field = if is_caption { "caption" } else { "text" };
        if !is_caption {
            body["link_preview_options"] = json!({ "is_disabled": true });
        }
        let budget = if is_caption { render::CAPTION_UNITS } else { render::TEXT_UNITS };
        if content.plain {
            body[field] = render::plain(&layout, budget).into();
        } else {
            body[field] = render::html(&layout, budget).into();
            body["parse_mode"] = "HTML".into();
        }
        match content.place {
            Place::Edit { message_id, .. } => body["message_id"] = number(message_id),
            Place::New | Place::Reply { .. } => {
                body["disable_notification"] = layout.silent.into();
                if let Some(topic) = place.topic {
                    body["message_thread_id"] = topic.into();
                }
            }
        }
        if !self.config.allowed_users.is_empty() {
            let keyboard = buttons::keyboard(content);
            // An edit without it would take the buttons away.
            if !keyboard.is_null() {
                body["reply_markup"] = keyboard;
            }
        }
        if let Place::Reply { to, .. } = content.place {
            body["reply_parameters"] =
                json!({ "message_id": number(to), "allow_sending_without_reply": true });
        }
        match picture {
            Some(picture) => Request::with_picture(content, form_of(&body, picture)),
            None => Request::new(content, body.to_string().into_bytes()),
        }
    }

    fn send(&self, request: Request) -> BoxFuture<'_, Reply> {
        async move {
            let method = match (&request.edits, request.has_picture) {
                (None, false) => "sendMessage",
                (None, true) => "sendPhoto",
                (Some(_), false) => "editMessageText",
                (Some(_), true) => "editMessageCaption",
            };
            let edits = request.edits.clone();
            let brings_picture = request.content_type.is_some();
            let meaning = match self.post(method, request).await {
                Ok(answer) => match picture_refusal(&answer).filter(|_| brings_picture) {
                    Some(why) => Meaning::Outcome(Outcome::PlainText { why }),
                    None => meaning(&answer, edits.as_deref()),
                },
                Err(outcome) => Meaning::Outcome(outcome),
            };
            self.settle(meaning).into()
        }
        .boxed()
    }

    fn check(&self) -> BoxFuture<'_, Result<String, String>> {
        self.name().boxed()
    }

    fn takes_digest(&self, alerts: &[Alert], voice: &Voice) -> bool {
        render::takes_digest(alerts, voice)
    }

    fn learnt(&self) -> Option<Value> {
        let moved = Moved { from: self.config.chat_id, to: self.place.lock().chat_id };
        (moved.from != moved.to).then(|| json!(moved))
    }

    fn recall(&self, learnt: &Value) -> bool {
        let moved: Option<Moved> = serde_json::from_value(learnt.clone()).ok();
        let Some(moved) = moved.filter(|moved| moved.from == self.config.chat_id) else {
            return false;
        };
        self.place.lock().chat_id = moved.to;
        true
    }
}

/// The fields of a request with a file: texts as they are, all else as JSON.
fn form_of(body: &Value, picture: &[u8]) -> Form {
    let mut form = Form::default();
    for (name, value) in body.as_object().into_iter().flatten() {
        match value {
            Value::String(text) => form.text(name, text),
            other => form.text(name, &other.to_string()),
        }
    }
    form.png("photo", "chart.png", picture);
    form
}

/// Ids come from the service as numbers and are kept as text.
fn number(id: &str) -> Value {
    id.parse::<i64>().map_or_else(|_| Value::from(id), Value::from)
}

impl Telegram {
    fn new(config: TelegramConfig, client: Client) -> Self {
        let place = ChatPlace { chat_id: config.chat_id, topic: config.message_thread_id };
        Self { client, place: Mutex::new(place), config }
    }

    async fn post(&self, method: &str, request: Request) -> Result<Answer, Outcome> {
        let call = self.client.post(self.config.method(method));
        exchange(post_request(call, &self.config.policy, request)).await
    }

    /// Follows the chat to where the service says it is.
    fn settle(&self, meaning: Meaning) -> Outcome {
        let mut place = self.place.lock();
        match meaning {
            Meaning::Outcome(outcome) => outcome,
            Meaning::NoTopic { why } => match place.topic.take() {
                Some(_) => Outcome::Readdressed {
                    why: format!("{why}, writing to the chat itself"),
                    hint: "open the topic again or correct message_thread_id, then restart notify"
                        .to_owned(),
                },
                None => Outcome::closed(why, "open the General topic of the chat again"),
            },
            Meaning::Moved { chat_id } if chat_id == place.chat_id => {
                Outcome::Refused { why: format!("moved to chat {chat_id}, which moved again") }
            }
            Meaning::Moved { chat_id } => {
                place.chat_id = chat_id;
                Outcome::Readdressed {
                    why: "the group was upgraded and has another number".to_owned(),
                    hint: format!("set chat_id to {chat_id}"),
                }
            }
        }
    }

    /// The bot's name, or what is wrong.
    async fn name(&self) -> Result<String, String> {
        let request = self.client.get(self.config.method("getMe"));
        let answer = ask(request, &self.config.policy).await?;
        let reply: BotReply = answer.json().ok_or_else(|| {
            format!("answer {} of {} is not of a Bot API", answer.status, self.config.api_url)
        })?;
        if !reply.ok {
            return Err(match reply.error_code {
                401 | 404 => "the token is refused: take a valid one from BotFather".to_owned(),
                _ => reply.description,
            });
        }
        let name = reply.result.get("username").and_then(Value::as_str).unwrap_or("unnamed");
        Ok(format!("bot @{name}, chat {}", self.place.lock().chat_id))
    }
}

#[cfg(test)]
mod tests;
