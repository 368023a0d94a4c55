//! What the router must remember of alerts: those that last or may escalate, and messages that wait. Kept in the bucket
//! `routing`, so that a restart forgets none.

use std::collections::{BTreeMap, BTreeSet};

use alloy_primitives::{hex, keccak256};
use anyhow::Context as _;
use crypto_intel_nats::{Bucket, Kv, KvError, Nats};
use crypto_intel_schemas::{Alert, AlertState, Event, Stream, subjects};
use crypto_intel_service::RecordingRetry;
use futures::{
    future::{BoxFuture, FutureExt as _},
    stream::{self, StreamExt as _, TryStreamExt as _},
};
use serde::{Deserialize, Serialize, de::DeserializeOwned};

use super::judge::Hold;
use crate::records::look_up::look_up;

/// How many sequences one value lists: each added one writes it again.
const PART: usize = 500;
/// Values that are written, and messages that are read, at the same time.
pub(super) const AT_ONCE: usize = 32;
const OPEN: &str = "open.";
const HELD: &str = "held.";
/// What is over is remembered so long: its last message may come again.
const FORGET_AFTER_US: i64 = 600_000_000;
/// Longer than the rules remember an alert that left the chain.
const RETURN_WITHIN_US: i64 = 7 * 3_600_000_000;
/// Those who were told of what happened are told of a correction that comes within this time.
pub(super) const CORRECTED_WITHIN_US: i64 = 86_400_000_000;

/// An alert that lasts, or that no one acknowledged yet.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct OpenRecord {
    /// Its key.
    pub(crate) alert: String,
    /// Sequence in ALERT of its newest message.
    pub(crate) sequence: u64,
    /// Number of its newest message that says that it fired.
    pub(crate) fired_n: u32,
    /// Sequence in ALERT of that message; 0 in records of earlier versions.
    #[serde(default)]
    pub(crate) fired_sequence: u64,
    /// When it was routed first, microseconds.
    pub(crate) since_us: i64,
    /// Destinations that were told, or will be when their hour comes.
    #[serde(default)]
    pub(crate) told: BTreeSet<String>,
    /// Whether it kept another alert back.
    #[serde(default)]
    pub(crate) inhibits: bool,
    #[serde(default)]
    pub(crate) reminders: Vec<Reminder>,
    #[serde(default)]
    pub(crate) escalations: Vec<Due>,
    /// That someone takes care of it was told where it is an incident.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub(crate) is_taken_told: bool,
    /// Its last word is that it is not on the chain any more. It may return.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub(crate) is_gone: bool,
    /// It is over, and forgotten at this time: its last message may be routed once more.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) forget_us: Option<i64>,
}

/// A lasting alert is told again.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Reminder {
    pub(crate) destination: String,
    pub(crate) every_us: i64,
    pub(crate) due_us: i64,
    pub(crate) count: u32,
}

/// Others are told.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Due {
    pub(crate) to: Vec<String>,
    pub(crate) after_us: i64,
    pub(crate) due_us: i64,
}

/// An open alert and its newest message.
#[derive(Debug, Clone)]
pub(crate) struct Open {
    pub(crate) record: OpenRecord,
    pub(crate) alert: Alert,
}

/// All of them, by key.
#[derive(Debug, Default)]
pub(crate) struct OpenAlerts(pub(crate) BTreeMap<String, Open>);

impl OpenAlerts {
    /// Alerts whose condition lasts.
    pub(crate) fn lasting(&self) -> impl Iterator<Item = &Alert> {
        self.0.values().filter(|open| open.lasts()).map(|open| &open.alert)
    }
}

impl Open {
    pub(crate) fn lasts(&self) -> bool {
        self.record.forget_us.is_none()
            && self.alert.ongoing
            && self.alert.state != AlertState::Resolved
    }

    /// Takes a later word about the alert; `false` for one that is known already.
    pub(crate) fn follow(&mut self, alert: &Alert, sequence: u64, now: i64) -> bool {
        if alert.n <= self.alert.n {
            return false;
        }
        let takes_back = self.is_gone_by(alert);
        let record = &mut self.record;
        match alert.state {
            AlertState::Resolved => record.forget_us = Some(now + FORGET_AFTER_US),
            AlertState::Corrected if takes_back => {
                record.is_gone = true;
                record.forget_us = Some(now + RETURN_WITHIN_US);
            }
            AlertState::Corrected if record.is_gone => {
                record.is_gone = false;
                let waits = alert.ongoing || !record.escalations.is_empty();
                record.forget_us = (!waits).then_some(now + CORRECTED_WITHIN_US);
            }
            // Moved or changed: it stands as before, and no one has taken care of it by that.
            AlertState::Corrected | AlertState::Fired => {}
        }
        record.sequence = sequence;
        self.alert = alert.clone();
        true
    }

    /// Whether a correction says that it is not on the chain any more: then it names the same block and title.
    fn is_gone_by(&self, alert: &Alert) -> bool {
        alert.state == AlertState::Corrected
            && !self.record.is_gone
            && alert.title == self.alert.title
            && alert.block_hash == self.alert.block_hash
    }
}

