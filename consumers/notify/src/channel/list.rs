use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{
    Settings, discord::DiscordConfig, email::EmailConfig, ntfy::NtfyConfig,
    pagerduty::PagerdutyConfig, slack::SlackConfig, telegram::TelegramConfig,
    webhook::WebhookConfig,
};
use crate::config::{Limit, Policy};

/// Makes the choice of channels, and the way from each to its settings.
macro_rules! channels {
    ($($(#[doc = $doc:literal])+ $variant:ident($config:ty) = $name:literal,)+) => {
        /// A place where people are told.
        #[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
        #[serde(tag = "channel")]
        pub enum Destination {
            $($(#[doc = $doc])+ #[serde(rename = $name)] $variant($config),)+
        }

        impl Destination {
            /// The channel's name, as in the configuration and in delivery events.
            #[must_use]
            pub const fn channel(&self) -> &'static str {
                match self {
                    $(Self::$variant(_) => $name,)+
                }
            }

            pub(crate) fn settings(&self) -> &dyn Settings {
                match self {
                    $(Self::$variant(config) => config,)+
                }
            }
        }
    };
}

channels! {
    /// A chat that a Telegram bot writes to.
    Telegram(TelegramConfig) = "telegram",
    /// A webhook of a Discord channel.
    Discord(DiscordConfig) = "discord",
    /// A channel of Slack.
    Slack(SlackConfig) = "slack",
    /// A topic of ntfy.
    Ntfy(NtfyConfig) = "ntfy",
    /// Mail to one or more people.
    Email(EmailConfig) = "email",
    /// Incidents of a service of PagerDuty.
    Pagerduty(PagerdutyConfig) = "pagerduty",
    /// A receiver of signed requests.
    Webhook(WebhookConfig) = "webhook",
}

impl Destination {
    /// How it is treated.
    #[must_use]
    pub fn policy(&self) -> &Policy {
        self.settings().policy()
    }

    /// The limits in force: the configured ones, else the known limits of the service.
    #[must_use]
    pub fn limits(&self) -> Vec<Limit> {
        let configured = &self.policy().limits;
        if configured.is_empty() { self.settings().known_limits() } else { configured.clone() }
    }

    /// The limits of the room that several addresses write to: the configured ones, else the known ones.
    pub(crate) fn room_limits(&self) -> Vec<Limit> {
        let configured = &self.policy().limits;
        if configured.is_empty() {
            self.settings().sharing().room_limits
        } else {
            configured.clone()
        }
    }
}
