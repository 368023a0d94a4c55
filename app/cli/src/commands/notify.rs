//! `crypto-intel notify test`

use std::process::ExitCode;

use anyhow::{Context as _, bail};
use crypto_intel_notify::{reopen_destination, send_test};
use serde_json::json;

use super::{connect_nats, prepare};
use crate::{
    args::{Arguments, NotifyAction},
    output::Output,
};

pub(crate) async fn run(
    arguments: &Arguments,
    action: &NotifyAction,
    output: Output,
) -> anyhow::Result<ExitCode> {
    let config = prepare(arguments)?;
    let NotifyAction::Test { destination: name } = action;
    let Some(destination) = config.notify.destinations.get(name) else {
        let known: Vec<&str> = config.notify.destinations.keys().map(String::as_str).collect();
        bail!("no destination {name:?} is configured (known: {})", known.join(", "));
    };
    let message_id =
        send_test(name, destination).await.with_context(|| format!("destination {name}"))?;
    // What waits there would otherwise wait for the next try. It is also tried without NATS.
    let reopened = match connect_nats(&config, "notify-test").await {
        Ok(nats) => reopen_destination(&nats, name).await.unwrap_or_else(|error| {
            tracing::warn!(error = %format!("{error:#}"), "what waits for it is sent at its next try");
            false
        }),
        Err(error) => {
            tracing::warn!(error = %format!("{error:#}"), "nothing is known of what waits for it");
            false
        }
    };
    let report = json!({ "destination": name, "message_id": message_id, "reopened": reopened });
    output.show(&report, |_| {
        let more = if reopened { "; what waits for it is sent now" } else { "" };
        format!("{name} took a test message, id {message_id}{more}")
    })?;
    Ok(ExitCode::SUCCESS)
}
