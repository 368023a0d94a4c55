//! `--live`: a real chain over the public endpoints of its preset.

use std::time::Duration;

use anyhow::bail;
use crypto_intel_evm::{ChainConfig, EndpointConfig, check_endpoint, preset_names};
use futures::{StreamExt as _, stream::FuturesUnordered};

/// How long any endpoint may take to say its head.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(15);

/// A chain that others play.
#[derive(Debug)]
pub(super) struct LiveChain {
    chain: String,
    /// Given in place of those of the preset.
    endpoints: Vec<String>,
    /// The endpoint that answered first.
    first: String,
}

impl LiveChain {
    /// Looks whether any endpoint of the chain answers.
    pub(super) async fn find(chain: &str, endpoints: &[String]) -> anyhow::Result<Self> {
        let Some(mut config) = ChainConfig::from_preset(chain) else {
            bail!("--live {chain}: no such chain; known are {}", preset_names().join(", "));
        };
        if !endpoints.is_empty() {
            config.endpoints = endpoints.iter().map(EndpointConfig::at).collect();
        }
        let checks =
            config.endpoints.iter().map(|endpoint| check_endpoint(chain, &config, endpoint));
        let mut checks: FuturesUnordered<_> = checks.collect();
        let mut last_error = "none answered in time".to_owned();
        let first = tokio::time::timeout(ANSWER_TIMEOUT, async {
            while let Some(outcome) = checks.next().await {
                match outcome {
                    Ok(report) => return Some(report.endpoint),
                    Err(error) => last_error = error.to_string(),
                }
            }
            None
        });
        let Some(first) = first.await.unwrap_or_default() else {
            bail!(
                "--live {chain}: none of {} endpoints can be used, so this machine seems to have no way to them: {last_error}; without --live the demo plays a local chain",
                config.endpoints.len()
            );
        };
        Ok(Self { chain: chain.to_owned(), endpoints: endpoints.to_vec(), first })
    }

    /// What it is, for people.
    pub(super) fn name(&self) -> String {
        format!("{}, live by {}", self.chain, self.first)
    }

    /// Its part of the configuration: the name alone, for the preset has the rest.
    pub(super) fn settings(&self) -> String {
        let mut text = format!("[evm.chains.{}]\n", self.chain);
        if !self.endpoints.is_empty() {
            let endpoints = self.endpoints.iter().map(|url| format!("{{ url = \"{url}\" }}"));
            let endpoints: Vec<_> = endpoints.collect();
            text.push_str(&format!("endpoints = [{}]\n", endpoints.join(", ")));
        }
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn an_unknown_chain_and_dead_endpoints_are_told_in_a_sentence() {
        let unknown = LiveChain::find("ethereumm", &[]).await.unwrap_err().to_string();
        assert!(unknown.contains("known are arbitrum"), "{unknown}");
        let closed = ["ws://127.0.0.1:1".to_owned()];
        let dead = LiveChain::find("ethereum", &closed).await.unwrap_err().to_string();
        assert!(dead.contains("none of 1 endpoints") && dead.contains("local chain"), "{dead}");
    }
}
