//! What is told when a silence or an inhibition ends: how much it kept back, and what of it still lasts.

use std::collections::{BTreeMap, BTreeSet};

use anyhow::Context as _;
use crypto_intel_nats::{ReaderOptions, Start, StreamReader};
use crypto_intel_schemas::{Alert, Event, Severity, Silence, Stream, subjects};

use super::{dispatch::Dispatcher, silences, text};
use crate::records::delivery::{delivery_id, notification};

/// Lasting alerts that a summary names.
const MAX_NAMED: usize = 12;
/// An ended silence is listed for so long.
const LISTED_US: i64 = 30 * 86_400_000_000;
const AT_ONCE: usize = 1_000;

/// What one cause kept back, by destination: deliveries with the key of their alert and its rule.
type KeptBack = BTreeMap<String, BTreeMap<String, (String, String)>>;

/// What has ended.
struct Over<'o> {
    /// Id of the silence, or code of the alert.
    cause: &'o str,
    /// `silence` or `inhibition`, and what tells it from others.
    key: String,
    rule: &'static str,
    title: String,
    why: String,
    /// Whether it is told also where nothing lasts.
    always: bool,
}

impl Dispatcher<'_> {
    /// Tells what silences that are over have kept back.
    pub(crate) async fn end_silences(&mut self, now: i64) -> anyhow::Result<()> {
        let over: Vec<Silence> = self
            .silences
            .0
            .values()
            .filter(|(silence, _)| silence.ends_us <= now)
            .map(|(silence, _)| silence.clone())
            .collect();
        for silence in over {
            match silence.told_us {
                None if self.is_postponed(&silence.id, now) => {}
                None => self.end_silence(silence, now).await?,
                Some(told) if told + LISTED_US <= now => {
                    let kv = &self.silences_kv;
                    self.retry
                        .run("forget a silence", || kv.delete(&silence.id))
                        .await?
                        .context("forget a silence")?;
                    self.silences.set(&silence.id, None);
                }
                Some(_) => {}
            }
        }
        Ok(())
    }

    async fn end_silence(&mut self, mut silence: Silence, now: i64) -> anyhow::Result<()> {
        let kept = self.kept_back(&silence.id, silence.starts_us).await?;
        let over = Over {
            cause: &silence.id,
            key: format!("silence:{}", silence.id),
            rule: "silence",
            title: format!("Silence {} is over", silence.id),
            why: format!("{} ({})", silence.reason, silence.author),
            always: true,
        };
        if !self.tell_over(&over, &kept, now).await? {
            return Ok(());
        }
        silence.told_us = Some(now);
        let key = silence.id.clone();
        let value = silences::encode(&silence)?;
        // Who changes it after its end changes nothing that counts.
        let kv = &self.silences_kv;
        let written = self.retry.run("write a silence", || kv.put(&key, value.clone())).await?;
        written.context("write a silence")?;
        self.silences.set(&key, Some(silence));
        Ok(())
    }

    /// Tells what alerts that are over have kept back and still lasts.
    pub(crate) async fn end_inhibitions(&mut self, now: i64) -> anyhow::Result<()> {
        let over = self.open.0.values().filter(|open| open.record.inhibits && !open.lasts());
        let over: Vec<_> = over.map(|open| (open.record.clone(), open.alert.clone())).collect();
        for (mut record, alert) in over {
            if self.is_postponed(&alert.code, now) {
                continue;
            }
            let kept = self.kept_back(&alert.code, record.since_us).await?;
            let over = Over {
                cause: &alert.code,
                key: format!("inhibition:{}:{}", alert.alert, record.sequence),
                rule: "inhibition",
                title: format!("{} is over", alert.rule),
                why: alert.title.clone(),
                always: false,
            };
            if !self.tell_over(&over, &kept, now).await? {
                continue;
            }
            record.inhibits = false;
            self.store.save_open(&record).await?;
            if let Some(open) = self.open.0.get_mut(&record.alert) {
                open.record = record;
            }
        }
        Ok(())
    }

    /// Whether what a cause kept back is told later, because a destination is in its quiet hours.
    fn is_postponed(&self, cause: &str, now: i64) -> bool {
        self.postponed.get(cause).is_some_and(|until| *until > now)
    }

    /// One message to each destination from which something was kept; `false` when it is put off.
    async fn tell_over(
        &mut self,
        over: &Over<'_>,
        kept: &KeptBack,
        now: i64,
    ) -> anyhow::Result<bool> {
        let quiet = kept.keys().filter_map(|name| self.tree.quiet.get(name)?.until(now));
        if let Some(until) = quiet.max() {
            self.postponed.insert(over.cause.to_owned(), until);
            return Ok(false);
        }
        self.postponed.remove(over.cause);
        for (name, deliveries) in kept {
            if !self.setup.destinations.contains(name) {
                continue;
            }
            let keys: BTreeSet<&String> = deliveries.values().map(|(alert, _)| alert).collect();
            // What another silence or alert keeps back is told when that ends.
            let lasting: Vec<Alert> = self
                .open
                .lasting()
                .filter(|alert| {
                    keys.contains(&alert.alert) && self.view().kept(alert, now).is_none()
                })
                .cloned()
                .collect();
            if lasting.is_empty() && !over.always {
                continue;
            }
            let alert = summary(over, deliveries, &lasting, now);
            let id = delivery_id(&alert, name);
            let mut message = notification(&alert, name);
            message.id = id;
            self.send(message, None).await?;
            for alert in lasting {
                let Some(open) = self.open.0.get_mut(&alert.alert) else { continue };
                open.record.told.insert(name.clone());
                let record = open.record.clone();
                self.store.save_open(&record).await?;
            }
        }
        Ok(true)
    }

    /// Everything that a cause has kept back since a time, from the record of deliveries.
    async fn kept_back(&self, cause: &str, since_us: i64) -> anyhow::Result<KeptBack> {
        let name = format!("notify-{}", self.owner);
        let options = ReaderOptions::new(Stream::Notify.name(), name, Start::Time(since_us))
            .filters([subjects::NOTIFY_DONE_ALL]);
        let mut reader =
            StreamReader::open(&self.setup.nats, options).await.context("read NOTIFY")?;
        let mut kept = KeptBack::new();
        while let Some(batch) = reader.next_until_end(AT_ONCE).await.context("read NOTIFY")? {
            for message in batch.messages {
                let Ok(Event::Delivery(delivery)) = Event::decode(&message.payload) else {
                    continue;
                };
                if delivery.state.is_kept_back() && delivery.cause.as_deref() == Some(cause) {
                    let of = kept.entry(delivery.destination).or_default();
                    of.insert(delivery.delivery, (delivery.alert, delivery.rule));
                }
            }
        }
        Ok(kept)
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

fn summary(
    over: &Over<'_>,
    deliveries: &BTreeMap<String, (String, String)>,
    lasting: &[Alert],
    now: i64,
) -> Alert {
    let mut rules: BTreeMap<&str, usize> = BTreeMap::new();
    for (_, rule) in deliveries.values() {
        *rules.entry(rule).or_default() += 1;
    }
    let rules: Vec<String> = rules.iter().map(|(rule, count)| format!("{rule} {count}")).collect();
    let mut lines = vec![format!("why: {}", over.why), format!("kept back: {}", rules.join(", "))];
    for alert in lasting.iter().take(MAX_NAMED) {
        lines.push(format!("still: {} · {} #{}", alert.title, alert.rule, alert.code));
    }
    if lasting.len() > MAX_NAMED {
        lines.push(format!("and {} more that last", lasting.len() - MAX_NAMED));
    }
    let kept = text::count(deliveries.len(), "message");
    let lasts = match lasting.len() {
        0 => "none of it lasts".to_owned(),
        1 => "1 alert still lasts".to_owned(),
        more => format!("{more} alerts still last"),
    };
    Alert {
        alert: over.key.clone(),
        code: over.cause.to_owned(),
        rule: over.rule.to_owned(),
        severity: lasting.iter().map(|alert| alert.severity).max().unwrap_or(Severity::Info),
        n: 1,
        title: format!("{}: {kept} kept back, {lasts}", over.title),
        lines,
        event_at_us: now,
        observed_at_us: now,
        seen_at_us: now,
        ..Alert::empty()
    }
}
