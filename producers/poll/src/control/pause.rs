//! Pauses that people make, kept in the bucket `providers`: they hold in every instance, and end by themselves.

use std::time::Duration;

use crypto_intel_nats::{Bucket, KvError, Nats, escape_key};
use crypto_intel_schemas::is_printable;
use crypto_intel_service::now_us;
use serde::{Deserialize, Serialize};

use crate::{catalogue::ProviderSummary, quota::calendar::shown};

/// The longest pause. The bucket forgets what is older.
pub const MAX_PAUSE: Duration = Duration::from_secs(7 * 86_400);
const MAX_REASON_CHARACTERS: usize = 500;
/// What keys of pauses begin with.
pub(super) const PREFIX: &str = "pause.";

/// A provider, or one endpoint of it, that is not asked for a time.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Pause {
    /// The provider.
    pub provider: String,
    /// The endpoint; absent: all of the provider.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub endpoint: Option<String>,
    /// Who made it.
    pub by: String,
    /// Why.
    pub reason: String,
    /// Since when, microseconds UTC.
    pub since_us: i64,
    /// Until when, microseconds UTC.
    pub until_us: i64,
}

impl Pause {
    /// Whether it holds at a time.
    #[must_use]
    pub const fn is_active(&self, at_us: i64) -> bool {
        at_us < self.until_us
    }

    /// What it is of: `coingecko`, or `coingecko/simple-price`.
    #[must_use]
    pub fn target(&self) -> String {
        target(&self.provider, self.endpoint.as_deref())
    }

    /// Whether it holds for requests to an endpoint.
    pub(super) fn covers(&self, provider: &str, endpoint: &str) -> bool {
        self.provider == provider && self.endpoint.as_ref().is_none_or(|one| one == endpoint)
    }

    /// For people.
    pub(crate) fn text(&self) -> String {
        format!("paused by {} until {}: {}", self.by, shown(self.until_us), self.reason)
    }

    fn key(&self) -> String {
        format!("{PREFIX}{}", escape_key(&self.target()))
    }
}

fn target(provider: &str, endpoint: Option<&str>) -> String {
    match endpoint {
        Some(endpoint) => format!("{provider}/{endpoint}"),
        None => provider.to_owned(),
    }
}

/// A pause to be made.
#[derive(Debug, Clone, Copy)]
pub struct NewPause<'a> {
    /// Of this endpoint; absent: of all of the provider.
    pub endpoint: Option<&'a str>,
    /// How long it lasts from now on.
    pub duration: Duration,
    /// Who makes it.
    pub by: &'a str,
    /// Why; others read it.
    pub reason: &'a str,
}

/// A pause cannot be made.
#[derive(Debug, thiserror::Error)]
pub enum PauseError {
    /// There is no such endpoint.
    #[error("provider {provider} has no endpoint {endpoint:?}; there are {}", known.join(", "))]
    Endpoint {
        /// The provider.
        provider: String,
        /// What was asked for.
        endpoint: String,
        /// Its endpoints.
        known: Vec<String>,
    },
    /// It would be too short or too long.
    #[error("a pause lasts from a second to {} days", MAX_PAUSE.as_secs() / 86_400)]
    Length,
    /// It has no reason, or one that cannot be shown.
    #[error(
        "write a reason of 1 to {MAX_REASON_CHARACTERS} printable characters: others ask why it is not polled"
    )]
    Reason,
    /// The bucket cannot be read or written.
    #[error(transparent)]
    Bucket(#[from] KvError),
}

/// Pauses a provider, or one endpoint of it: whichever instance polls it asks nothing until the pause ends. A pause of the same is
/// replaced.
///
/// # Errors
/// When there is no such endpoint, the pause is out of bounds, or it cannot be written.
pub async fn pause(
    nats: &Nats,
    provider: &ProviderSummary,
    new: NewPause<'_>,
) -> Result<Pause, PauseError> {
    if let Some(endpoint) = new.endpoint
        && !provider.endpoints.iter().any(|known| known.name == endpoint)
    {
        let known = provider.endpoints.iter().map(|known| known.name.clone()).collect();
        let (provider, endpoint) = (provider.name.clone(), endpoint.to_owned());
        return Err(PauseError::Endpoint { provider, endpoint, known });
    }
    if new.duration < Duration::from_secs(1) || new.duration > MAX_PAUSE {
        return Err(PauseError::Length);
    }
    let is_text = new.reason.chars().all(is_printable) && !new.reason.trim().is_empty();
    if !is_text || new.reason.chars().count() > MAX_REASON_CHARACTERS {
        return Err(PauseError::Reason);
    }
    let since_us = now_us();
    let length_us = i64::try_from(new.duration.as_micros()).unwrap_or(i64::MAX);
    let made = Pause {
        provider: provider.name.clone(),
        endpoint: new.endpoint.map(str::to_owned),
        by: new.by.to_owned(),
        reason: new.reason.to_owned(),
        since_us,
        until_us: since_us.saturating_add(length_us),
    };
    let bucket = nats.kv(Bucket::Providers).await.map_err(KvError::from)?;
    bucket.put(&made.key(), serde_json::to_vec(&made).unwrap_or_default()).await?;
    Ok(made)
}

/// Ends the pauses of a provider, those of its endpoints too, or that of one endpoint. Returns those that held.
///
/// # Errors
/// When the bucket cannot be read or written.
pub async fn resume(
    nats: &Nats,
    provider: &str,
    endpoint: Option<&str>,
) -> Result<Vec<Pause>, KvError> {
    let bucket = nats.kv(Bucket::Providers).await?;
    let mut ended = pauses(nats).await?;
    ended.retain(|pause| {
        pause.provider == provider
            && endpoint.is_none_or(|one| pause.endpoint.as_deref() == Some(one))
    });
    for pause in &ended {
        bucket.delete(&pause.key()).await?;
    }
    Ok(ended)
}

/// The pauses that hold now, by what they are of.
///
/// # Errors
/// When the bucket cannot be read.
pub async fn pauses(nats: &Nats) -> Result<Vec<Pause>, KvError> {
    let entries = nats.kv(Bucket::Providers).await?.entries(PREFIX).await?;
    let now_us = now_us();
    let read = entries.iter().filter_map(|(_, entry)| serde_json::from_slice(&entry.value).ok());
    let mut pauses: Vec<Pause> = read.filter(|pause: &Pause| pause.is_active(now_us)).collect();
    pauses.sort_by_key(Pause::target);
    Ok(pauses)
}
