//! The record of every message: the attempt before the socket opens, the result after it.

use anyhow::Context as _;
use crypto_intel_nats::{Bucket, Kv, KvError, Nats, NatsError, TermEnd};
use crypto_intel_schemas::{Acknowledgement, DeliveryState, subjects};
use crypto_intel_service::{RecordingRetry, now_us};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::records::{
    anchor::{Anchor, Edited, Editing},
    closed::Closed,
    delivery::Ending,
};

/// After this many attempts that may each have arrived, another copy is of no use.
pub(crate) const MAX_UNCERTAIN_ATTEMPTS: u32 = 3;

/// State of a message. Written by compare-and-set, which keeps two instances apart.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Record {
    /// Id of the delivery, for readers of the bucket.
    pub(crate) delivery: String,
    #[serde(flatten)]
    pub(crate) step: Step,
    /// Attempts so far, including the current one.
    pub(crate) attempts: u32,
    /// An earlier attempt may have arrived: the next one is marked.
    #[serde(default)]
    pub(crate) uncertain: bool,
    /// How many attempts may have arrived.
    #[serde(default)]
    pub(crate) doubts: u32,
    /// Markup was rejected: plain text from now on.
    #[serde(default)]
    pub(crate) plain: bool,
    /// Whether the first message about the alert was changed.
    #[serde(default)]
    pub(crate) edited: Edited,
    /// Another message carried it: its end was published with that one's.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub(crate) carried: bool,
    /// Stream sequences of the messages that this one carries as a digest, beside its own.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(crate) folded: Vec<u64>,
    /// What kept it back: a silence or an alert.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) cause: Option<String>,
    /// The instance that wrote this.
    pub(crate) owner: String,
    /// When, microseconds UTC.
    pub(crate) at_us: i64,
}

/// Step of a message.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "step", rename_all = "lowercase")]
pub(crate) enum Step {
    /// It may be under way until `until_us`; without a later record it is unknown whether it arrived.
    Attempt {
        until_us: i64,
        body_hash: String,
        /// It changes an earlier message, which may be done any number of times.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        edit: Option<Editing>,
    },
    /// Not before this time; it has not arrived, or `uncertain` is set.
    Wait { not_before_us: i64, why: String },
    /// It has ended.
    Done {
        state: DeliveryState,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        message_id: Option<String>,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        error: Option<String>,
        done_at_us: i64,
    },
}

impl Record {
    /// Whether so many attempts may have arrived that another copy is of no use.
    pub(crate) const fn is_given_up(&self) -> bool {
        self.doubts >= MAX_UNCERTAIN_ATTEMPTS
    }

    /// Another attempt is about to start.
    pub(crate) fn begin(&mut self, until_us: i64, body_hash: String, edit: Option<Editing>) {
        self.attempts += 1;
        self.step = Step::Attempt { until_us, body_hash, edit };
    }

    /// What the attempt under way changes, if it changes an earlier message.
    pub(crate) const fn editing(&self) -> Option<Editing> {
        match &self.step {
            Step::Attempt { edit, .. } => *edit,
            Step::Wait { .. } | Step::Done { .. } => None,
        }
    }

    /// This instance writes it now.
    pub(crate) fn stamp(&mut self, owner: &str) {
        owner.clone_into(&mut self.owner);
        self.at_us = now_us();
    }

    pub(crate) fn done(&mut self, ending: Ending) {
        self.attempts = ending.attempts;
        self.step = Step::Done {
            state: ending.state,
            message_id: ending.message_id,
            error: ending.error,
            done_at_us: ending.done_at_us,
        };
    }

    /// How it ended, if it has ended.
    pub(crate) fn ending(&self) -> Option<Ending> {
        match &self.step {
            Step::Done { state, message_id, error, done_at_us } => Some(Ending {
                state: *state,
                attempts: self.attempts,
                message_id: message_id.clone(),
                error: error.clone(),
                done_at_us: *done_at_us,
            }),
            Step::Attempt { .. } | Step::Wait { .. } => None,
        }
    }
}

/// A record and the revision that the next write must find; 0 = none was written.
#[derive(Debug, Clone)]
pub(crate) struct Stored {
    pub(crate) record: Record,
    pub(crate) revision: u64,
}

