use crypto_intel_service::{Address, Secret};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Telegram, buttons::BotButtons};
use crate::{
    channel::{
        Buttons, Channel, Clients, HiddenName, Settings, SharedService, Sharing,
        http::{is_https, is_web},
    },
    config::{Limit, Policy},
};

/// A chat that a Telegram bot writes to.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct TelegramConfig {
    /// The bot's token, as BotFather gave it: `123456:ABC…`.
    pub token: Secret,
    /// Number of the chat; negative for groups and channels. Not the `@name`.
    pub chat_id: i64,
    /// Topic of a forum group; leave it out for the General topic.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub message_thread_id: Option<i64>,
    /// Whether the chat is private or a group: they are paced differently. Without it the sign of
    /// `chat_id` decides.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub kind: Option<ChatKind>,
    /// The Bot API server.
    #[serde(default = "default_api_url")]
    pub api_url: Address,
    /// Maximum number of messages per second of this bot over all its chats.
    #[serde(default = "default_bot_rate")]
    pub bot_messages_per_second: u32,
    /// Ids of the people whose buttons count. With at least one, alerts have the buttons *acknowledge* and *silence 1 h*; the bot
    /// is then asked for what was pressed, which works for one program at a time and not beside a webhook of the bot.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub allowed_users: Vec<i64>,
    /// Pacing, age and what to do in doubt.
    #[serde(default)]
    pub policy: Policy,
}

/// What kind of Telegram chat: groups and channels take fewer messages.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum ChatKind {
    /// One person.
    Private,
    /// A group, supergroup or channel.
    Group,
}

impl TelegramConfig {
    fn is_group(&self) -> bool {
        match self.kind {
            Some(kind) => kind == ChatKind::Group,
            None => self.chat_id < 0,
        }
    }

    /// Address of a method of the Bot API. It holds the token: it is used in the request only.
    pub(super) fn method(&self, method: &str) -> String {
        let base = self.api_url.expose().trim_end_matches('/');
        format!("{base}/bot{}/{method}", self.token.expose())
    }
}

fn default_api_url() -> Address {
    Address::from("https://api.telegram.org")
}

const fn default_bot_rate() -> u32 {
    25
}

impl Settings for TelegramConfig {
    fn policy(&self) -> &Policy {
        &self.policy
    }

    fn known_limits(&self) -> Vec<Limit> {
        let chat = Limit::new(1, 1_050, 0);
        if self.is_group() { vec![chat, Limit::new(18, 60_000, 2)] } else { vec![chat] }
    }

    fn address(&self) -> String {
        let token = self.token.expose();
        format!("{} {token} {} {:?}", self.api_url, self.chat_id, self.message_thread_id)
    }

    fn sharing(&self) -> Sharing {
        let token = self.token.expose();
        let bot = SharedService {
            key: HiddenName::new(format!("bot {token}")),
            limits: vec![Limit::new(self.bot_messages_per_second, 1_000, 0)],
            freezes_together: true,
        };
        // All topics of a chat share its limits.
        let own = Some(HiddenName::new(format!("chat {token} {}", self.chat_id)));
        Sharing { own, service: Some(bot), room_limits: Vec::new() }
    }

    fn takes_pictures(&self) -> bool {
        true
    }

    fn needs_tls(&self) -> bool {
        is_https(self.api_url.expose())
    }

    fn problems(&self) -> Vec<String> {
        let mut found = Vec::new();
        if self.token.problem().is_some() {
            return found;
        }
        let token = self.token.expose();
        let well_formed = token.split_once(':').is_some_and(|(bot, key)| {
            let plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-');
            !bot.is_empty()
                && bot.bytes().all(|byte| byte.is_ascii_digit())
                && !key.is_empty()
                && key.bytes().all(plain)
        });
        if !well_formed {
            found.push(
                "token is not a bot token: it has the form 123456:ABC… and comes from BotFather"
                    .to_owned(),
            );
        }
        if self.chat_id == 0 {
            found.push("chat_id is 0: use the number of the chat, negative for a group".to_owned());
        }
        if self.message_thread_id == Some(1) {
            found.push(
                "message_thread_id 1 is the General topic, which must be left out".to_owned(),
            );
        }
        if self.bot_messages_per_second == 0 {
            found.push("bot_messages_per_second must be above 0".to_owned());
        }
        if !is_web(self.api_url.expose()) {
            found.push(format!("api_url ({}) is no http or https address", self.api_url));
        }
        found
    }

    fn open(&self, clients: &Clients) -> Box<dyn Channel> {
        Box::new(Telegram::new(self.clone(), clients.services.clone()))
    }

    fn buttons(&self, clients: &Clients) -> Option<Box<dyn Buttons>> {
        if self.allowed_users.is_empty() {
            return None;
        }
        Some(Box::new(BotButtons::new(self.clone(), clients.services.clone())))
    }
}
