use std::{collections::BTreeMap, time::Duration};

use crypto_intel_schemas::Severity;
use crypto_intel_service::{Address, Secret};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Where alerts are sent.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    /// Destination of alerts that name none, or none that is configured. Without it the former are not
    /// sent, and the latter become dead letters.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub unrouted: Option<String>,
    /// Chats and webhooks by the names that rules route to, such as `ops`.
    pub destinations: BTreeMap<String, Destination>,
}

/// One chat or webhook.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "channel", rename_all = "lowercase")]
pub enum Destination {
    /// A chat that a Telegram bot writes to.
    Telegram(TelegramConfig),
    /// A webhook of a Discord channel.
    Discord(DiscordConfig),
}

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
    /// Pacing, age and what to do in doubt.
    #[serde(default)]
    pub policy: Policy,
}

/// A webhook of a Discord channel.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct DiscordConfig {
    /// The webhook's address as Discord shows it: `https://discord.com/api/webhooks/<id>/<token>`.
    pub webhook_url: Secret,
    /// Thread or forum post to write to, if not the channel itself.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub thread_id: Option<u64>,
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

/// How a destination is treated.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Policy {
    /// What to do when an attempt was cut off, so that it is unknown whether it arrived.
    pub after_uncertain: AfterUncertain,
    /// A message whose event was seen longer ago than this is not sent, in seconds; 0 = never too old.
    pub max_age_seconds: u64,
    /// How long one attempt may take, in milliseconds, 100 to 60,000.
    pub timeout_ms: u64,
    /// Pacing: all of these apply at once, each as `{ messages = 18, per_ms = 60000 }`. Empty = the
    /// known limits of the service (Telegram private chat 1 per 1.05 s, group 18 per 60 s; Discord
    /// webhook 4 per 2 s and 25 per 60 s).
    pub limits: Vec<Limit>,
    /// Above this many waiting messages, and if pacing needs more than 20 s for them, those below
    /// critical are folded into one message; 0 = never.
    pub digest_above: u32,
    /// `/ready` fails when the oldest message has waited this long, in seconds.
    pub unhealthy_after_seconds: u64,
    /// When a destination that rejects everything ("chat not found", a webhook that is gone) is tried
    /// again, in seconds after each refusal; the last one repeats. Its messages wait meanwhile.
    pub probe_after_seconds: Vec<u64>,
    /// Destination that gets the messages that this one does not: waiting ones at once while this one
    /// rejects everything, and those that end as dead, uncertain or expired.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub fallback: Option<String>,
}

/// What to do after an uncertain attempt, by severity.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct AfterUncertain {
    /// For info.
    pub info: InDoubt,
    /// For warning.
    pub warning: InDoubt,
    /// For critical.
    pub critical: InDoubt,
}

/// What to do when it is unknown whether a message arrived.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum InDoubt {
    /// Send it again, marked as a possible repeat: at least once.
    #[default]
    Repeat,
    /// Do not send it again, record it as uncertain: at most once.
    Skip,
}

/// A maximum number of messages in any window of time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Limit {
    /// How many messages.
    pub messages: u32,
    /// Length of the window, milliseconds.
    pub per_ms: u64,
    /// How many of them only critical messages may use.
    #[serde(default)]
    pub reserved_for_critical: u32,
}

impl Limit {
    const fn new(messages: u32, per_ms: u64, reserved_for_critical: u32) -> Self {
        Self { messages, per_ms, reserved_for_critical }
    }
}

const DISCORD_CHANNEL: Limit = Limit::new(25, 60_000, 2);

impl Default for Policy {
    fn default() -> Self {
        Self {
            after_uncertain: AfterUncertain::default(),
            max_age_seconds: 86_400,
            timeout_ms: 15_000,
            limits: Vec::new(),
            digest_above: 10,
            unhealthy_after_seconds: 120,
            probe_after_seconds: vec![60, 120, 300, 900, 1_800, 3_600],
            fallback: None,
        }
    }
}

impl Default for AfterUncertain {
    fn default() -> Self {
        Self { info: InDoubt::Repeat, warning: InDoubt::Repeat, critical: InDoubt::Repeat }
    }
}

