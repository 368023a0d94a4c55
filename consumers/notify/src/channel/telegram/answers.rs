//! What the Bot API's answers mean.

use std::time::Duration;

use serde::Deserialize;
use serde_json::Value;

use crate::channel::{DEFAULT_WAIT, Outcome, Scope, http::Answer};

/// Margin for clock differences: a request that is a little too early prolongs the wait.
const AFTER_WAIT: Duration = Duration::from_secs(1);

/// What an answer means: for the message, or for the address.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Meaning {
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
pub(super) struct BotReply {
    pub(super) ok: bool,
    #[serde(default)]
    pub(super) result: Value,
    #[serde(default)]
    pub(super) error_code: i64,
    #[serde(default)]
    pub(super) description: String,
    #[serde(default)]
    pub(super) parameters: Parameters,
}

#[derive(Default, Deserialize)]
pub(super) struct Parameters {
    retry_after: Option<u64>,
    migrate_to_chat_id: Option<i64>,
}

/// What an answer means. `edits`: the message that was to be changed.
pub(super) fn meaning(answer: &Answer, edits: Option<&str>) -> Meaning {
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

/// Why a message is refused for its picture: it cannot be read or is too large, or the chat takes none. Its text goes
/// alone then.
pub(super) fn picture_refusal(answer: &Answer) -> Option<String> {
    let reply: BotReply = answer.json()?;
    let text = reply.description.to_lowercase();
    let is_of_picture = reply.error_code == 413
        || reply.error_code == 400 && OF_PICTURE.iter().any(|part| text.contains(part));
    (!reply.ok && is_of_picture).then(|| format!("{} {}", reply.error_code, reply.description))
}

/// Texts of errors that a message without its picture does not meet.
const OF_PICTURE: &[&str] =
    &["photo", "image_process_failed", "send media", "wrong file", "file is too big"];

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

pub(super) fn refusal(reply: BotReply, edits: Option<&str>) -> Meaning {
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
        429 => {
            let seconds = reply.parameters.retry_after.map(Duration::from_secs);
            let after = seconds.unwrap_or(DEFAULT_WAIT).saturating_add(AFTER_WAIT);
            Outcome::wait(after, Scope::Destination, why)
        }
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
