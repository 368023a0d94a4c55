//! What became of alerts: read from the streams ALERT and NOTIFY and the buckets, so that it needs no database.

use std::collections::BTreeMap;

use anyhow::{Context as _, bail};
use crypto_intel_nats::{Bucket, Nats, ReaderOptions, Start, StreamMessage, StreamReader};
use crypto_intel_schemas::{
    Acknowledgement, Alert, AlertState, Delivery, Event, Severity, Stream, subjects,
};
use crypto_intel_service::{RecordingRetry, now_us};
use serde::Serialize;

use crate::{
    records::{
        delivery::delivery_id,
        record::{Records, Step},
    },
    routing::{
        matcher::{Matcher, all_match},
        open::{HeldGroup, RoutingStore},
    },
};

const AT_ONCE: usize = 1_000;

/// An alert and everything that was told of it.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct AlertStory {
    /// Its key.
    pub alert: String,
    /// Its code.
    pub code: String,
    /// Id of its rule.
    pub rule: String,
    /// Its highest severity.
    pub severity: Severity,
    /// Its labels.
    pub labels: BTreeMap<String, String>,
    /// Whether its condition still lasts.
    pub lasts: bool,
    /// Who takes care of it.
    pub acknowledged: Option<TakenBy>,
    /// What was said of it, in order.
    pub messages: Vec<StoryMessage>,
    /// Who was told, in order.
    pub told: Vec<StoryDelivery>,
}

/// Who takes care of an alert.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct TakenBy {
    /// Who.
    pub by: String,
    /// Since when, microseconds UTC.
    pub at_us: i64,
}

/// One message of an alert. Times are microseconds UTC.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct StoryMessage {
    /// Fired, corrected or resolved.
    pub state: AlertState,
    /// Its number.
    pub n: u32,
    /// Its sequence in ALERT.
    pub sequence: u64,
    /// Its first line.
    pub title: String,
    /// Its further lines.
    pub lines: Vec<String>,
    /// Block that it is about.
    pub block_number: Option<u64>,
    /// When the event behind it happened, by its source.
    pub event_at_us: i64,
    /// When the pipeline saw that event first.
    pub seen_at_us: i64,
    /// When the rule decided.
    pub decided_at_us: i64,
    /// When the alert was stored.
    pub stored_at_us: i64,
}

/// One message to one destination.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct StoryDelivery {
    /// Its id.
    pub delivery: String,
    /// The destination.
    pub destination: String,
    /// How it ended; `waiting` for its sender, or `held` for its group or the end of quiet hours.
    pub state: String,
    /// What kept it back: a silence, or an alert.
    pub cause: Option<String>,
    /// How often it was tried.
    pub attempts: u32,
    /// The service's id of it.
    pub message_id: Option<String>,
    /// Why it is as it is.
    pub error: Option<String>,
    /// When it ended, microseconds UTC; 0 = not yet.
    pub done_at_us: i64,
    /// From the first sight of the event to the end, milliseconds.
    pub seen_to_done_ms: Option<i64>,
}

/// Alerts since a time that match, the newest first.
///
/// # Errors
/// When a stream or bucket cannot be read.
pub async fn list_alerts(
    nats: &Nats,
    since_us: i64,
    matchers: &[Matcher],
    limit: usize,
) -> anyhow::Result<Vec<AlertStory>> {
    let mut stories = Stories::default();
    read(nats, Stream::Alert, subjects::ALERT_ALL, since_us, |message, event| {
        if let Event::Alert(alert) = event
            && all_match(matchers, &alert)
        {
            stories.add(&alert, message);
        }
    })
    .await?;
    stories.keep_newest(limit);
    stories.complete(nats, since_us).await?;
    Ok(stories.newest_first())
}

