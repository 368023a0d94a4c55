//! When more waits than pacing lets through, messages below critical are folded into one.

use std::{collections::BTreeSet, time::Duration};

use anyhow::Context as _;
use crypto_intel_nats::StreamMessage;
use crypto_intel_schemas::{Notification, Severity, subjects};

use super::courier::{Courier, Parcel, decode};
use crate::delivery::STREAM;

/// What may take this long one by one is not folded.
const PATIENCE: Duration = Duration::from_secs(20);

/// A message that another one carries.
#[derive(Debug)]
pub(super) struct Member {
    pub(super) message: StreamMessage,
    pub(super) notification: Notification,
}

impl Courier<'_> {
    /// Folds what waits behind a message into it, if too much does: in order, and only up to the
    /// next critical one, so that nothing overtakes anything. The attempt's record names them, so
    /// that they end with it whatever happens.
    pub(super) async fn fold(&self, parcel: &mut Parcel<'_>) -> anyhow::Result<()> {
        let above = u64::from(self.setup.destination.policy().digest_above);
        let waiting = parcel.work.pending;
        let untouched = parcel.stored.revision == 0 && parcel.folded.is_empty();
        if !untouched
            || above == 0
            || waiting <= above
            || parcel.own.alert.severity == Severity::Critical
            || self.setup.gate.time_for(waiting) <= PATIENCE
        {
            return Ok(());
        }
        let most = self.channel.digest_size();
        let filter = subjects::notify_out(&self.setup.name);
        let mut known = BTreeSet::from([parcel.stored.record.delivery.clone()]);
        let mut alerts = vec![parcel.own.alert.clone()];
        let mut sequence = parcel.work.message.sequence + 1;
        while 1 + parcel.folded.len() < most {
            let Some(message) = self.next_message(sequence, &filter).await? else { break };
            sequence = message.sequence + 1;
            // What is none of ours is dealt with when its turn comes.
            let Ok(notification) = decode(&message) else { break };
            if notification.alert.severity == Severity::Critical {
                break;
            }
            let recorded = self.records.load(&self.setup.name, &notification.id).await?;
            if recorded.is_some() || !known.insert(notification.id.clone()) {
                continue;
            }
            alerts.push(notification.alert.clone());
            if !self.channel.takes_digest(&alerts) {
                break;
            }
            parcel.stored.record.folded.push(message.sequence);
            parcel.folded.push(notification);
        }
        tracing::info!(
            destination = self.setup.name,
            waiting,
            folded = parcel.folded.len(),
            "more waits than may be sent one by one, folding"
        );
        Ok(())
    }

    /// The messages at these sequences; those that the stream no longer holds are missing.
    pub(super) async fn members(&self, sequences: &[u64]) -> anyhow::Result<Vec<Member>> {
        let mut members = Vec::with_capacity(sequences.len());
        let nats = &self.setup.nats;
        for sequence in sequences {
            let message = self
                .retry
                .run("read a folded message", || nats.get(STREAM, *sequence))
                .await?
                .context("read a folded message")?;
            let Some(message) = message else {
                tracing::warn!(
                    destination = self.setup.name,
                    sequence,
                    "a folded message is no longer in its stream"
                );
                continue;
            };
            if let Ok(notification) = decode(&message) {
                members.push(Member { message, notification });
            }
        }
        Ok(members)
    }

    pub(super) async fn next_message(
        &self,
        sequence: u64,
        filter: &str,
    ) -> anyhow::Result<Option<StreamMessage>> {
        let nats = &self.setup.nats;
        self.retry
            .run("look what waits", || nats.next_matching(STREAM, sequence, filter))
            .await?
            .context("look what waits")
    }
}
