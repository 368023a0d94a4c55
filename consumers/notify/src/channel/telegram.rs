//! Telegram's Bot API: `sendMessage` with HTML.

use std::time::Duration;

use reqwest::{Client, header::CONTENT_TYPE};
use serde::Deserialize;
use serde_json::{Value, json};

use super::{
    Body, MessageContent, Outcome, Scope,
    http::{Answer, DEFAULT_WAIT, describe, exchange},
    layout,
};
use crate::{config::TelegramConfig, render::telegram as render};

/// Lines of one digest that fit 4,096 units with titles of [`DIGEST_TITLE_UNITS`].
pub(crate) const MAX_DIGEST_ALERTS: usize = 40;
pub(crate) const DIGEST_TITLE_UNITS: usize = 70;
/// Margin for clock differences: a request that is a little too early prolongs the wait.
const AFTER_WAIT: Duration = Duration::from_secs(1);

/// One chat and the bot that writes to it.
#[derive(Debug)]
pub(crate) struct Telegram {
    config: TelegramConfig,
    client: Client,
    /// The chat's current number, which differs from the configured one after a group was upgraded.
    pub(crate) chat_id: i64,
    /// Cleared when the topic does not exist.
    pub(crate) topic: Option<i64>,
}

#[derive(Deserialize)]
struct Reply {
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

impl Telegram {
    pub(crate) fn new(config: TelegramConfig, client: Client) -> Self {
        Self { client, chat_id: config.chat_id, topic: config.message_thread_id, config }
    }

    pub(crate) const fn configured_chat_id(&self) -> i64 {
        self.config.chat_id
    }

    pub(crate) fn body(&self, content: &MessageContent<'_>) -> Body {
        let layout = layout(content, DIGEST_TITLE_UNITS);
        let mut body = json!({
            "chat_id": self.chat_id,
            "link_preview_options": { "is_disabled": true },
            "disable_notification": layout.silent,
        });
        if content.plain {
            body["text"] = render::plain(&layout).into();
        } else {
            body["text"] = render::html(&layout).into();
            body["parse_mode"] = "HTML".into();
        }
        if let Some(topic) = self.topic {
            body["message_thread_id"] = topic.into();
        }
        Body(body.to_string().into_bytes())
    }

    pub(crate) async fn send(&self, body: Body) -> Outcome {
        let request = self
            .client
            .post(self.method("sendMessage"))
            .timeout(self.config.policy.timeout())
            .header(CONTENT_TYPE, "application/json")
            .body(body.0);
        match exchange(request).await {
            Ok(answer) => outcome(&answer),
            Err(outcome) => outcome,
        }
    }

    /// The bot's name, or what is wrong.
    pub(crate) async fn check(&self) -> Result<String, String> {
        let request = self.client.get(self.method("getMe")).timeout(self.config.policy.timeout());
        let response = request.send().await.map_err(describe)?;
        let status = response.status();
        let reply: Reply = response.json().await.map_err(|_| {
            format!("answer {status} of {} is not of a Bot API", self.config.api_url)
        })?;
        if !reply.ok {
            return Err(match reply.error_code {
                401 | 404 => "the token is refused: take a valid one from BotFather".to_owned(),
                _ => reply.description,
            });
        }
        let name = reply.result.get("username").and_then(Value::as_str).unwrap_or("unnamed");
        Ok(format!("bot @{name}, chat {}", self.chat_id))
    }

