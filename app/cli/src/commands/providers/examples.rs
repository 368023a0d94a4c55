//! `crypto-intel providers test`

use std::process::ExitCode;

use anyhow::Context as _;
use serde_json::json;

use crate::{config::AppConfig, output::Output};

/// Checks every file on its own examples; a file that is wrong ends it with what is wrong, where.
pub(super) fn run(config: &AppConfig, output: Output) -> anyhow::Result<ExitCode> {
    let providers = crypto_intel_poll::providers(&config.poll).context("check provider files")?;
    let endpoints: usize = providers.iter().map(|provider| provider.endpoints.len()).sum();
    let pasts: usize = providers.iter().map(|provider| provider.histories.len()).sum();
    let report = json!({ "providers": providers.len(), "endpoints": endpoints, "pasts": pasts });
    output.show(&report, |_| {
        format!(
            "{endpoints} endpoints of {} providers, {pasts} with a past: every example gives events",
            providers.len()
        )
    })?;
    Ok(ExitCode::SUCCESS)
}
