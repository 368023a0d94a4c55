//! Buttons below a message: `getUpdates` says which were pressed.

use std::time::Duration;

use futures::future::{BoxFuture, FutureExt as _};
use parking_lot::Mutex;
use reqwest::Client;
use serde::Deserialize;
use serde_json::{Value, json};

use super::{BotReply, Meaning, Moved, TelegramConfig, refusal};
use crate::channel::{
    Action, Buttons, MessageContent, Nearness, Outcome, Place, Press, Presses,
    http::{exchange, post_json},
};

/// How long the service waits for a press before it answers that there was none.
const POLL_SECONDS: u64 = 25;
/// More than that: a request that is cut asks again for the same.
const POLL_TIMEOUT: Duration = Duration::from_secs(POLL_SECONDS + 10);
/// Longer data is refused.
const MAX_DATA_BYTES: usize = 64;
const ACKNOWLEDGE: &str = "a:";
const SILENCE: &str = "s:";
/// A button that only says something.
const NOTHING: &str = "-";
/// Length of names on buttons.
const NAME_CHARACTERS: usize = 40;

/// The buttons of a message; null where it has none: digests, short replies and ends.
pub(super) fn keyboard(content: &MessageContent<'_>) -> Value {
    let [alert] = content.alerts else { return Value::Null };
    let is_brief = matches!(content.place, Place::Reply { is_edited: true, .. });
    let is_over = alert.state == crypto_intel_schemas::AlertState::Resolved || content.is_gone;
    let fits = SILENCE.len() + alert.alert.len() <= MAX_DATA_BYTES;
    if is_brief || is_over || !fits || alert.alert.is_empty() {
        return Value::Null;
    }
    let words = content.voice.words;
    let acknowledge = match content.acknowledged_by {
        Some(who) => button(&format!("{} {who}", words.acknowledged), NOTHING),
        None => button(words.acknowledge, &format!("{ACKNOWLEDGE}{}", alert.alert)),
    };
    let silence = button(words.silence, &format!("{SILENCE}{}", alert.alert));
    json!({ "inline_keyboard": [[acknowledge, silence]] })
}

fn button(text: &str, data: &str) -> Value {
    json!({ "text": text, "callback_data": data })
}

/// The bot of a chat, as one that is asked for presses.
#[derive(Debug)]
pub(super) struct BotButtons {
    config: TelegramConfig,
    client: Client,
    /// Where the chat has moved to, as far as it is known.
    moved_to: Mutex<Option<i64>>,
}

#[derive(Deserialize)]
struct Update {
    update_id: i64,
    #[serde(default)]
    callback_query: Option<CallbackQuery>,
}

#[derive(Deserialize)]
struct CallbackQuery {
    id: String,
    from: User,
    #[serde(default)]
    message: Option<Message>,
    #[serde(default)]
    data: String,
}

#[derive(Deserialize)]
struct User {
    id: i64,
    #[serde(default)]
    first_name: String,
    #[serde(default)]
    last_name: Option<String>,
}

#[derive(Deserialize)]
struct Message {
    message_id: i64,
    chat: Chat,
    /// Also of answers in groups that have no topics.
    #[serde(default)]
    message_thread_id: Option<i64>,
    #[serde(default)]
    is_topic_message: bool,
    #[serde(default)]
    reply_markup: Value,
}

#[derive(Deserialize)]
struct Chat {
    id: i64,
}

impl Buttons for BotButtons {
    fn bot(&self) -> String {
        format!("{} {}", self.config.api_url, self.config.token.expose())
    }

    fn nearness(&self, press: &Press) -> Option<Nearness> {
        let room: i64 = press.room.parse().ok()?;
        let is_here = room == self.config.chat_id || *self.moved_to.lock() == Some(room);
        let is_same = press.topic == self.config.message_thread_id;
        is_here.then_some(if is_same { Nearness::Same } else { Nearness::Room })
    }

    fn recall(&self, learnt: &Value) {
        let moved: Option<Moved> = serde_json::from_value(learnt.clone()).ok();
        let moved = moved.filter(|moved| moved.from == self.config.chat_id);
        *self.moved_to.lock() = moved.map(|moved| moved.to);
    }

    fn allows(&self, user: i64) -> bool {
        self.config.allowed_users.contains(&user)
    }