/// One alert, by its code or key, with what still waits.
///
/// # Errors
/// When there is none, when the code means several, or a stream or bucket cannot be read.
pub async fn show_alert(
    nats: &Nats,
    destinations: &[String],
    code: &str,
) -> anyhow::Result<AlertStory> {
    let mut stories = Stories::default();
    let is_meant = |alert: &Alert| alert.code.eq_ignore_ascii_case(code) || alert.alert == code;
    read(nats, Stream::Alert, subjects::ALERT_ALL, 0, |message, event| {
        if let Event::Alert(alert) = event
            && is_meant(&alert)
        {
            stories.add(&alert, message);
        }
    })
    .await?;
    let since_us =
        stories.0.values().filter_map(|story| story.messages.first()).map(|m| m.stored_at_us);
    let since_us = since_us.min().unwrap_or(0);
    stories.complete(nats, since_us).await?;
    let mut found = stories.newest_first();
    match found.len() {
        0 => bail!(
            "no alert of the last 30 days has the code {code}; `crypto-intel alerts list` shows them"
        ),
        1 => {}
        many => tracing::warn!(code, many, "several alerts have this code, the newest is shown"),
    }
    let mut story = found.remove(0);
    story.add_waiting(nats, destinations).await?;
    Ok(story)
}

impl AlertStory {
    /// Messages that have not ended yet, as their records say.
    async fn add_waiting(&mut self, nats: &Nats, destinations: &[String]) -> anyhow::Result<()> {
        let retry = RecordingRetry::default();
        // A person waits: no retry.
        retry.stop().cancel();
        let store = RoutingStore::open_to_look(nats, &retry).await?;
        let records = Records::open(nats, retry).await.context("open bucket deliveries")?;
        for group in store.load_held().await?.into_values() {
            self.add_held(&group);
        }
        for message in self.messages.clone() {
            let alert = self.alert_of(&message);
            for destination in destinations {
                let delivery = delivery_id(&alert, destination);
                if self.told.iter().any(|told| told.delivery == delivery) {
                    continue;
                }
                let Some(stored) = records.load(destination, &delivery).await? else { continue };
                let error = match stored.record.step {
                    Step::Wait { why, .. } => why,
                    Step::Attempt { .. } => "an attempt is under way".to_owned(),
                    Step::Done { .. } => continue,
                };
                let attempts = stored.record.attempts;
                self.told.push(not_ended(delivery, destination, "waiting", attempts, error));
            }
        }
        Ok(())
    }

    fn add_held(&mut self, group: &HeldGroup) {
        for message in self.messages.iter().filter(|message| group.holds(message.sequence)) {
            let alert = self.alert_of(message);
            let delivery = delivery_id(&alert, &group.destination);
            let seconds = (group.hold.until_us - now_us()).max(0) / 1_000_000;
            let why = format!("{}, for {seconds} s more", group.hold.group);
            self.told.push(not_ended(delivery, &group.destination, "held", 0, why));
        }
    }

    /// As far as its deliveries are named after it.
    fn alert_of(&self, message: &StoryMessage) -> Alert {
        let (state, n) = (message.state, message.n);
        Alert { alert: self.alert.clone(), state, n, ..Alert::empty() }
    }
}

#[derive(Default)]
struct Stories(BTreeMap<String, AlertStory>);

impl Stories {
    fn add(&mut self, alert: &Alert, message: &StreamMessage) {
        let story = self.0.entry(alert.alert.clone()).or_insert_with(|| AlertStory {
            alert: alert.alert.clone(),
            code: alert.code.clone(),
            rule: alert.rule.clone(),
            severity: alert.severity,
            labels: alert.labels.0.clone(),
            lasts: false,
            acknowledged: None,
            messages: Vec::new(),
            told: Vec::new(),
        });
        story.severity = story.severity.max(alert.severity);
        story.lasts = match alert.state {
            AlertState::Fired => alert.ongoing,
            // It may have moved or changed only.
            AlertState::Corrected => story.lasts,
            AlertState::Resolved => false,
        };
        story.messages.push(StoryMessage {
            state: alert.state,
            n: alert.n,
            sequence: message.sequence,
            title: alert.title.clone(),
            lines: alert.lines.clone(),
            block_number: alert.block_number,
            event_at_us: alert.event_at_us,
            seen_at_us: alert.seen_at_us,
            decided_at_us: alert.observed_at_us,
            stored_at_us: message.stored_at_us,
        });
    }

