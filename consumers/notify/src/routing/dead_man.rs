//! Tells an outside service that all is well, so that it can say so when nothing here can.

use std::{
    sync::{
        Arc,
        atomic::{AtomicI64, Ordering},
    },
    time::Duration,
};

use crypto_intel_service::{Context, now_us};

use crate::config::DeadMan;

/// All is not well when the router last said so longer ago than this.
const MAX_AGE_US: i64 = 30_000_000;
const TIMEOUT: Duration = Duration::from_secs(10);

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
            probe.healthy("no ping: another instance routes, or something has stopped");
            continue;
        }
        let request = client.get(dead_man.url.expose()).timeout(TIMEOUT);
        // The address may hold a secret: it is in no text.
        match request.send().await.and_then(reqwest::Response::error_for_status) {
            Ok(_) => probe.healthy("pinged"),
            Err(error) => {
                let why = error.without_url().to_string();
                tracing::warn!(why, "the dead man's switch was not pinged");
                probe.unhealthy(format!("not pinged: {why}"));
            }
        }
    }
}
