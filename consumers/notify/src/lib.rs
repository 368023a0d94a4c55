#![doc = include_str!("../README.md")]

mod buttons;
mod channel;
mod check;
mod config;
mod history;
mod metrics;
mod pacing;
mod records;
mod render;
mod role;
mod router;
mod routing;
mod run;
mod sender;
mod validate;

pub use channel::{
    Destination,
    discord::DiscordConfig,
    email::{EmailConfig, SmtpTls},
    ntfy::NtfyConfig,
    pagerduty::PagerdutyConfig,
    slack::SlackConfig,
    telegram::{ChatKind, TelegramConfig},
    webhook::WebhookConfig,
};
pub use check::{check_destination, send_test};
pub use config::{AfterUncertain, Config, DeadMan, InDoubt, Limit, Policy};
pub use history::{AlertStory, StoryDelivery, StoryMessage, TakenBy, list_alerts, show_alert};
pub use records::dead_letters::{
    RetryError, hand_back_dead_letter, reopen_destination, retry_dead_letter,
};
pub use records::delivery::delivery_id;
pub use render::Language;
pub use role::ROLE;
pub use routing::{
    explain::{ExplainedTarget, Explanation, alert_of, explain},
    file::RouteProblem,
    matcher::{Matcher, NoMatcher},
    reload::check_routes,
    silences::{NewSilence, Silences, acknowledge},
    subscriptions::{NoSubscription, Subscriptions},
    weekly::{RecurringSilence, recurring_silences},
};
pub use run::run;