    fn presses(&self, after: i64) -> BoxFuture<'_, Result<Presses, Outcome>> {
        async move {
            let body = json!({
                "offset": after,
                "timeout": POLL_SECONDS,
                "allowed_updates": ["callback_query"],
            });
            let updates: Vec<Update> = self.call("getUpdates", &body, POLL_TIMEOUT).await?;
            let next = updates.iter().map(|update| update.update_id + 1).max().unwrap_or(after);
            let all = updates.into_iter().filter_map(|update| press(update.callback_query?));
            Ok(Presses { next, all: all.collect() })
        }
        .boxed()
    }

    fn answer<'a>(&'a self, press: &'a Press, text: &'a str) -> BoxFuture<'a, Result<(), Outcome>> {
        async move {
            let body = json!({ "callback_query_id": press.id, "text": text });
            let _: Value = self.call("answerCallbackQuery", &body, self.timeout()).await?;
            Ok(())
        }
        .boxed()
    }

    fn show<'a>(&'a self, press: &'a Press, text: &'a str) -> BoxFuture<'a, Result<(), Outcome>> {
        async move {
            let mut keyboard = press.keyboard.clone();
            let rows = keyboard["inline_keyboard"].as_array_mut();
            let buttons = rows.into_iter().flatten().filter_map(Value::as_array_mut).flatten();
            for one in buttons.filter(|one| one["callback_data"] == press.data.as_str()) {
                *one = button(text, NOTHING);
            }
            let body = json!({
                "chat_id": press.room.parse::<i64>().unwrap_or_default(),
                "message_id": press.message_id.parse::<i64>().unwrap_or_default(),
                "reply_markup": keyboard,
            });
            match self.call::<Value>("editMessageReplyMarkup", &body, self.timeout()).await {
                // It says so already.
                Ok(_) | Err(Outcome::Sent { .. }) => Ok(()),
                Err(outcome) => Err(outcome),
            }
        }
        .boxed()
    }
}

fn press(query: CallbackQuery) -> Option<Press> {
    let message = query.message?;
    let (action, alert) =
        match (query.data.strip_prefix(ACKNOWLEDGE), query.data.strip_prefix(SILENCE)) {
            (Some(alert), _) => (Action::Acknowledge, alert),
            (_, Some(alert)) => (Action::Silence, alert),
            _ => return None,
        };
    let names = [Some(query.from.first_name), query.from.last_name];
    let name: Vec<String> = names.into_iter().flatten().filter(|name| !name.is_empty()).collect();
    let who: String =
        name.join(" ").chars().filter(|one| !one.is_control()).take(NAME_CHARACTERS).collect();
    Some(Press {
        id: query.id,
        user: query.from.id,
        who: if who.is_empty() { query.from.id.to_string() } else { who },
        room: message.chat.id.to_string(),
        topic: message.message_thread_id.filter(|_| message.is_topic_message),
        message_id: message.message_id.to_string(),
        keyboard: message.reply_markup,
        action,
        alert: alert.to_owned(),
        data: query.data.clone(),
    })
}

impl BotButtons {
    pub(super) fn new(config: TelegramConfig, client: Client) -> Self {
        Self { config, client, moved_to: Mutex::default() }
    }

    fn timeout(&self) -> Duration {
        self.config.policy.timeout()
    }

    async fn call<T: serde::de::DeserializeOwned>(
        &self,
        method: &str,
        body: &Value,
        timeout: Duration,
    ) -> Result<T, Outcome> {
        let request = self.client.post(self.config.method(method));
        let request = post_json(request, &self.config.policy, body.to_string().into_bytes());
        let answer = exchange(request.timeout(timeout)).await?;
        let Some(reply) = answer.json::<BotReply>() else { return Err(answer.foreign()) };
        if reply.ok {
            return serde_json::from_value(reply.result)
                .map_err(|error| Outcome::Refused { why: format!("{method}: {error}") });
        }
        let edited = body["message_id"].as_i64().map(|id| id.to_string());
        Err(match refusal(reply, edited.as_deref()) {
            Meaning::Outcome(outcome) => outcome,
            Meaning::NoTopic { why } => Outcome::Refused { why },
            Meaning::Moved { chat_id } => {
                Outcome::Refused { why: format!("the group is now {chat_id}") }
            }
        })
    }
}