    /// The address holds the token: it is used in the request only.
    fn method(&self, method: &str) -> String {
        let base = self.config.api_url.expose().trim_end_matches('/');
        format!("{base}/bot{}/{method}", self.config.token.expose())
    }
}

fn outcome(answer: &Answer) -> Outcome {
    let Some(reply) = answer.json::<Reply>() else { return answer.foreign() };
    if reply.ok {
        return match reply.result.get("message_id").and_then(Value::as_i64) {
            Some(message_id) => Outcome::Sent { message_id: message_id.to_string() },
            None => Outcome::Uncertain { why: "answer ok without a message id".to_owned() },
        };
    }
    refusal(reply)
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

fn refusal(reply: Reply) -> Outcome {
    let why = format!("{} {}", reply.error_code, reply.description);
    let text = reply.description.to_lowercase();
    let says = |list: &[&str]| list.iter().any(|part| text.contains(part));
    if let Some(chat_id) = reply.parameters.migrate_to_chat_id {
        return Outcome::Moved { chat_id };
    }
    match reply.error_code {
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
        _ if says(DEAD) => closed_chat(why, INVITE),
        _ if says(RIGHTS) => closed_chat(why, "give the bot the right to write there"),
        _ if says(&["topic_closed"]) => {
            Outcome::NoTopic { why: format!("the topic is closed: {why}") }
        }
        _ if says(&["message thread not found", "topic_deleted"]) => {
            Outcome::NoTopic { why: format!("the topic does not exist: {why}") }
        }
        _ if says(&["can't parse entities"]) => Outcome::PlainText { why },
        403 => closed_chat(why, INVITE),
        _ => Outcome::Refused { why },
    }
}

const INVITE: &str = "invite the bot into the chat again, or correct chat_id";

const fn closed_chat(why: String, hint: &'static str) -> Outcome {
    Outcome::Closed { why, hint, whole_bot: false }
}

#[cfg(test)]
mod tests {
    use reqwest::StatusCode;

    use super::*;

    fn meant(status: u16, body: &str) -> Outcome {
        outcome(&Answer {
            status: StatusCode::from_u16(status).unwrap_or_default(),
            retry_after: None,
            pause: None,
            is_global: false,
            body: body.as_bytes().to_vec(),
        })
    }

    fn refused(code: u16, description: &str) -> Outcome {
        let body = json!({ "ok": false, "error_code": code, "description": description });
        meant(code, &body.to_string())
    }

    #[test]
    fn only_an_answer_with_an_id_is_sent() {
        let sent = meant(200, r#"{"ok":true,"result":{"message_id":7}}"#);
        assert_eq!(sent, Outcome::Sent { message_id: "7".to_owned() });
        assert_eq!(meant(200, r#"{"ok":true,"result":{}}"#).label(), "uncertain");
        assert_eq!(meant(200, "<html>hello</html>").label(), "uncertain");
        assert_eq!(meant(200, r#"{"ok":tr"#).label(), "uncertain");
    }

    #[test]
    fn waits_a_second_longer_than_asked() {
        let body = r#"{"ok":false,"error_code":429,"description":"Too Many Requests: retry after 7",
                       "parameters":{"retry_after":7}}"#;
        let Outcome::Wait { after, .. } = meant(429, body) else { panic!("must wait") };
        assert_eq!(after, Duration::from_secs(8));
        assert_eq!(refused(429, "Too Many Requests").label(), "wait");
    }

    #[test]
    fn every_known_refusal_has_its_meaning() {
        for (code, text, label) in [
            (401, "Unauthorized", "closed"),
            (404, "Not Found", "closed"),
            (400, "Bad Request: chat not found", "closed"),
            (403, "Forbidden: bot was blocked by the user", "closed"),
            (403, "Forbidden: bot was kicked from the supergroup chat", "closed"),
            (400, "Bad Request: not enough rights to send text messages", "closed"),
            (400, "Bad Request: message thread not found", "no_topic"),
            (400, "Bad Request: TOPIC_CLOSED", "no_topic"),
            (400, "Bad Request: can't parse entities: Unsupported start tag", "plain_text"),
            (400, "Bad Request: message is too long", "refused"),
            (400, "Bad Request: something new", "refused"),
            (500, "Internal Server Error", "not_sent"),
        ] {
            assert_eq!(refused(code, text).label(), label, "{code} {text}");
        }
    }

    #[test]
    fn a_closed_topic_is_told_as_closed_and_a_missing_one_as_missing() {
        let told = |text| match refused(400, text) {
            Outcome::NoTopic { why } => why,
            other => panic!("{other:?}"),
        };
        assert!(told("Bad Request: TOPIC_CLOSED").contains("is closed"));
        assert!(told("Bad Request: message thread not found").contains("does not exist"));
    }

    #[test]
    fn an_upgraded_group_names_its_new_number() {
        let body = r#"{"ok":false,"error_code":400,
            "description":"Bad Request: group chat was upgraded to a supergroup chat",
            "parameters":{"migrate_to_chat_id":-100777}}"#;
        assert_eq!(meant(400, body), Outcome::Moved { chat_id: -100_777 });
    }

    #[test]
    fn a_failure_in_somebody_elses_words_is_uncertain() {
        assert_eq!(meant(502, "<html>bad gateway</html>").label(), "uncertain");
        assert_eq!(meant(403, "<html>blocked</html>").label(), "not_sent");
        assert_eq!(meant(429, "slow down").label(), "wait");
        assert_eq!(meant(301, "").label(), "not_sent");
    }
}