impl AfterUncertain {
    /// What to do for a severity.
    #[must_use]
    pub const fn of(&self, severity: Severity) -> InDoubt {
        match severity {
            Severity::Info => self.info,
            Severity::Warning => self.warning,
            Severity::Critical => self.critical,
        }
    }
}

impl Policy {
    /// How long one attempt may take.
    #[must_use]
    pub const fn timeout(&self) -> Duration {
        Duration::from_millis(self.timeout_ms)
    }
}

impl Destination {
    /// How it is treated.
    #[must_use]
    pub const fn policy(&self) -> &Policy {
        match self {
            Self::Telegram(telegram) => &telegram.policy,
            Self::Discord(discord) => &discord.policy,
        }
    }

    /// `telegram` or `discord`, as in delivery events.
    #[must_use]
    pub const fn channel(&self) -> &'static str {
        match self {
            Self::Telegram(_) => "telegram",
            Self::Discord(_) => "discord",
        }
    }

    /// The limits in force: the configured ones, else the known limits of the service.
    #[must_use]
    pub fn limits(&self) -> Vec<Limit> {
        if !self.policy().limits.is_empty() {
            return self.policy().limits.clone();
        }
        match self {
            Self::Telegram(telegram) if telegram.is_group() => {
                vec![Limit::new(1, 1_050, 0), Limit::new(18, 60_000, 2)]
            }
            Self::Telegram(_) => vec![Limit::new(1, 1_050, 0)],
            Self::Discord(_) => vec![Limit::new(4, 2_000, 0), DISCORD_CHANNEL],
        }
    }
}

impl Destination {
    /// The limits of all webhooks of one Discord channel together: the configured ones, else the known,
    /// undocumented limits of Discord.
    pub(crate) fn channel_limits(&self) -> Vec<Limit> {
        let configured = &self.policy().limits;
        if configured.is_empty() { vec![DISCORD_CHANNEL] } else { configured.clone() }
    }
}

impl TelegramConfig {
    fn is_group(&self) -> bool {
        match self.kind {
            Some(kind) => kind == ChatKind::Group,
            None => self.chat_id < 0,
        }
    }
}

fn default_api_url() -> Address {
    Address::from("https://api.telegram.org")
}

const fn default_bot_rate() -> u32 {
    25
}

impl Config {
    /// Whether a destination is configured.
    #[must_use]
    pub fn is_enabled(&self) -> bool {
        !self.destinations.is_empty()
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    const GOOD: &str = r#"
        [destinations.ops]
        channel = "telegram"
        token = "123:abc_DEF"
        chat_id = -1001
        policy = { after_uncertain = { info = "skip" }, fallback = "desk" }

        [destinations.desk]
        channel = "discord"
        webhook_url = "https://discord.com/api/webhooks/1/secret-part"
    "#;

    #[test]
    fn defaults_are_the_limits_of_the_services() {
        let config: Config = toml::from_str(GOOD).unwrap();
        assert_eq!(config.validate(), Ok(()));
        let ops = &config.destinations["ops"];
        assert_eq!(ops.limits()[1], Limit::new(18, 60_000, 2), "negative chat ids are groups");
        assert_eq!(ops.policy().after_uncertain.of(Severity::Info), InDoubt::Skip);
        assert_eq!(ops.policy().after_uncertain.of(Severity::Critical), InDoubt::Repeat);
        assert_eq!(config.destinations["desk"].limits()[0], Limit::new(4, 2_000, 0));
    }

    #[test]
    fn secrets_are_not_shown() {
        let config: Config = toml::from_str(GOOD).unwrap();
        let shown = format!("{config:?} {}", toml::to_string(&config).unwrap());
        assert!(!shown.contains("secret-part") && !shown.contains("abc_DEF"), "{shown}");
    }

    #[test]
    fn unknown_keys_are_refused() {
        let error = toml::from_str::<Config>(&GOOD.replace("chat_id", "chatid")).unwrap_err();
        assert!(error.to_string().contains("chatid"), "{error}");
    }
}
