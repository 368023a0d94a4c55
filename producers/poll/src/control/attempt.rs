//! A try of a provider by the instance that polls it: asked for and answered through the bucket `providers`, for a process that
//! does not have the provider's keys. It does what `crypto-intel providers try` does, by the same requests.

use std::{convert::Infallible, sync::Arc, time::Duration};

use anyhow::Context as _;
use crypto_intel_nats::{Bucket, KvWatch, Nats, escape_key};
use crypto_intel_service::{error_chain, now_us};
use serde::{Deserialize, Serialize};
use tokio::sync::broadcast;

use crate::{
    catalogue::Provider,
    clock::Clock,
    dry_run::{DryRun, asked_endpoints, run_of},
    fetch::Fetcher,
    quota::pace::Pace,
};

/// What keys of tries begin with: one of each provider.
pub(super) const ASKED_PREFIX: &str = "try.";
const ANSWER_PREFIX: &str = "tried.";
/// Older ones are of a time when no one polled.
const MAX_AGE_US: i64 = 30_000_000;
/// Longest try: a provider may have many endpoints and a small quota.
const TRY_TIMEOUT: Duration = Duration::from_secs(60);
/// Most texts of an answer, and their length.
const MAX_TEXTS: usize = 20;
const MAX_TEXT_CHARACTERS: usize = 256;

/// What people want tried.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct AskedTry {
    /// Tells the answer from those to others.
    id: String,
    provider: String,
    /// Absent: every endpoint that is polled.
    endpoint: Option<String>,
    at_us: i64,
}

impl AskedTry {
    pub(super) fn is_recent(&self) -> bool {
        now_us().saturating_sub(self.at_us).abs() <= MAX_AGE_US
    }
}

/// What a try gave so far. Nothing of it is published.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Tried {
    id: String,
    /// Each endpoint that was asked.
    pub runs: Vec<TriedEndpoint>,
    /// Whether these are all.
    pub complete: bool,
    /// Why nothing was asked.
    pub problem: Option<String>,
}

/// What one endpoint answered.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TriedEndpoint {
    /// Its name.
    pub endpoint: String,
    /// Time until the answer was read, or the failure, milliseconds.
    pub elapsed_ms: u64,
    /// Why there is no answer.
    pub error: Option<String>,
    /// Events that would have been published.
    pub events: usize,
    /// Parts of the answer that give no event, each with the reason; the first twenty.
    pub dropped: Vec<String>,
    /// What was asked for and is not in the answer; the first twenty.
    pub missing: Vec<String>,
}

impl From<DryRun> for TriedEndpoint {
    fn from(run: DryRun) -> Self {
        let short = |text: String| text.chars().take(MAX_TEXT_CHARACTERS).collect::<String>();
        let some = |texts: Vec<String>| texts.into_iter().take(MAX_TEXTS).map(short).collect();
        let elapsed_ms = u64::try_from(run.elapsed.as_millis()).unwrap_or(u64::MAX);
        let tried = Self {
            endpoint: run.endpoint,
            elapsed_ms,
            error: None,
            events: 0,
            dropped: Vec::new(),
            missing: Vec::new(),
        };
        match run.outcome {
            Err(error) => Self { error: Some(short(error_chain(&error))), ..tried },
            Ok(answer) => Self {
                events: answer.events.len(),
                dropped: some(answer.problems),
                missing: some(answer.missing),
                ..tried
            },
        }
    }
}

/// Has the instance that polls a provider try it, one endpoint or all; `id` tells this try from others. Returns what was answered within
/// this time, which need not be all; `None` where no instance answered.
///
/// # Errors
/// When the bucket cannot be read or written.
pub async fn try_elsewhere(
    nats: &Nats,
    id: &str,
    provider: &str,
    endpoint: Option<&str>,
    within: Duration,
) -> anyhow::Result<Option<Tried>> {
    let bucket = nats.kv(Bucket::Providers).await.context("open bucket of providers")?;
    let asked = AskedTry {
        id: id.to_owned(),
        provider: provider.to_owned(),
        endpoint: endpoint.map(str::to_owned),
        at_us: now_us(),
    };
    let mut answers = bucket.watch(&answer_key(provider)).await.context("watch for an answer")?;
    let key = format!("{ASKED_PREFIX}{}", escape_key(provider));
    bucket.put(&key, serde_json::to_vec(&asked)?).await.context("ask for a try")?;
    let mut newest = None;
    // What is known when the time is over is the answer.
    let _ = tokio::time::timeout(within, follow(&mut answers, id, &mut newest)).await;
    Ok(newest)
}

/// Keeps the newest answer to a try, until it is complete.
async fn follow(answers: &mut KvWatch, id: &str, newest: &mut Option<Tried>) {
    while let Some(change) = answers.next().await {
        let told = change.value.and_then(|value| serde_json::from_slice::<Tried>(&value).ok());
        if let Some(tried) = told.filter(|tried| tried.id == id) {
            let is_complete = tried.complete;
            *newest = Some(tried);
            if is_complete {
                return;
            }
        }
    }
}

fn answer_key(provider: &str) -> String {
    format!("{ANSWER_PREFIX}{}", escape_key(provider))
}

/// Tries a provider whenever people want it, while this instance polls it.
#[derive(Debug)]
pub(crate) struct TryRunner {
    pub(crate) provider: Arc<Provider>,
    pub(crate) fetcher: Fetcher,
    pub(crate) nats: Nats,
    pub(crate) asked: broadcast::Receiver<AskedTry>,
}

impl TryRunner {
    /// Waits for tries until it is dropped.
    pub(crate) async fn run(mut self) -> Infallible {
        loop {
            match self.asked.recv().await {
                Ok(asked) if asked.provider == self.provider.name => self.attempt(&asked).await,
                Ok(_) | Err(broadcast::error::RecvError::Lagged(_)) => {}
                Err(broadcast::error::RecvError::Closed) => std::future::pending().await,
            }
        }
    }

    async fn attempt(&self, asked: &AskedTry) {
        let id = asked.id.clone();
        let mut tried = Tried { id, runs: Vec::new(), complete: false, problem: None };
        let all = self.ask_all(asked, &mut tried);
        let in_time = tokio::time::timeout(TRY_TIMEOUT, all).await;
        let outcome = in_time.unwrap_or_else(|_| Err(anyhow::anyhow!("it took too long")));
        tried.problem = outcome.err().map(|error| format!("{error:#}"));
        tried.complete = true;
        self.tell(&tried).await;
    }

    async fn ask_all(&self, asked: &AskedTry, tried: &mut Tried) -> anyhow::Result<()> {
        let mut pace = Pace::new(self.provider.limits, Clock::default());
        for endpoint in asked_endpoints(&self.provider, asked.endpoint.as_deref())? {
            let run = run_of(&self.fetcher, &self.provider, endpoint, &mut pace).await;
            tried.runs.push(run.into());
            self.tell(tried).await;
        }
        Ok(())
    }

    async fn tell(&self, tried: &Tried) {
        let write = async {
            let bucket = self.nats.kv(Bucket::Providers).await?;
            bucket
                .put(
                    &answer_key(&self.provider.name),
                    serde_json::to_vec(tried).unwrap_or_default(),
                )
                .await
        };
        if let Err(error) = write.await {
            let provider = self.provider.name.as_str();
            tracing::warn!(provider, error = %format!("{error:#}"), "cannot tell what a try gave");
        }
    }
}