/// What a group is found by, because one destination may have several: the destination, and the group's name.
pub(crate) type GroupId = (String, String);

/// What has changed and is not written yet.
#[derive(Debug, Default)]
pub(crate) struct Unsaved {
    /// Keys of open alerts.
    pub(crate) open: BTreeSet<String>,
    /// Parts of groups.
    pub(crate) held: BTreeSet<(GroupId, u32)>,
}

/// Messages of one destination that wait for the same time.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct HeldGroup {
    pub(crate) destination: String,
    pub(crate) hold: Hold,
    /// Sequences in ALERT, in parts as they are stored.
    parts: BTreeMap<u32, BTreeSet<u64>>,
    /// Keys of the alerts that came since this instance started.
    pub(crate) alerts: BTreeSet<String>,
}

/// A part of a group, as JSON.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct HeldPart {
    destination: String,
    group: String,
    until_us: i64,
    quiet: bool,
    sequences: Vec<u64>,
}

impl HeldGroup {
    pub(crate) fn new(destination: &str, hold: Hold) -> Self {
        Self {
            destination: destination.to_owned(),
            hold,
            parts: BTreeMap::new(),
            alerts: BTreeSet::new(),
        }
    }

    pub(crate) fn id(destination: &str, group: &str) -> GroupId {
        (destination.to_owned(), group.to_owned())
    }

    pub(crate) fn len(&self) -> usize {
        self.parts.values().map(BTreeSet::len).sum()
    }

    pub(crate) fn holds(&self, sequence: u64) -> bool {
        self.parts.values().any(|part| part.contains(&sequence))
    }

    /// The oldest messages, and the number of their part.
    pub(crate) fn first_part(&self) -> Option<(u32, Vec<u64>)> {
        let (number, part) = self.parts.first_key_value()?;
        Some((*number, part.iter().copied().collect()))
    }

    /// Adds a message; the part that it is in, or `None` where it was there.
    pub(crate) fn add(&mut self, sequence: u64) -> Option<u32> {
        if self.holds(sequence) {
            return None;
        }
        let number = match self.parts.last_key_value() {
            Some((number, part)) if part.len() < PART => *number,
            last => last.map_or(0, |(number, _)| number + 1),
        };
        self.parts.entry(number).or_default().insert(sequence);
        Some(number)
    }

    /// Forgets a part, but for the messages that wait on.
    pub(crate) fn keep_of_part(&mut self, number: u32, waiting: BTreeSet<u64>) {
        if waiting.is_empty() {
            self.parts.remove(&number);
        } else {
            self.parts.insert(number, waiting);
        }
    }

    fn value(&self, part: u32) -> Option<HeldPart> {
        let sequences = self.parts.get(&part)?;
        Some(HeldPart {
            destination: self.destination.clone(),
            group: self.hold.group.clone(),
            until_us: self.hold.until_us,
            quiet: self.hold.quiet,
            sequences: sequences.iter().copied().collect(),
        })
    }
}

/// The bucket `routing`.
#[derive(Debug, Clone)]
pub(crate) struct RoutingStore {
    pub(crate) kv: Kv,
    nats: Nats,
    retry: RecordingRetry,
    /// Whether an alert that is not found is surely gone, because the leader of its stream says so.
    is_complete: bool,
}

impl RoutingStore {
    pub(crate) async fn open(nats: &Nats, retry: &RecordingRetry) -> anyhow::Result<Self> {
        let kv = nats.kv(Bucket::Routing).await.context("open bucket routing")?;
        Ok(Self { kv, nats: nats.clone(), retry: retry.clone(), is_complete: true })
    }

    /// The same for a command, which decides nothing and whose user may not ask the leader.
    pub(crate) async fn open_to_look(nats: &Nats, retry: &RecordingRetry) -> anyhow::Result<Self> {
        Ok(Self { is_complete: false, ..Self::open(nats, retry).await? })
    }

    /// Alerts that were open when the last instance stopped. One that ALERT no longer has is forgotten.
    pub(crate) async fn load_open(&self) -> anyhow::Result<OpenAlerts> {
        let (open, gone) = self.read_open().await?;
        for key in gone {
            self.delete(&key).await?;
        }
        Ok(open)
    }

    /// The same, for one who only looks.
    pub(crate) async fn look_open(&self) -> anyhow::Result<OpenAlerts> {
        self.read_open().await.map(|(open, _)| open)
    }

    async fn read_open(&self) -> anyhow::Result<(OpenAlerts, Vec<String>)> {
        let (mut open, mut gone) = (OpenAlerts::default(), Vec::new());
        let records = self.list::<OpenRecord>(OPEN).await?;
        let reads = records.iter().map(|(_, record)| self.alert(record.sequence).boxed());
        let reads: Vec<BoxFuture<'_, anyhow::Result<Option<Alert>>>> = reads.collect();
        let alerts: Vec<Option<Alert>> =
            stream::iter(reads).buffered(AT_ONCE).try_collect().await?;
        for ((key, record), alert) in records.into_iter().zip(alerts) {
            match alert {
                Some(alert) => _ = open.0.insert(record.alert.clone(), Open { record, alert }),
                None => gone.push(key),
            }
        }
        Ok((open, gone))
    }

