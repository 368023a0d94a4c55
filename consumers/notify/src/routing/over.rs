//! Silences and inhibitions that are over: each destination that they kept something from gets one message, in its hour and
//! whatever becomes of the others.

use std::collections::{BTreeMap, BTreeSet};

use anyhow::Context as _;
use crypto_intel_nats::{Nats, ReaderOptions, Start, StreamReader};
use crypto_intel_schemas::{Alert, Event, Silence, Stream, subjects};
use crypto_intel_service::Stopped;
use futures::FutureExt as _;
use serde::{Deserialize, Serialize};
use tokio_util::task::AbortOnDropHandle;

use super::{
    dispatch::Dispatcher,
    judge::{Stage, Verdict, View},
    silences,
    summary::{Deliveries, Ended, summary},
};
use crate::records::delivery::{delivery_id, notification};

/// An ended silence is listed for so long.
const LISTED_US: i64 = 30 * 86_400_000_000;
/// What failed is tried again after this time.
const RETRY_US: i64 = 5_000_000;
const AT_ONCE: usize = 1_000;

/// What one cause kept back, by destination.
type KeptBack = BTreeMap<String, Deliveries>;

/// What is over and not told everywhere yet, by its key.
#[derive(Debug, Default)]
pub(crate) struct Overs {
    pending: BTreeMap<String, Pending>,
    /// When the last window of each weekly silence ended that is done with, microseconds.
    weekly_done: BTreeMap<String, i64>,
}

/// Something that is over, and how far its telling has come.
#[derive(Debug)]
struct Pending {
    ended: Ended,
    since_us: i64,
    kept: Option<KeptBack>,
    /// Reads what was kept back, beside the routing.
    reading: Option<AbortOnDropHandle<anyhow::Result<KeptBack>>>,
    told: Told,
    /// After a failure: not before this time.
    not_before_us: i64,
}

/// The destinations that are told: a value of the bucket `routing`.
#[derive(Debug, Default, Serialize, Deserialize)]
struct Told {
    #[serde(default)]
    destinations: BTreeSet<String>,
    /// All are.
    #[serde(default)]
    done: bool,
}

fn told_key(key: &str) -> String {
    format!("over.{}", subjects::token(key))
}

