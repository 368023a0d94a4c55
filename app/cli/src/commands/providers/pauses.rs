//! `crypto-intel providers pause|resume NAME[/ENDPOINT]`

use std::{process::ExitCode, time::Duration};

use anyhow::Context as _;
use crypto_intel_poll::{NewPause, Pause, ProviderSummary, pause, providers, resume};

use super::super::connect_nats;
use crate::{changes::Change, config::AppConfig, output::Output, times::time_text};

/// Pauses a provider, or one endpoint of it.
pub(super) async fn begin(
    config: &AppConfig,
    name: &str,
    duration: Duration,
    reason: &str,
    by: &str,
    output: Output,
) -> anyhow::Result<ExitCode> {
    let (provider, endpoint) = super::parts_of(name);
    let summary = summary_of(config, provider)?;
    let nats = connect_nats(config, "providers").await?;
    let made = pause(&nats, &summary, NewPause { endpoint, duration, by, reason }).await?;
    Change::new("provider.pause").of(made.target()).by(by).to(&made).tell(&nats).await?;
    output.show(&made, |made| {
        format!("{} is paused until {}", made.target(), time_text(made.until_us))
    })?;
    Ok(ExitCode::SUCCESS)
}

fn summary_of(config: &AppConfig, provider: &str) -> anyhow::Result<ProviderSummary> {
    let known = providers(&config.poll).context("read provider files")?;
    known.into_iter().find(|known| known.name == provider).with_context(|| {
        format!("there is no provider {provider:?}; `crypto-intel providers list --all` lists them")
    })
}

/// Ends the pauses of a provider, or that of one endpoint.
pub(super) async fn end(
    config: &AppConfig,
    name: &str,
    by: &str,
    output: Output,
) -> anyhow::Result<ExitCode> {
    let (provider, endpoint) = super::parts_of(name);
    let nats = connect_nats(config, "providers").await?;
    let ended = resume(&nats, provider, endpoint).await?;
    if ended.is_empty() {
        // A pause outlives its provider's file; a name that nothing has is a slip.
        summary_of(config, provider)?;
    } else {
        Change::new("provider.resume").of(name).by(by).from(Some(&ended)).tell(&nats).await?;
    }
    output.show(&ended, |ended| {
        if ended.is_empty() {
            return format!("{name} was not paused");
        }
        let targets: Vec<String> = ended.iter().map(Pause::target).collect();
        format!("{}: asked again", targets.join(", "))
    })?;
    Ok(ExitCode::SUCCESS)
}
