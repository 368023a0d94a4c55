use std::{collections::BTreeMap, path::PathBuf, time::Duration};

use crypto_intel_schemas::Severity;
use crypto_intel_service::Secret;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

pub(crate) use crate::channel::Destination;
use crate::render::Language;

/// Where alerts are sent.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    /// Destination of alerts that name none, or none that is configured. Without it the former are not
    /// sent, and the latter become dead letters.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub unrouted: Option<String>,
    /// File with the tree of routes, inhibitions, quiet hours and signs of life; relative to this file. It is read again when
    /// it changes.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub routes: Option<PathBuf>,
    /// An outside service that is told that all is well, and says so when it hears nothing.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub dead_man: Option<DeadMan>,
    /// Chats and webhooks by the names that rules route to, such as `ops`.
    pub destinations: BTreeMap<String, Destination>,
}

/// An outside service that expects a ping, such as Healthchecks.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct DeadMan {
    /// Address that is requested by GET; it answers 2xx.
    pub url: Secret,
    /// Seconds between two pings, 1 to 86,400. They stop when this instance does not route, NATS is unreachable, or it is not
    /// known that the rules are evaluated.
    #[serde(default = "default_ping_seconds")]
    pub every_seconds: u64,
}

const fn default_ping_seconds() -> u64 {
    60
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
    /// webhook 4 per 2 s and 25 per 60 s; the others in docs/notifications.md).
    pub limits: Vec<Limit>,
    /// Above this many waiting messages, and if pacing needs more than 20 s for them, those below
    /// critical are folded into one message; 0 = never.
    pub digest_above: u32,
    /// `/ready` fails when the oldest message has waited this long, in seconds.
    pub unhealthy_after_seconds: u64,
    /// When a destination that rejects everything ("chat not found", a webhook that is gone) is tried
    /// again, in seconds after each refusal; the last one repeats. Its messages wait meanwhile.
    pub probe_after_seconds: Vec<u64>,
    /// Language of what is added to the rules' texts: `en` or `es`.
    pub language: Language,
    /// Time zone of the times in messages, by its IANA name, such as `Europe/Madrid`.
    pub time_zone: String,
    /// Whether alerts that carry a chart, those of windows, are sent with a small picture of it. For channels that take
    /// pictures: `telegram`, `discord`, `email`.
    pub charts: bool,
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
    pub(crate) const fn new(messages: u32, per_ms: u64, reserved_for_critical: u32) -> Self {
        Self { messages, per_ms, reserved_for_critical }
    }
}

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
            language: Language::En,
            time_zone: "UTC".to_owned(),
            charts: false,
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

impl Config {
    /// Whether a destination is configured.
    #[must_use]
    pub fn is_enabled(&self) -> bool {
        !self.destinations.is_empty()
    }

    /// The configured destinations with the languages of their messages.
    #[must_use]
    pub fn languages(&self) -> BTreeMap<String, Language> {
        let destinations = self.destinations.iter();
        destinations.map(|(name, to)| (name.clone(), to.policy().language)).collect()
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
