//! Tells when a fact that someone uses has no fresh source, once when that begins and once when it ends: by the one
//! instance that leads `poll.facts`.

use std::{
    collections::{BTreeMap, BTreeSet},
    convert::Infallible,
    sync::Arc,
    time::Duration,
};

use anyhow::Context as _;
use crypto_intel_nats::{Bucket, KvError, Leadership, Nats};
use crypto_intel_schemas::{Event, Kind, ProviderState, ProviderStatus, polled_event_id};
use crypto_intel_service::{Context, now_us};
use serde::{Deserialize, Serialize};

use super::{freshness::Freshness, shared_values::SharedValues};
use crate::publish::publish;

/// What such events are of, in place of a provider. Also the last part of the lease's and the entry's name.
const FACTS: &str = "facts";
const SOURCE: &str = "poll";
const LOOK_INTERVAL: Duration = Duration::from_secs(1);

/// Whether a used fact has a fresh source; what is not known yet is neither.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Standing {
    Fresh,
    /// With the reason.
    Stale(String),
}

/// What was told of stale facts. Kept, so that neither a restart nor another instance tells it again.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
struct Told {
    /// Since when each stale fact is stale, microseconds.
    stale: BTreeMap<String, i64>,
    /// What is to be published: noted before, so that it is repeated with the same id and not forgotten.
    pending: Vec<Change>,
}

/// A fact became stale, or fresh again.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Change {
    fact: String,
    at_us: i64,
    /// Why it is stale; absent when it is fresh again.
    reason: Option<String>,
    /// How long it was stale.
    stale_seconds: Option<u64>,
}

/// Tells of stale facts whenever this instance leads, until shutdown.
///
/// # Errors
/// When the metric of the lease cannot be registered.
pub(crate) async fn tell_stale_facts(
    freshness: Freshness,
    nats: Nats,
    context: &Context,
) -> anyhow::Result<()> {
    let task = format!("{SOURCE}.{FACTS}");
    let probe = Arc::new(context.health.advisory_probe(task.clone(), None));
    let leadership = Leadership::new(&task, &nats, context, probe).context("register metrics")?;
    let values = SharedValues::new(nats.clone(), Bucket::Cursors);
    leadership
        .run(async |term| {
            leadership.probe().healthy("watching");
            let watched = term.until_over(watch(&freshness, &nats, &values, &task)).await;
            watched.map(|never| match never {})
        })
        .await
}

async fn watch(
    freshness: &Freshness,
    nats: &Nats,
    values: &SharedValues,
    key: &str,
) -> anyhow::Result<Infallible> {
    let since = tokio::time::Instant::now();
    loop {
        let standings = freshness.standings(since);
        if let Err(error) = tell(&standings, freshness.used(), nats, values, key).await {
            tracing::warn!(error = %format!("{error:#}"), "cannot tell of stale facts, trying again");
        }
        tokio::time::sleep(LOOK_INTERVAL).await;
    }
}

/// Notes what has changed, publishes it, and notes that it is published.
async fn tell(
    standings: &BTreeMap<String, Standing>,
    used: &BTreeSet<String>,
    nats: &Nats,
    values: &SharedValues,
    key: &str,
) -> anyhow::Result<()> {
    let (told, _) = values.read::<Told>(key).await?;
    let told = told.unwrap_or_default();
    let next = told.next(standings, used, now_us());
    if next == told && told.pending.is_empty() {
        return Ok(());
    }
    save(values, key, &next).await?;
    for change in &next.pending {
        change.log();
        let message_id = format!("{FACTS}:{}:{}", change.fact, change.at_us);
        publish(nats, &message_id, &[change.event()]).await.context("publish stale facts")?;
    }
    save(values, key, &Told { pending: Vec::new(), ..next }).await?;
    Ok(())
}

async fn save(values: &SharedValues, key: &str, told: &Told) -> Result<(), KvError> {
    values.change(key, FACTS, |_: Option<&Told>| Some(told.clone())).await.map(drop)
}

impl Told {
    /// What is to be told now.
    fn next(
        &self,
        standings: &BTreeMap<String, Standing>,
        used: &BTreeSet<String>,
        now_us: i64,
    ) -> Self {
        let mut next = self.clone();
        for (fact, standing) in standings {
            match standing {
                Standing::Stale(reason) if !self.stale.contains_key(fact) => {
                    next.stale.insert(fact.clone(), now_us);
                    next.pending.push(Change {
                        fact: fact.clone(),
                        at_us: now_us,
                        reason: Some(reason.clone()),
                        stale_seconds: None,
                    });
                }
                _ => {}
            }
        }
        let is_over =
            |fact: &String| standings.get(fact) == Some(&Standing::Fresh) || !used.contains(fact);
        for (fact, since_us) in self.stale.iter().filter(|(fact, _)| is_over(fact)) {
            next.stale.remove(fact);
            next.pending.push(Change {
                fact: fact.clone(),
                at_us: now_us,
                reason: None,
                stale_seconds: u64::try_from(now_us.saturating_sub(*since_us) / 1_000_000).ok(),
            });
        }
        next
    }
}

impl Change {
    fn event(&self) -> Event {
        let key = format!("{FACTS}/{}", self.fact);
        Event::ProviderStatus(ProviderStatus {
            id: polled_event_id(SOURCE, Kind::ProviderStatus, &key, self.at_us),
            provider: FACTS.to_owned(),
            endpoint: Some(self.fact.clone()),
            state: match &self.reason {
                Some(_) => ProviderState::Failing,
                None => ProviderState::Ok,
            },
            detail: self.reason.clone(),
            stale_seconds: self.stale_seconds,
            ..ProviderStatus::at(SOURCE, self.at_us, self.at_us)
        })
    }

    fn log(&self) {
        let fact = self.fact.as_str();
        match &self.reason {
            Some(reason) => tracing::warn!(fact, reason, "a fact that is used has no fresh source"),
            None => tracing::info!(fact, "a fact that is used is fresh again"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const FACT: &str = "price of bitcoin/usd";
    const SECOND: i64 = 1_000_000;

    fn standing(standing: Standing) -> BTreeMap<String, Standing> {
        [(FACT.to_owned(), standing)].into()
    }

    #[test]
    fn each_change_is_told_once() {
        let used = BTreeSet::from([FACT.to_owned()]);
        let stale = standing(Standing::Stale("status 503".to_owned()));
        let began = Told::default().next(&stale, &used, 10 * SECOND);
        assert_eq!(began.pending.len(), 1);
        let published = Told { pending: Vec::new(), ..began.clone() };
        assert_eq!(published.next(&stale, &used, 11 * SECOND), published);
        assert_eq!(published.next(&BTreeMap::new(), &used, 12 * SECOND), published, "not known");
        assert_eq!(began.next(&stale, &used, 13 * SECOND), began, "repeated as it was");
        let ended = published.next(&standing(Standing::Fresh), &used, 25 * SECOND);
        assert_eq!((ended.stale.len(), ended.pending[0].stale_seconds), (0, Some(15)));
        assert_eq!(ended.pending[0].reason, None);
        let unused = published.next(&BTreeMap::new(), &BTreeSet::new(), 25 * SECOND);
        assert_eq!(unused.pending.len(), 1, "a fact that nobody uses any more");
    }
}