impl Stored {
    /// The record of a message before its first attempt, not written yet.
    pub(crate) fn new(delivery: &str, owner: &str) -> Self {
        let record = Record {
            delivery: delivery.to_owned(),
            step: Step::Wait { not_before_us: 0, why: String::new() },
            attempts: 0,
            uncertain: false,
            doubts: 0,
            plain: false,
            edited: Edited::No,
            carried: false,
            folded: Vec::new(),
            cause: None,
            owner: owner.to_owned(),
            at_us: now_us(),
        };
        Self { record, revision: 0 }
    }
}

/// A record that this version cannot read.
#[derive(Debug, thiserror::Error)]
#[error("record of {delivery} cannot be read: {source}")]
pub(crate) struct UnreadableRecord {
    delivery: String,
    source: serde_json::Error,
}

/// The bucket `deliveries`.
#[derive(Debug, Clone)]
pub(crate) struct Records {
    kv: Kv,
    /// Acknowledgements.
    routing: Kv,
    retry: RecordingRetry,
}

impl Records {
    pub(crate) async fn open(nats: &Nats, retry: RecordingRetry) -> Result<Self, NatsError> {
        let (kv, routing) = (nats.kv(Bucket::Deliveries).await?, nats.kv(Bucket::Routing).await?);
        Ok(Self { kv, routing, retry })
    }

    pub(crate) async fn load(
        &self,
        destination: &str,
        delivery: &str,
    ) -> anyhow::Result<Option<Stored>> {
        let key = record_key(destination, delivery);
        let entry = self.with_retry(delivery, || self.kv.get(&key)).await?;
        let Some(entry) = entry else { return Ok(None) };
        let record = serde_json::from_slice(&entry.value)
            .map_err(|source| UnreadableRecord { delivery: delivery.to_owned(), source })?;
        Ok(Some(Stored { record, revision: entry.revision }))
    }

    /// Writes by compare-and-set. A write of unknown outcome is read back: the stored record is ours,
    /// unchanged, or another instance's.
    pub(crate) async fn save(&self, destination: &str, stored: &mut Stored) -> anyhow::Result<()> {
        let delivery = stored.record.delivery.clone();
        let key = record_key(destination, &delivery);
        let value = serde_json::to_vec(&stored.record).context("encode a record")?;
        let expected = stored.revision;
        let written = self.with_retry(&delivery, || self.write(&key, &value, expected)).await?;
        let Some(revision) = written else {
            let what = format!("another instance wrote the record of {delivery}");
            return Err(TermEnd::Replaced).context(what);
        };
        stored.revision = revision;
        Ok(())
    }

    /// `None` when another instance has written the record.
    async fn write(&self, key: &str, value: &[u8], expected: u64) -> Result<Option<u64>, KvError> {
        let written = match expected {
            0 => self.kv.create(key, value.to_vec()).await,
            expected => self.kv.update(key, value.to_vec(), expected).await,
        };
        match written {
            Ok(revision) => Ok(Some(revision)),
            Err(KvError::WrongRevision { .. } | KvError::AlreadyExists { .. }) => {
                // An earlier try of this very write may have been stored.
                let entry = self.kv.get(key).await?;
                Ok(entry.filter(|entry| entry.value == value).map(|entry| entry.revision))
            }
            Err(error) => Err(error),
        }
    }

    /// What was learnt of a destination's address; kept beside the records.
    pub(crate) async fn learnt(&self, destination: &str) -> anyhow::Result<Option<Value>> {
        let key = learnt_key(destination);
        let entry = self.with_retry(destination, || self.kv.get(&key)).await?;
        Ok(entry.and_then(|entry| serde_json::from_slice(&entry.value).ok()))
    }

    pub(crate) async fn set_learnt(&self, destination: &str, learnt: &Value) -> anyhow::Result<()> {
        let key = learnt_key(destination);
        let value = learnt.to_string();
        self.with_retry(destination, || self.kv.put(&key, value.clone())).await.map(|_| ())
    }

    /// What was last told about an alert; kept beside the records.
    pub(crate) async fn anchor(
        &self,
        destination: &str,
        alert: &str,
    ) -> anyhow::Result<Option<Anchor>> {
        let key = anchor_key(destination, alert);
        let entry = self.with_retry(alert, || self.kv.get(&key)).await?;
        Ok(entry.and_then(|entry| serde_json::from_slice(&entry.value).ok()))
    }

    pub(crate) async fn set_anchor(
        &self,
        destination: &str,
        alert: &str,
        anchor: &Anchor,
    ) -> anyhow::Result<()> {
        let key = anchor_key(destination, alert);
        let value = serde_json::to_vec(anchor).context("encode an anchor")?;
        self.with_retry(alert, || self.kv.put(&key, value.clone())).await.map(|_| ())
    }

