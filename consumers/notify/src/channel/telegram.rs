//! Telegram's Bot API: `sendMessage` and `editMessageText` with HTML.

mod buttons;
mod config;

use std::time::Duration;

use crypto_intel_schemas::Alert;
use futures::future::{BoxFuture, FutureExt as _};
use parking_lot::Mutex;
use reqwest::{Client, header::CONTENT_TYPE};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

pub use self::config::{ChatKind, TelegramConfig};
use super::{
    Capabilities, Channel, DEFAULT_WAIT, MessageContent, Outcome, Place, Reply, Request, Scope,
    http::{Answer, describe, exchange},
};
use crate::render::{Voice, telegram as render};

/// Margin for clock differences: a request that is a little too early prolongs the wait.
const AFTER_WAIT: Duration = Duration::from_secs(1);

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

/// What an answer means: for the message, or for the address.
#[derive(Debug, Clone, PartialEq)]
enum Meaning {
    Outcome(Outcome),
    /// The topic accepts no messages.
    NoTopic {
        why: String,
    },
    /// The chat has another number now.
    Moved {
        chat_id: i64,
    },
}

#[derive(Deserialize)]
struct BotReply {
    ok: bool,
    #[serde(default)]
    result: Value,
    #[serde(default)]
    error_code: i64,
    #[serde(default)]
    description: String,
    #[serde(default)]
    parameters: Parameters,
}

#[derive(Default, Deserialize)]
struct Parameters {
    retry_after: Option<u64>,
    migrate_to_chat_id: Option<i64>,
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
        let mut body = json!({
            "chat_id": place.chat_id,
            "link_preview_options": { "is_disabled": true },
        });
        if content.plain {
            body["text"] = render::plain(&layout).into();
        } else {
            body["text"] = render::html(&layout).into();
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
        Request::new(content, body.to_string().into_bytes())
    }

    fn send(&self, request: Request) -> BoxFuture<'_, Reply> {
        async move {
            let method = if request.edits.is_some() { "editMessageText" } else { "sendMessage" };
            let meaning = match self.post(method, request.body).await {
                Ok(answer) => meaning(&answer, request.edits.as_deref()),
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

/// Ids come from the service as numbers and are kept as text.
fn number(id: &str) -> Value {
    id.parse::<i64>().map_or_else(|_| Value::from(id), Value::from)
}

impl Telegram {
    fn new(config: TelegramConfig, client: Client) -> Self {
        let place = ChatPlace { chat_id: config.chat_id, topic: config.message_thread_id };
        Self { client, place: Mutex::new(place), config }
    }

    async fn post(&self, method: &str, body: Vec<u8>) -> Result<Answer, Outcome> {
        let request = self
            .client
            .post(self.method(method))
            .timeout(self.config.policy.timeout())
            .header(CONTENT_TYPE, "application/json")
            .body(body);
        exchange(request).await
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
        let request = self.client.get(self.method("getMe")).timeout(self.config.policy.timeout());
        let response = request.send().await.map_err(describe)?;
        let status = response.status();
        let reply: BotReply = response.json().await.map_err(|_| {
            format!("answer {status} of {} is not of a Bot API", self.config.api_url)
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

    fn method(&self, method: &str) -> String {
        self.config.method(method)
    }
}

/// What an answer means. `edits`: the message that was to be changed.
fn meaning(answer: &Answer, edits: Option<&str>) -> Meaning {
    let Some(reply) = answer.json::<BotReply>() else { return Meaning::Outcome(answer.foreign()) };
    if reply.ok {
        let message_id = reply.result.get("message_id").and_then(Value::as_i64);
        return Meaning::Outcome(match (message_id, edits) {
            (Some(message_id), _) => Outcome::Sent { message_id: message_id.to_string() },
            (None, Some(edited)) => Outcome::Sent { message_id: edited.to_owned() },
            (None, None) => Outcome::Uncertain { why: "answer ok without a message id".to_owned() },
        });
    }
    refusal(reply, edits)
}

/// Texts of permanent errors.
const DEAD: &[&str] = &[
    "chat not found",
    "bot was blocked by the user",
    "user is deactivated",
    "bot was kicked from",
    "bot is not a member of",
    "the group chat was deleted",
    "bot can't initiate conversation",
    "bot can't send messages to bots",
    "peer_id_invalid",
];
const RIGHTS: &[&str] = &[
    "not enough rights",
    "need administrator rights",
    "have no write access",
    "have no rights to send",
    "chat_write_forbidden",
    "chat_restricted",
];

/// The message is as it was to be.
const UNCHANGED: &[&str] = &["message is not modified"];
/// The message cannot be changed any more.
const LOST: &[&str] = &[
    "message to edit not found",
    "message can't be edited",
    "message_id_invalid",
    "message identifier is not specified",
];

fn refusal(reply: BotReply, edits: Option<&str>) -> Meaning {
    let why = format!("{} {}", reply.error_code, reply.description);
    let text = reply.description.to_lowercase();
    let says = |list: &[&str]| list.iter().any(|part| text.contains(part));
    if let Some(chat_id) = reply.parameters.migrate_to_chat_id {
        return Meaning::Moved { chat_id };
    }
    if says(&["topic_closed"]) {
        return Meaning::NoTopic { why: format!("the topic is closed: {why}") };
    }
    if says(&["message thread not found", "topic_deleted"]) {
        return Meaning::NoTopic { why: format!("the topic does not exist: {why}") };
    }
    Meaning::Outcome(match reply.error_code {
        429 => Outcome::Wait {
            after: reply.parameters.retry_after.map_or(DEFAULT_WAIT, Duration::from_secs)
                + AFTER_WAIT,
            scope: Scope::Destination,
            why,
        },
        401 | 404 => Outcome::Closed {
            why: format!("{why}: the bot's token is not valid"),
            hint: "take a valid token from BotFather and set token",
            whole_bot: true,
        },
        // An error of the service in its own format: it did not accept the message.
        500.. => Outcome::NotSent { why },
        _ if says(DEAD) => Outcome::closed(why, INVITE),
        _ if says(RIGHTS) => Outcome::closed(why, "give the bot the right to write there"),
        _ if says(&["can't parse entities"]) => Outcome::PlainText { why },
        400 if says(UNCHANGED) && edits.is_some() => {
            Outcome::Sent { message_id: edits.unwrap_or_default().to_owned() }
        }
        400 if says(LOST) && edits.is_some() => Outcome::LostAnchor { why },
        403 => Outcome::closed(why, INVITE),
        _ => Outcome::Refused { why },
    })
}

const INVITE: &str = "invite the bot into the chat again, or correct chat_id";

#[cfg(test)]
mod tests;
