//! Waiting for a lease, and knowing meanwhile whether an instance leads.

use std::time::Duration;

use tokio::time::Instant;

use super::{LOOK_INTERVAL, Leadership};
use crate::client::obstacle::Obstacle;
use crate::client::obstacle::{answered, written};
use crate::error::KvError;
use crate::kv::{Bucket, Entry, Kv};
use crate::leader::lease::Claim;
use crate::leader::lease::{LEASE_SECONDS, Lease, LeaseHolder};

/// A lease that was not renewed for this long should have expired.
const MAX_RENEWAL_AGE: Duration = Duration::from_secs(LEASE_SECONDS + 3);
/// How often a standby checks that it may write the lease.
const WRITE_CHECK_INTERVAL: Duration = Duration::from_secs(5);
/// A single unacknowledged write may be a slow disk.
const UNSTORED_WRITES: u32 = 2;

/// One wait for the lead.
pub(super) struct Standby<'l> {
    leadership: &'l Leadership,
    kv: Option<Kv>,
    holder: Option<Holder>,
    write_checked: Option<Instant>,
    /// Writes in a row that were not acknowledged although reads were answered.
    unstored: u32,
    told: Option<String>,
}

/// Another instance's lease, as observed.
struct Holder {
    owner: String,
    revision: u64,
    changed: Instant,
    renewed: bool,
}

impl<'l> Standby<'l> {
    pub(super) fn new(leadership: &'l Leadership) -> Self {
        Self { leadership, kv: None, holder: None, write_checked: None, unstored: 0, told: None }
    }

    /// Waits until the lease is taken. Cancel-safe: a lease that is taken and dropped is not renewed.
    pub(super) async fn wait(mut self) -> Lease {
        loop {
            match self.look().await {
                Ok(Some(lease)) => return lease,
                Ok(None) => self.judge(),
                Err(obstacle) => self.report(&obstacle),
            }
            tokio::time::sleep(LOOK_INTERVAL).await;
        }
    }

    /// Looks at the lease and takes it if that is possible.
    async fn look(&mut self) -> Result<Option<Lease>, Obstacle> {
        let nats = &self.leadership.nats;
        nats.connection().map_err(Obstacle::Away)?;
        if self.kv.is_none() {
            self.kv = Some(answered(nats, nats.kv(Bucket::Leases)).await?);
        }
        let Some(kv) = self.kv.clone() else { return Ok(None) };
        let entry = answered(nats, kv.get(&self.leadership.task)).await?;
        let Some(entry) = entry else {
            self.holder = None;
            return self.write(&kv, Claim::create).await;
        };
        let owner = LeaseHolder::read(&entry.value).unwrap_or_default().owner;
        if owner == self.leadership.context.instance {
            // Of an earlier term of this instance: no other can hold it before it expires.
            self.holder = None;
            return self.write(&kv, |claim| claim.replace(entry.revision)).await;
        }
        self.see(owner, &entry);
        if self.write_checked.is_none_or(|at| at.elapsed() >= WRITE_CHECK_INTERVAL) {
            // Refused while the lease exists: it shows whether the server answers this user.
            let lease = self.write(&kv, |claim| claim.replace(0)).await?;
            self.write_checked = Some(Instant::now());
            return Ok(lease);
        }
        Ok(None)
    }

    async fn write<F>(
        &mut self,
        kv: &Kv,
        attempt: impl FnOnce(Claim) -> F,
    ) -> Result<Option<Lease>, Obstacle>
    where
        F: Future<Output = Result<Option<Lease>, KvError>>,
    {
        let Leadership { nats, task, context, .. } = self.leadership;
        let claim = Claim::new(kv, nats, task, &context.instance);
        let outcome = written(kv, task, attempt(claim)).await;
        match &outcome {
            Err(Obstacle::NotStored(reason)) => {
                self.unstored += 1;
                if self.unstored < UNSTORED_WRITES {
                    return Err(Obstacle::Refused(format!("cannot write the lease: {reason}")));
                }
            }
            _ => self.unstored = 0,
        }
        outcome
    }

    fn see(&mut self, owner: String, entry: &Entry) {
        match &mut self.holder {
            Some(holder) if holder.owner == owner => {
                if holder.revision != entry.revision {
                    holder.revision = entry.revision;
                    holder.changed = Instant::now();
                    holder.renewed = true;
                }
            }
            _ => {
                let (revision, changed) = (entry.revision, Instant::now());
                self.holder = Some(Holder { owner, revision, changed, renewed: false });
            }
        }
    }

    /// Nothing prevents leading, except perhaps another instance.
    fn judge(&mut self) {
        let Some(holder) = &self.holder else { return };
        let silence = holder.changed.elapsed();
        if silence > MAX_RENEWAL_AGE {
            let text = format!(
                "the lease of {} was not renewed for {} s and does not expire",
                holder.owner,
                silence.as_secs()
            );
            self.report(&Obstacle::NotStored(text));
        } else if holder.renewed {
            self.leadership.probe.healthy(format!("standing by, {} leads", holder.owner));
            if self.told.as_ref() != Some(&holder.owner) {
                tracing::info!(task = self.leadership.task, leader = holder.owner, "standing by");
                self.told = Some(holder.owner.clone());
            }
        }
    }

    /// Reports what prevents leading: in the probe always, in the log when it changes.
    fn report(&mut self, obstacle: &Obstacle) {
        let task = &self.leadership.task;
        let text = obstacle.to_string();
        self.leadership.probe.unhealthy(format!("cannot lead: {text}"));
        let human = matches!(obstacle, Obstacle::NotStored(_) | Obstacle::Forbidden(_));
        // The reasons of one obstacle vary.
        let kind = match obstacle {
            Obstacle::NotStored(_) => "not stored",
            _ => text.as_str(),
        };
        if self.told.as_deref() == Some(kind) {
            return;
        }
        if human {
            tracing::error!(task, "cannot lead: {text}");
        } else {
            tracing::warn!(task, reason = text, "cannot lead, trying again");
        }
        self.told = Some(kind.to_owned());
    }
}
