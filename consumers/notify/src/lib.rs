#![doc = include_str!("../README.md")]

mod channel;
mod check;
mod closed;
mod config;
mod dead_letters;
mod delivery;
mod gate;
mod limiter;
mod metrics;
mod record;
mod removed;
mod render;
mod role;
mod router;
mod run;
mod sender;
mod validate;

pub use check::{check_destination, send_test};
pub use config::{
    AfterUncertain, ChatKind, Config, Destination, DiscordConfig, InDoubt, Limit, Policy,
    TelegramConfig,
};
pub use dead_letters::{reopen_destination, retry_dead_letter};
pub use delivery::delivery_id;
pub use role::ROLE;
pub use run::run;
