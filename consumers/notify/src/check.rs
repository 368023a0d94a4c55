use anyhow::Context as _;
use crypto_intel_schemas::Alert;
use crypto_intel_service::now_us;

use crate::{
    channel::{Channel, MessageContent, Outcome, client, needs_tls},
    config::{Config, Destination},
};

/// Asks the service whether a destination's address and secret are valid, and returns their owner.
/// Sends no message.
///
/// # Errors
/// When the service cannot be reached or refuses; the text holds no secret and has a hint where
/// one is known.
pub async fn check_destination(name: &str, destination: &Destination) -> anyhow::Result<String> {
    channel(name, destination)?.check().await.map_err(|reason| anyhow::anyhow!(reason))
}

/// Sends one message that says it is a test, and returns the service's id of it.
///
/// # Errors
/// The service's text, with a hint where one is known; it holds no secret.
pub async fn send_test(name: &str, destination: &Destination) -> anyhow::Result<String> {
    let channel = channel(name, destination)?;
    let now = now_us();
    let alert = Alert {
        alert: "test".to_owned(),
        code: "TEST".to_owned(),
        rule: "test".to_owned(),
        title: "Test message".to_owned(),
        lines: vec![format!("Alerts for the destination {name} arrive here.")],
        observed_at_us: now,
        seen_at_us: now,
        ..Alert::empty()
    };
    let content = MessageContent { alerts: &[alert], repeat: false, plain: false };
    let body = channel.body(&content);
    match channel.send(body).await.outcome {
        Outcome::Sent { message_id } => Ok(message_id),
        Outcome::Closed { why, hint, .. } => anyhow::bail!("{why}: {hint}"),
        Outcome::Moved { chat_id } => {
            anyhow::bail!("the group was upgraded and has another number: set chat_id to {chat_id}")
        }
        Outcome::Wait { after, why, .. } => {
            anyhow::bail!("{why}: try again after {} s", after.as_secs() + 1)
        }
        Outcome::Uncertain { why } => anyhow::bail!("unknown whether it arrived: {why}"),
        Outcome::NoTopic { why } => anyhow::bail!("{why}: correct message_thread_id"),
        Outcome::NotSent { why }
        | Outcome::PlainText { why }
        | Outcome::Refused { why }
        | Outcome::Again { why } => anyhow::bail!(why),
    }
}

fn channel(name: &str, destination: &Destination) -> anyhow::Result<Channel> {
    let destinations = [(name.to_owned(), destination.clone())].into();
    let config = Config { destinations, ..Config::default() };
    let client = client(needs_tls(&config))
        .context("make HTTP client; a machine without certificates needs ca-certificates")?;
    Ok(Channel::new(destination, client))
}
