use anyhow::Context as _;
use crypto_intel_schemas::Alert;
use crypto_intel_service::now_us;

use crate::{
    channel::{Channel, MessageContent, Outcome, clients, needs_tls},
    config::{Config, Destination},
    records::delivery::notification,
    render::Voice,
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
    let words = destination.policy().language.words();
    let alert = Alert {
        alert: "test".to_owned(),
        code: "TEST".to_owned(),
        rule: "test".to_owned(),
        title: words.notices.test.to_owned(),
        lines: vec![words.notices.test_line.replace("{}", name)],
        observed_at_us: now,
        seen_at_us: now,
        ..Alert::empty()
    };
    let own = notification(&alert, name);
    let (alerts, voice) = ([alert], Voice::of(destination.policy()));
    let request = channel.request(&MessageContent::new(&own, &alerts, &voice));
    match channel.send(request).await.outcome {
        Outcome::Sent { message_id } => Ok(message_id),
        Outcome::Closed { why, hint, .. } => anyhow::bail!("{why}: {hint}"),
        Outcome::Readdressed { why, hint } => anyhow::bail!("{why}: {hint}"),
        Outcome::Wait { after, why, .. } => {
            anyhow::bail!("{why}: try again after {} s", after.as_secs() + 1)
        }
        Outcome::Uncertain { why } => anyhow::bail!("unknown whether it arrived: {why}"),
        Outcome::NotSent { why }
        | Outcome::PlainText { why }
        | Outcome::Refused { why }
        | Outcome::LostAnchor { why } => anyhow::bail!(why),
    }
}

fn channel(name: &str, destination: &Destination) -> anyhow::Result<Box<dyn Channel>> {
    let destinations = [(name.to_owned(), destination.clone())].into();
    let config = Config { destinations, ..Config::default() };
    let clients = clients(needs_tls(&config))
        .context("make HTTP client; a machine without certificates needs ca-certificates")?;
    Ok(destination.settings().open(&clients))
}