    fn keep_newest(&mut self, limit: usize) {
        while self.0.len() > limit {
            let oldest = self.0.values().min_by_key(|story| story.last_us());
            let Some(key) = oldest.map(|story| story.alert.clone()) else { return };
            self.0.remove(&key);
        }
    }

    /// Adds deliveries and acknowledgements.
    async fn complete(&mut self, nats: &Nats, since_us: i64) -> anyhow::Result<()> {
        if self.0.is_empty() {
            return Ok(());
        }
        read(nats, Stream::Notify, subjects::NOTIFY_DONE_ALL, since_us, |_, event| {
            if let Event::Delivery(delivery) = event
                && let Some(story) = self.0.get_mut(&delivery.alert)
                && story.told.iter().all(|told| told.delivery != delivery.delivery)
            {
                story.told.push(told(delivery));
            }
        })
        .await?;
        let routing = nats.kv(Bucket::Routing).await.context("open bucket routing")?;
        let entries =
            routing.entries(Acknowledgement::PREFIX).await.context("read the acknowledgements")?;
        for (_, entry) in entries {
            let Ok(ack) = serde_json::from_slice::<Acknowledgement>(&entry.value) else { continue };
            if let Some(story) = self.0.get_mut(&ack.alert) {
                story.acknowledged = Some(TakenBy { by: ack.by, at_us: ack.at_us });
            }
        }
        Ok(())
    }

    fn newest_first(self) -> Vec<AlertStory> {
        let mut stories: Vec<AlertStory> = self.0.into_values().collect();
        stories.sort_by_key(|story| std::cmp::Reverse(story.last_us()));
        stories
    }
}

impl AlertStory {
    fn last_us(&self) -> i64 {
        self.messages.last().map_or(0, |message| message.stored_at_us)
    }
}

fn not_ended(
    delivery: String,
    destination: &str,
    state: &str,
    attempts: u32,
    why: String,
) -> StoryDelivery {
    StoryDelivery {
        delivery,
        destination: destination.to_owned(),
        state: state.to_owned(),
        cause: None,
        attempts,
        message_id: None,
        error: Some(why),
        done_at_us: 0,
        seen_to_done_ms: None,
    }
}

fn told(delivery: Delivery) -> StoryDelivery {
    let seen_to_done_ms =
        (delivery.seen_at_us > 0).then(|| (delivery.done_at_us - delivery.seen_at_us) / 1_000);
    StoryDelivery {
        delivery: delivery.delivery,
        destination: delivery.destination,
        state: delivery.state.as_str().to_owned(),
        cause: delivery.cause,
        attempts: delivery.attempts,
        message_id: delivery.message_id,
        error: delivery.error,
        done_at_us: delivery.done_at_us,
        seen_to_done_ms,
    }
}

/// Every event of a stream since a time, in order.
async fn read(
    nats: &Nats,
    stream: Stream,
    filter: &str,
    since_us: i64,
    mut each: impl FnMut(&StreamMessage, Event),
) -> anyhow::Result<()> {
    let start = if since_us > 0 { Start::Time(since_us) } else { Start::First };
    let options = ReaderOptions::new(stream.name(), "alerts", start).filters([filter]);
    let what = || format!("read {}", stream.name());
    let mut reader = StreamReader::open(nats, options).await.with_context(what)?;
    while let Some(batch) = reader.next_until_end(AT_ONCE).await.with_context(what)? {
        for message in &batch.messages {
            // What cannot be read is another reader's to report.
            if let Ok(event) = Event::decode(&message.payload) {
                each(message, event);
            }
        }
    }
    Ok(())
}
