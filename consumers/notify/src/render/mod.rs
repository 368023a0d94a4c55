//! From an alert to a message: text without markup first, then each channel's own form.

pub(crate) mod chart;
pub(crate) mod discord;
pub(crate) mod email;
mod fit;
mod layout;
pub(crate) mod ntfy;
pub(crate) mod pagerduty;
pub(crate) mod slack;
pub(crate) mod telegram;
mod text;
mod voice;
pub(crate) mod webhook;
mod words;

pub(crate) use voice::{Voice, zone};
pub use words::Language;
pub(crate) use words::Words;

#[cfg(test)]
mod golden;
#[cfg(test)]
mod samples;
