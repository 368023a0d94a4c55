//! From an alert to a message: text without markup first, then each channel's own form.

pub(crate) mod discord;
mod fit;
mod layout;
pub(crate) mod telegram;
mod text;

pub(crate) use layout::{Layout, alert_layout, digest_layout};

#[cfg(test)]
mod samples;
