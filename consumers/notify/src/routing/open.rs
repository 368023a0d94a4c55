//! What the router must remember of alerts: those that last or may escalate, and messages that wait. Kept in the bucket
//! `routing`, so that a restart forgets none.

use std::collections::{BTreeMap, BTreeSet};

use alloy_primitives::{hex, keccak256};
use anyhow::Context as _;
use crypto_intel_nats::{Bucket, Kv, KvError, Nats};
use crypto_intel_schemas::{Alert, AlertState, Event, Stream, subjects};
use crypto_intel_service::RecordingRetry;
use serde::{Deserialize, Serialize, de::DeserializeOwned};

use super::judge::Hold;

/// How many sequences one value lists: each added one writes it again.
const PART: usize = 500;
const OPEN: &str = "open.";
const HELD: &str = "held.";

/// An alert that lasts, or that no one acknowledged yet.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct OpenRecord {
    /// Its key.
    pub(crate) alert: String,
    /// Sequence in ALERT of its newest message.
    pub(crate) sequence: u64,
    /// Number of its newest message that says that it fired.
    pub(crate) fired_n: u32,
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
            && self.alert.state == AlertState::Fired
    }
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

    /// What it is found by: one destination may have several.
    pub(crate) fn id(destination: &str, group: &str) -> (String, String) {
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

    fn key(&self, part: u32) -> String {
        let group = hex::encode(&keccak256(&self.hold.group)[..8]);
        format!("{HELD}{}.{group}.{part}", subjects::token(&self.destination))
    }

    fn value(&self, part: u32) -> HeldPart {
        HeldPart {
            destination: self.destination.clone(),
            group: self.hold.group.clone(),
            until_us: self.hold.until_us,
            quiet: self.hold.quiet,
            sequences: self.parts.get(&part).into_iter().flatten().copied().collect(),
        }
    }
}

/// The bucket `routing`.
#[derive(Debug, Clone)]
pub(crate) struct RoutingStore {
    pub(crate) kv: Kv,
    nats: Nats,
    retry: RecordingRetry,
}

impl RoutingStore {
    pub(crate) async fn open(nats: &Nats, retry: &RecordingRetry) -> anyhow::Result<Self> {
        let kv = nats.kv(Bucket::Routing).await.context("open bucket routing")?;
        Ok(Self { kv, nats: nats.clone(), retry: retry.clone() })
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
        for (key, record) in self.list::<OpenRecord>(OPEN).await? {
            match self.alert(record.sequence).await? {
                Some(alert) => _ = open.0.insert(record.alert.clone(), Open { record, alert }),
                None => gone.push(key),
            }
        }
        Ok((open, gone))
    }

    /// Messages that waited when the last instance stopped.
    pub(crate) async fn load_held(&self) -> anyhow::Result<BTreeMap<(String, String), HeldGroup>> {
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
        let message = self
            .retry
            .run("read an alert", || self.nats.get(Stream::Alert.name(), sequence))
            .await?
            .context("read an alert")?;
        Ok(message.and_then(|message| match Event::decode(&message.payload) {
            Ok(Event::Alert(alert)) => Some(alert),
            _ => None,
        }))
    }

    pub(crate) async fn save_open(&self, record: &OpenRecord) -> anyhow::Result<()> {
        self.put(&open_key(&record.alert), record).await
    }

    pub(crate) async fn forget_open(&self, alert: &str) -> anyhow::Result<()> {
        self.delete(&open_key(alert)).await
    }

    /// Adds a message to a group, unless it is there.
    pub(crate) async fn hold(&self, group: &mut HeldGroup, sequence: u64) -> anyhow::Result<()> {
        if group.holds(sequence) {
            return Ok(());
        }
        let last = group.parts.last_key_value();
        let number = match last {
            Some((number, part)) if part.len() < PART => *number,
            last => last.map_or(0, |(number, _)| number + 1),
        };
        group.parts.entry(number).or_default().insert(sequence);
        self.put(&group.key(number), &group.value(number)).await
    }

    /// Forgets a part of a group, but for the messages that wait on.
    pub(crate) async fn keep_of_part(
        &self,
        group: &mut HeldGroup,
        number: u32,
        waiting: BTreeSet<u64>,
    ) -> anyhow::Result<()> {
        if waiting.is_empty() {
            group.parts.remove(&number);
            return self.delete(&group.key(number)).await;
        }
        group.parts.insert(number, waiting);
        self.put(&group.key(number), &group.value(number)).await
    }

    pub(crate) async fn get<T: DeserializeOwned>(&self, key: &str) -> anyhow::Result<Option<T>> {
        let entry = self.with_retry(|| self.kv.get(key)).await?;
        Ok(entry.and_then(|entry| serde_json::from_slice(&entry.value).ok()))
    }

    pub(crate) async fn put<T: Serialize>(&self, key: &str, value: &T) -> anyhow::Result<()> {
        let value = serde_json::to_vec(value).context("encode a record")?;
        self.with_retry(|| self.kv.put(key, value.clone())).await.map(drop)
    }

    async fn delete(&self, key: &str) -> anyhow::Result<()> {
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

fn open_key(alert: &str) -> String {
    format!("{OPEN}{}", subjects::token(alert))
}