    /// Messages that waited when the last instance stopped.
    pub(crate) async fn load_held(&self) -> anyhow::Result<BTreeMap<GroupId, HeldGroup>> {
        let parts = self.list::<HeldPart>(HELD).await?;
        let mut groups = BTreeMap::new();
        for (key, part) in parts {
            let number = key.rsplit('.').next().and_then(|number| number.parse().ok());
            let id = HeldGroup::id(&part.destination, &part.group);
            let hold = Hold { group: part.group, until_us: part.until_us, quiet: part.quiet };
            let group = groups.entry(id).or_insert_with(|| HeldGroup::new(&part.destination, hold));
            group.parts.insert(number.unwrap_or_default(), part.sequences.into_iter().collect());
        }
        Ok(groups)
    }

    /// The alert at a sequence of ALERT.
    pub(crate) async fn alert(&self, sequence: u64) -> anyhow::Result<Option<Alert>> {
        let (nats, what) = (&self.nats, "read an alert");
        let message = if self.is_complete {
            look_up(nats, Stream::Alert, sequence, what, &self.retry).await?
        } else {
            let read = || nats.get(Stream::Alert.name(), sequence);
            self.retry.run(what, read).await?.context(what)?
        };
        Ok(message.and_then(|message| match Event::decode(&message.payload) {
            Ok(Event::Alert(alert)) => Some(alert),
            _ => None,
        }))
    }

    /// Writes what has changed, each value once however often it did.
    pub(crate) async fn save(
        &self,
        unsaved: &mut Unsaved,
        open: &OpenAlerts,
        held: &BTreeMap<GroupId, HeldGroup>,
    ) -> anyhow::Result<()> {
        let mut values: Vec<(String, Option<Vec<u8>>)> = Vec::new();
        for alert in &unsaved.open {
            let record = open.0.get(alert).map(|open| encode(&open.record)).transpose()?;
            values.push((open_key(alert), record));
        }
        for (id, part) in &unsaved.held {
            let value = held.get(id).and_then(|group| group.value(*part));
            let value = value.map(|value| encode(&value)).transpose()?;
            values.push((held_key(id, *part), value));
        }
        let writes: Vec<BoxFuture<'_, anyhow::Result<()>>> =
            values.into_iter().map(|(key, value)| self.write(key, value).boxed()).collect();
        let mut writes = stream::iter(writes).buffer_unordered(AT_ONCE);
        while writes.try_next().await?.is_some() {}
        *unsaved = Unsaved::default();
        Ok(())
    }

    async fn write(&self, key: String, value: Option<Vec<u8>>) -> anyhow::Result<()> {
        match value {
            Some(value) => self.with_retry(|| self.kv.put(&key, value.clone())).await.map(drop),
            None => self.delete(&key).await,
        }
    }

    pub(crate) async fn get<T: DeserializeOwned>(&self, key: &str) -> anyhow::Result<Option<T>> {
        let entry = self.with_retry(|| self.kv.get(key)).await?;
        Ok(entry.and_then(|entry| serde_json::from_slice(&entry.value).ok()))
    }

    pub(crate) async fn put<T: Serialize>(&self, key: &str, value: &T) -> anyhow::Result<()> {
        let value = encode(value)?;
        self.with_retry(|| self.kv.put(key, value.clone())).await.map(drop)
    }

    pub(crate) async fn delete(&self, key: &str) -> anyhow::Result<()> {
        self.with_retry(|| self.kv.delete(key)).await
    }

    async fn list<T: DeserializeOwned>(&self, prefix: &str) -> anyhow::Result<Vec<(String, T)>> {
        let entries = self.with_retry(|| self.kv.entries(prefix)).await?;
        let read = |(key, entry): (String, crypto_intel_nats::Entry)| match serde_json::from_slice(
            &entry.value,
        ) {
            Ok(value) => Some((key, value)),
            Err(error) => {
                tracing::error!(key, error = %error, "a record of routing cannot be read and is left as it is");
                None
            }
        };
        Ok(entries.into_iter().filter_map(read).collect())
    }

    async fn with_retry<T, F>(&self, operation: impl FnMut() -> F) -> anyhow::Result<T>
    where
        F: Future<Output = Result<T, KvError>>,
    {
        self.retry.run("use bucket routing", operation).await?.context("use bucket routing")
    }
}

fn encode<T: Serialize>(value: &T) -> anyhow::Result<Vec<u8>> {
    serde_json::to_vec(value).context("encode a record")
}

fn held_key((destination, group): &GroupId, part: u32) -> String {
    let group = hex::encode(&keccak256(group)[..8]);
    format!("{HELD}{}.{group}.{part}", subjects::token(destination))
}

fn open_key(alert: &str) -> String {
    format!("{OPEN}{}", subjects::token(alert))
}
