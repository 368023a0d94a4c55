//! Silences, which commands, buttons and others make and end while notify runs, and acknowledgements.

use anyhow::{Context as _, bail};
use crypto_intel_nats::{Bucket, Kv, KvError, Nats};
use crypto_intel_schemas::{Acknowledgement, Silence, short_code};
use crypto_intel_service::now_us;

use super::matcher::Matcher;

/// A silence lasts no longer than this: what should never be told is a matter of routes.
const MAX_SECONDS: i64 = 90 * 86_400;
/// Ids are short: two may be the same.
const MAX_TRIES: u32 = 8;

/// What a silence is made of.
#[derive(Debug, Clone)]
pub struct NewSilence {
    /// What it matches, all of them.
    pub matchers: Vec<Matcher>,
    /// When it starts, microseconds UTC.
    pub starts_us: i64,
    /// When it ends, microseconds UTC.
    pub ends_us: i64,
    /// Who makes it.
    pub author: String,
    /// Why.
    pub reason: String,
}

impl NewSilence {
    /// From now on, for a time.
    #[must_use]
    pub fn lasting(
        matchers: Vec<Matcher>,
        duration: std::time::Duration,
        author: &str,
        reason: &str,
    ) -> Self {
        let starts_us = now_us();
        let duration_us = i64::try_from(duration.as_micros()).unwrap_or(i64::MAX);
        Self {
            matchers,
            starts_us,
            ends_us: starts_us.saturating_add(duration_us),
            author: author.to_owned(),
            reason: reason.to_owned(),
        }
    }
}

/// The silences of a server. A change is in force within a second, without a restart.
#[derive(Debug, Clone)]
pub struct Silences {
    kv: Kv,
}

impl Silences {
    /// Opens the bucket.
    ///
    /// # Errors
    /// When the server does not answer or has no such bucket.
    pub async fn open(nats: &Nats) -> anyhow::Result<Self> {
        Ok(Self { kv: nats.kv(Bucket::Silences).await.context("open bucket silences")? })
    }

    /// Makes one and returns it with its id.
    ///
    /// # Errors
    /// When it matches everything, has no reason or no length, or cannot be written.
    pub async fn add(&self, new: NewSilence) -> anyhow::Result<Silence> {
        if new.matchers.is_empty() {
            bail!("it would silence everything: say what it matches, such as rule=depeg");
        }
        if new.reason.trim().is_empty() || new.author.trim().is_empty() {
            bail!("a silence needs an author and a reason: others ask why they hear nothing");
        }
        if new.ends_us <= new.starts_us.max(now_us()) {
            bail!("it would end before it starts");
        }
        if new.ends_us - new.starts_us > MAX_SECONDS * 1_000_000 {
            bail!("it would last longer than 90 days: what is never told is a matter of routes");
        }
        let mut silence = Silence {
            id: String::new(),
            matchers: new.matchers.iter().map(ToString::to_string).collect(),
            starts_us: new.starts_us,
            ends_us: new.ends_us,
            author: new.author,
            reason: new.reason,
            ended_by: None,
            told_us: None,
        };
        for salt in 0..MAX_TRIES {
            silence.id = short_code(&format!("{silence:?} {salt}"));
            match self.kv.create(&silence.id, encode(&silence)?).await {
                Ok(_) => return Ok(silence),
                Err(KvError::AlreadyExists { .. }) => {}
                Err(error) => return Err(error).context("write the silence"),
            }
        }
        bail!("no id is free");
    }

    /// All that are kept, those that have ended too, by their start.
    ///
    /// # Errors
    /// When the bucket cannot be read.
    pub async fn list(&self) -> anyhow::Result<Vec<Silence>> {
        let entries = self.kv.entries("").await.context("read the silences")?;
        let mut silences: Vec<Silence> =
            entries.iter().filter_map(|(_, entry)| decode(&entry.value)).collect();
        silences.sort_by(|one, two| (one.starts_us, &one.id).cmp(&(two.starts_us, &two.id)));
        Ok(silences)
    }

    /// Ends one now; `None` when it has ended already.
    ///
    /// # Errors
    /// When there is none of that id, or it cannot be written.
    pub async fn end(&self, id: &str, who: &str) -> anyhow::Result<Option<Silence>> {
        let key = id.to_ascii_uppercase();
        for _ in 0..MAX_TRIES {
            let entry = self.kv.get(&key).await.context("read the silence")?;
            let Some((entry, mut silence)) =
                entry.and_then(|entry| decode(&entry.value).map(|silence| (entry, silence)))
            else {
                bail!("there is no silence {key}; `crypto-intel silence list` shows them");
            };
            let now = now_us();
            if silence.ends_us <= now {
                return Ok(None);
            }
            silence.ends_us = now;
            silence.starts_us = silence.starts_us.min(now);
            silence.ended_by = Some(who.to_owned());
            match self.kv.update(&key, encode(&silence)?, entry.revision).await {
                Ok(_) => return Ok(Some(silence)),
                Err(KvError::WrongRevision { .. }) => {}
                Err(error) => return Err(error).context("write the silence"),
            }
        }
        bail!("others change silence {key} all the time: try again");
    }
}

pub(crate) fn decode(value: &[u8]) -> Option<Silence> {
    serde_json::from_slice(value).ok()
}

pub(crate) fn encode(silence: &Silence) -> anyhow::Result<Vec<u8>> {
    serde_json::to_vec(silence).context("encode the silence")
}

/// Someone takes care of an alert, by its key: it is neither repeated nor escalated from now on. `None` when no one did
/// so before; else the first acknowledgement, which stays.
///
/// # Errors
/// When the bucket cannot be read or written.
pub async fn acknowledge(
    nats: &Nats,
    alert: &str,
    who: &str,
) -> anyhow::Result<Option<Acknowledgement>> {
    let kv = nats.kv(Bucket::Routing).await.context("open bucket routing")?;
    let own = Acknowledgement { alert: alert.to_owned(), by: who.to_owned(), at_us: now_us() };
    let value = serde_json::to_vec(&own).context("encode the acknowledgement")?;
    let key = Acknowledgement::key(alert);
    match kv.create(&key, value).await {
        Ok(_) => Ok(None),
        Err(KvError::AlreadyExists { .. }) => {
            let entry = kv.get(&key).await.context("read the acknowledgement")?;
            Ok(entry.and_then(|entry| serde_json::from_slice(&entry.value).ok()))
        }
        Err(error) => Err(error).context("write the acknowledgement"),
    }
}
