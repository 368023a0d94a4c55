#![doc = include_str!("../README.md")]

mod channel;
mod check;
mod config;
mod delivery;
mod gate;
mod limiter;
mod metrics;
mod record;
mod render;
mod retry;
mod router;
mod run;
mod sender;
mod validate;

pub use check::check_destination;
pub use config::{
    AfterUncertain, ChatKind, Config, Destination, DiscordConfig, InDoubt, Limit, Policy,
    TelegramConfig,
};
pub use delivery::delivery_id;
pub use run::run;