    /// Who takes care of an alert, if anyone does.
    pub(crate) async fn acknowledgement(
        &self,
        alert: &str,
    ) -> anyhow::Result<Option<Acknowledgement>> {
        let key = Acknowledgement::key(alert);
        let entry = self.with_retry(alert, || self.routing.get(&key)).await?;
        Ok(entry.and_then(|entry| serde_json::from_slice(&entry.value).ok()))
    }

    /// From which number on the presses of a bot's buttons are new.
    pub(crate) async fn offset(&self, bot: &str) -> anyhow::Result<i64> {
        let key = offset_key(bot);
        let entry = self.with_retry(bot, || self.kv.get(&key)).await?;
        Ok(entry.and_then(|entry| serde_json::from_slice(&entry.value).ok()).unwrap_or(0))
    }

    pub(crate) async fn set_offset(&self, bot: &str, offset: i64) -> anyhow::Result<()> {
        let key = offset_key(bot);
        self.with_retry(bot, || self.kv.put(&key, offset.to_string())).await.map(|_| ())
    }

    /// Why a destination is closed, if it is.
    pub(crate) async fn closed(&self, destination: &str) -> anyhow::Result<Option<Closed>> {
        let key = closed_key(destination);
        let entry = self.with_retry(destination, || self.kv.get(&key)).await?;
        Ok(entry.and_then(|entry| serde_json::from_slice(&entry.value).ok()))
    }

    pub(crate) async fn set_closed(
        &self,
        destination: &str,
        closed: &Closed,
    ) -> anyhow::Result<()> {
        let key = closed_key(destination);
        let value = serde_json::json!(closed).to_string();
        self.with_retry(destination, || self.kv.put(&key, value.clone())).await.map(|_| ())
    }

    pub(crate) async fn clear_closed(&self, destination: &str) -> anyhow::Result<()> {
        let key = closed_key(destination);
        self.with_retry(destination, || self.kv.delete(&key)).await
    }

    async fn with_retry<T, F>(
        &self,
        delivery: &str,
        operation: impl FnMut() -> F,
    ) -> anyhow::Result<T>
    where
        F: Future<Output = Result<T, KvError>>,
    {
        self.retry
            .run("use bucket deliveries", operation)
            .await?
            .with_context(|| format!("write the record of {delivery}"))
    }
}

/// `<destination>.<delivery>`: one destination's records can be listed by their prefix.
pub(crate) fn record_key(destination: &str, delivery: &str) -> String {
    format!("to.{}.{}", subjects::token(destination), subjects::token(delivery))
}

/// Kept beside the records: `crypto-intel notify test` deletes it when its message arrives.
pub(crate) fn closed_key(destination: &str) -> String {
    format!("closed.{}", subjects::token(destination))
}

fn offset_key(bot: &str) -> String {
    format!("offset.{}", subjects::token(bot))
}

fn anchor_key(destination: &str, alert: &str) -> String {
    format!("anchor.{}.{}", subjects::token(destination), subjects::token(alert))
}

/// Of the first thing that was learnt: that a group had moved.
fn learnt_key(destination: &str) -> String {
    format!("moved.{}", subjects::token(destination))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    #[test]
    fn records_are_flat_json_that_reads_back() {
        let mut record = Record {
            delivery: "k:fired:1:ops".into(),
            step: Step::Attempt { until_us: 5, body_hash: "ab".into(), edit: Some(Editing::Alone) },
            attempts: 2,
            uncertain: true,
            doubts: 1,
            plain: false,
            edited: Edited::Lost,
            carried: false,
            folded: vec![7, 8],
            cause: None,
            owner: "host-1".into(),
            at_us: 4,
        };
        let json = serde_json::to_value(&record).unwrap();
        assert_eq!(json["step"], "attempt");
        assert_eq!(json["until_us"], 5);
        assert_eq!(serde_json::from_value::<Record>(json).unwrap(), record);
        let ending = Ending {
            state: DeliveryState::Repeated,
            attempts: 3,
            message_id: Some("9".into()),
            error: None,
            done_at_us: 6,
        };
        record.done(ending.clone());
        let json = serde_json::to_string(&record).unwrap();
        assert_eq!(serde_json::from_str::<Record>(&json).unwrap().ending(), Some(ending));
    }
}
