//! Ranges that were asked for by hand.

use std::collections::BTreeMap;

use anyhow::Context as _;
use crypto_intel_nats::{Bucket, KvError, Nats};

use super::span::{Span, Spans};
use crate::{catalogue::find_provider, config::Config};

/// How often a range is queued against others who queue.
const MAX_ATTEMPTS: usize = 10;

/// By the name of a series: what is wanted of it beside what the configuration says.
pub(crate) type Queued = BTreeMap<String, Spans>;

/// The key of a provider.
pub(crate) fn queue_key(provider: &str) -> String {
    format!("poll.history.wanted.{provider}")
}

/// What is queued for a provider.
pub(crate) async fn queued(nats: &Nats, provider: &str) -> Result<Queued, KvError> {
    Ok(read(nats, provider).await?.0)
}

async fn read(nats: &Nats, provider: &str) -> Result<(Queued, Option<u64>), KvError> {
    let key = queue_key(provider);
    let Some(entry) = nats.kv(Bucket::Cursors).await?.get(&key).await? else {
        return Ok((Queued::new(), None));
    };
    let queued = serde_json::from_slice(&entry.value).unwrap_or_else(|error| {
        tracing::warn!(key, %error, "queued ranges are unreadable and are left out");
        Queued::new()
    });
    Ok((queued, Some(entry.revision)))
}

/// Has the poller ask for a range of the past: of an endpoint, or of all of a provider. Returns the names of the series.
/// What is there already is not asked for again.
///
/// # Errors
/// When there is no such past, or it cannot be written.
pub async fn queue_history(
    config: &Config,
    nats: &Nats,
    provider: &str,
    endpoint: Option<&str>,
    span: Span,
) -> anyhow::Result<Vec<String>> {
    let provider = find_provider(config, provider).context("load provider")?;
    let series = provider.histories_of(endpoint)?;
    let names: Vec<String> = series.iter().map(|history| history.name().to_owned()).collect();
    let bucket = nats.kv(Bucket::Cursors).await.context("open bucket of cursors")?;
    let key = queue_key(&provider.name);
    for _ in 0..MAX_ATTEMPTS {
        let (mut queued, revision) = read(nats, &provider.name).await.context("read the queue")?;
        names.iter().for_each(|name| queued.entry(name.clone()).or_default().add(span));
        let value = serde_json::to_vec(&queued)?;
        let written = match revision {
            Some(revision) => bucket.update(&key, value, revision).await,
            None => bucket.create(&key, value).await,
        };
        match written {
            Ok(_) => return Ok(names),
            Err(KvError::WrongRevision { .. } | KvError::AlreadyExists { .. }) => {}
            Err(error) => return Err(error).context("queue the range"),
        }
    }
    anyhow::bail!("others queue ranges of {} all the time: try again", provider.name)
}