impl Dispatcher<'_> {
    /// Tells what is over, as far as it can be told now.
    pub(crate) async fn tell_overs(&mut self, now: i64) -> anyhow::Result<()> {
        self.forget_silences(now).await?;
        for (ended, since_us) in self.find_overs(now) {
            let key = ended.key();
            let told = self.store.get::<Told>(&told_key(&key)).await?.unwrap_or_default();
            if told.done {
                self.finish(&ended, now).await?;
                continue;
            }
            let (kept, reading) = (None, None);
            let pending = Pending { ended, since_us, kept, reading, told, not_before_us: 0 };
            self.over.pending.insert(key, pending);
        }
        let keys: Vec<String> = self.over.pending.keys().cloned().collect();
        for key in keys {
            let Some(mut pending) = self.over.pending.remove(&key) else { continue };
            if self.is_over(&pending.ended, now) && !self.advance_over(&mut pending, now).await? {
                self.over.pending.insert(key, pending);
            }
        }
        Ok(())
    }

    /// What has ended and is not being told yet, and since when it kept messages back.
    fn find_overs(&self, now: i64) -> Vec<(Ended, i64)> {
        let silences = self.silences.0.values().map(|(silence, _)| silence);
        let silences = silences
            .filter(|silence| silence.ends_us <= now && silence.told_us.is_none())
            .map(|silence| (Ended::silence(silence), silence.starts_us));
        let inhibitions = self.open.0.values();
        let inhibitions = inhibitions
            .filter(|open| open.record.inhibits && !open.lasts())
            .map(|open| (Ended::inhibition(open), open.record.since_us));
        let weekly = self.tree.silences.iter().filter_map(|silence| {
            let window = silence.last_ended(now)?;
            let done = self.over.weekly_done.get(&silence.name).copied().unwrap_or(i64::MIN);
            (window.end_us > done).then(|| (Ended::weekly(silence, window), window.start_us))
        });
        let all = silences.chain(inhibitions).chain(weekly);
        all.filter(|(ended, _)| !self.over.pending.contains_key(&ended.key())).collect()
    }

    /// Whether it still is: an alert may last again, and a silence may have been changed.
    fn is_over(&self, ended: &Ended, now: i64) -> bool {
        match ended {
            Ended::Silence { id, .. } => self
                .silences
                .0
                .get(id)
                .is_some_and(|(silence, _)| silence.ends_us <= now && silence.told_us.is_none()),
            Ended::Inhibition { alert, .. } => {
                self.open.0.get(alert).is_some_and(|open| open.record.inhibits && !open.lasts())
            }
            Ended::Weekly { .. } => true,
        }
    }

    /// Goes on with the telling; whether all are told.
    async fn advance_over(&mut self, pending: &mut Pending, now: i64) -> anyhow::Result<bool> {
        if pending.not_before_us > now {
            return Ok(false);
        }
        let Some(kept) = self.kept_by(pending, now) else { return Ok(false) };
        let mut all = true;
        for (name, deliveries) in &kept {
            let is_told = pending.told.destinations.contains(name);
            if is_told || !self.setup.destinations.contains(name) {
                continue;
            }
            match self.tell_over(&pending.ended, name, deliveries, now).await {
                Ok(true) => {
                    pending.told.destinations.insert(name.clone());
                    self.store.put(&told_key(&pending.ended.key()), &pending.told).await?;
                }
                Ok(false) => all = false,
                Err(error) if Stopped::caused(&error) => return Err(error),
                Err(error) => {
                    tracing::warn!(destination = name, error = %format!("{error:#}"), "what a silence or an alert kept back cannot be told, trying again");
                    (all, pending.not_before_us) = (false, now + RETRY_US);
                }
            }
        }
        pending.kept = Some(kept);
        if all {
            self.finish(&pending.ended, now).await?;
        }
        Ok(all)
    }

    /// What a cause kept back, once it has been read.
    fn kept_by(&self, pending: &mut Pending, now: i64) -> Option<KeptBack> {
        if let Some(kept) = pending.kept.take() {
            return Some(kept);
        }
        let Pending { ended, since_us, reading, .. } = pending;
        let reading = reading.get_or_insert_with(|| {
            let (nats, reader) = (self.setup.nats.clone(), format!("notify-{}", self.owner));
            let (cause, since_us) = (ended.cause().to_owned(), *since_us);
            AbortOnDropHandle::new(tokio::spawn(async move {
                kept_back(&nats, reader, &cause, since_us).await
            }))
        });
        let read = reading.now_or_never()?;
        pending.reading = None;
        match read.context("read what was kept back").flatten() {
            Ok(kept) => Some(kept),
            Err(error) => {
                tracing::warn!(error = %format!("{error:#}"), "what was kept back cannot be read, trying again");
                pending.not_before_us = now + RETRY_US;
                None
            }
        }
    }

    /// One message to a destination from which something was kept; `false` while it is left alone.
    async fn tell_over(
        &mut self,
        ended: &Ended,
        name: &str,
        deliveries: &Deliveries,
        now: i64,
    ) -> anyhow::Result<bool> {
        let keys: BTreeSet<&String> = deliveries.values().map(|(alert, _)| alert).collect();
        // What another silence or alert keeps back is told when that ends.
        let lasting: Vec<Alert> = self
            .open
            .lasting()
            .filter(|alert| keys.contains(&alert.alert) && self.view().kept(alert, now).is_none())
            .cloned()
            .collect();
        if lasting.is_empty() && !ended.is_told_always() {
            return Ok(true);
        }
        let alert = summary(ended, deliveries, &lasting, self.setup.words(name), now);
        let view = View { tree: &self.tree, ..self.view() };
        let verdict = view.judge(&alert, name, &self.tree.root, Stage::FollowUp, now);
        if matches!(verdict, Verdict::Hold(hold) if hold.quiet) {
            return Ok(false);
        }
        let mut message = notification(&alert, name);
        message.id = delivery_id(&alert, name);
        self.send(message, None).await?;
        for alert in lasting {
            let Some(open) = self.open.0.get_mut(&alert.alert) else { continue };
            open.record.told.insert(name.to_owned());
            self.unsaved.open.insert(alert.alert);
        }
        Ok(true)
    }

    /// All that have to be told are.
    async fn finish(&mut self, ended: &Ended, now: i64) -> anyhow::Result<()> {
        let key = told_key(&ended.key());
        match ended {
            Ended::Silence { id, .. } => {
                let found = self.silences.0.get(id).map(|(silence, _)| silence.clone());
                let Some(silence) = found else { return Ok(()) };
                let silence = Silence { told_us: Some(now), ..silence };
                let value = silences::encode(&silence)?;
                // Who changes it after its end changes nothing that counts.
                let kv = &self.silences_kv;
                let written =
                    self.retry.run("write a silence", || kv.put(id, value.clone())).await?;
                written.context("write a silence")?;
                self.silences.set(id, Some(silence));
                self.store.delete(&key).await
            }
            Ended::Inhibition { alert, .. } => {
                if let Some(open) = self.open.0.get_mut(alert) {
                    open.record.inhibits = false;
                    self.unsaved.open.insert(alert.clone());
                }
                self.store.delete(&key).await
            }
            Ended::Weekly { name, window, .. } => {
                self.over.weekly_done.insert(name.clone(), window.end_us);
                self.store.put(&key, &Told { done: true, ..Told::default() }).await
            }
        }
    }

    /// Ended silences are no longer listed after a while.
    async fn forget_silences(&mut self, now: i64) -> anyhow::Result<()> {
        let silences = self.silences.0.values().map(|(silence, _)| silence);
        let old =
            silences.filter(|silence| silence.told_us.is_some_and(|told| told + LISTED_US <= now));
        let old: Vec<String> = old.map(|silence| silence.id.clone()).collect();
        for id in old {
            let kv = &self.silences_kv;
            let deleted = self.retry.run("forget a silence", || kv.delete(&id)).await?;
            deleted.context("forget a silence")?;
            self.silences.set(&id, None);
        }
        Ok(())
    }

    /// Takes what the bucket says of a silence.
    pub(crate) fn silence_changed(&mut self, id: &str, value: Option<&[u8]>) {
        let silence = value.and_then(silences::decode);
        if value.is_some() && silence.is_none() {
            tracing::error!(id, "a silence that cannot be read is ignored");
        }
        self.silences.set(id, silence);
    }
}

/// Everything that a cause has kept back since a time, from the record of deliveries.
async fn kept_back(
    nats: &Nats,
    reader: String,
    cause: &str,
    since_us: i64,
) -> anyhow::Result<KeptBack> {
    let options = ReaderOptions::new(Stream::Notify.name(), reader, Start::Time(since_us))
        .filters([subjects::NOTIFY_DONE_ALL]);
    let mut reader = StreamReader::open(nats, options).await.context("read NOTIFY")?;
    let mut kept = KeptBack::new();
    while let Some(batch) = reader.next_until_end(AT_ONCE).await.context("read NOTIFY")? {
        for message in batch.messages {
            let Ok(Event::Delivery(delivery)) = Event::decode(&message.payload) else { continue };
            if delivery.state.is_kept_back() && delivery.cause.as_deref() == Some(cause) {
                let of = kept.entry(delivery.destination).or_default();
                of.insert(delivery.delivery, (delivery.alert, delivery.rule));
            }
        }
    }
    Ok(kept)
}
