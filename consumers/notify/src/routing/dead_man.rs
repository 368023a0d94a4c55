//! Tells an outside service that all is well, so that it can say so when nothing here can.

use std::{
    sync::{
        Arc,
        atomic::{AtomicI64, Ordering},
    },
    time::Duration,
};

use crypto_intel_service::{Context, now_us};

use crate::{channel::is_web, config::DeadMan};

/// All is not well when the router last said so longer ago than this.
const MAX_AGE_US: i64 = 30_000_000;
const TIMEOUT: Duration = Duration::from_secs(10);
const MAX_PING_SECONDS: u64 = 86_400;

/// When the router last found everything well.
#[derive(Debug, Default)]
pub(crate) struct Pulse(AtomicI64);

impl Pulse {
    pub(crate) fn beat(&self) {
        self.0.store(now_us(), Ordering::Relaxed);
    }

    fn is_fresh(&self) -> bool {
        now_us() - self.0.load(Ordering::Relaxed) <= MAX_AGE_US
    }
}

/// Pings until the process stops, while all is well and this instance routes.
pub(crate) async fn run(
    dead_man: DeadMan,
    client: reqwest::Client,
    pulse: Arc<Pulse>,
    context: Context,
) -> anyhow::Result<()> {
    let probe = context.health.probe("notify.dead_man", None);
    probe.healthy("no ping is due");
    let mut rounds = tokio::time::interval(Duration::from_secs(dead_man.every_seconds.max(1)));
    loop {
        tokio::select! {
            () = context.shutdown.cancelled() => return Ok(()),
            _ = rounds.tick() => {}
        }
        if !pulse.is_fresh() {
            probe.healthy(
                "no ping: another instance routes, or it is not known that the rules are evaluated",
            );
            continue;
        }
        let request = client.get(dead_man.url.expose()).timeout(TIMEOUT);
        match refusal(request.send().await) {
            None => probe.healthy("pinged"),
            Some(why) => {
                tracing::warn!(why, "the dead man's switch was not pinged");
                probe.unhealthy(format!("not pinged: {why}"));
            }
        }
    }
}

/// Why a request is no ping. The address may hold a secret: it is in no text.
fn refusal(answer: Result<reqwest::Response, reqwest::Error>) -> Option<String> {
    match answer {
        Ok(answer) if answer.status().is_success() => None,
        Ok(answer) if answer.status().is_redirection() => Some(format!(
            "answer {}: redirects are not followed, set notify.dead_man.url to where it leads",
            answer.status()
        )),
        Ok(answer) => Some(format!("answer {}", answer.status())),
        Err(error) => Some(error.without_url().to_string()),
    }
}

impl DeadMan {
    /// What is wrong with it, each with the correction.
    pub(crate) fn problems(&self) -> Vec<String> {
        let mut found = Vec::new();
        if self.url.problem().is_none() && !is_web(self.url.expose()) {
            found.push("url is no http or https address: take it from the service".to_owned());
        }
        if !(1..=MAX_PING_SECONDS).contains(&self.every_seconds) {
            found.push(format!(
                "every_seconds is {}: choose 1 to {MAX_PING_SECONDS}",
                self.every_seconds
            ));
        }
        found
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    #[test]
    fn the_address_is_checked_and_never_shown() {
        let problems = |text: &str| toml::from_str::<DeadMan>(text).unwrap().problems();
        assert!(problems("url = \"https://hc.example.org/secret-part\"").is_empty());
        let wrong = problems("url = \"hc.example.org/secret-part\"\nevery_seconds = 0");
        assert_eq!(wrong.len(), 2, "{wrong:?}");
        assert!(!wrong.concat().contains("secret-part"), "{wrong:?}");
    }
}
