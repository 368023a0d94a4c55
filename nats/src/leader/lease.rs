use std::time::Duration;

use crypto_intel_service::now_us;
use serde::Deserialize;
use serde_json::json;
use tokio::sync::watch;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::client::api::Nats;
use crate::error::KvError;
use crate::kv::{Bucket, Kv};
use crate::publish::messages::unique_id;

/// How long a lease lasts without renewal, in seconds: `max_age` of the bucket `leases`.
pub const LEASE_SECONDS: u64 = 5;

const LEASE: Duration = Duration::from_secs(LEASE_SECONDS);
/// The holder stops this long before the lease expires on the server.
const MARGIN: Duration = Duration::from_secs(1);
const RENEWAL_INTERVAL: Duration = Duration::from_millis(LEASE_SECONDS * 1_000 / 3);
const RENEWAL_TIMEOUT: Duration = Duration::from_secs(1);

/// The right to be the active instance of a task, as long as it is renewed.
///
/// It makes races rare, it does not exclude them: what the holder writes needs a fence of its own.
#[derive(Debug)]
pub struct Lease {
    key: String,
    kv: Kv,
    token: String,
    revision: watch::Receiver<u64>,
    lost: CancellationToken,
    stop: CancellationToken,
}

impl Lease {
    /// Takes the lease if it is free now. To wait for it, see [`Leadership`](crate::Leadership).
    ///
    /// # Errors
    /// Fails when the bucket cannot be read or written.
    pub async fn try_acquire(nats: &Nats, key: &str, owner: &str) -> Result<Option<Self>, KvError> {
        let kv = nats.kv(Bucket::Leases).await?;
        // Cheaper than a refused write.
        if kv.get(key).await?.is_some() {
            return Ok(None);
        }
        Claim::new(&kv, nats, key, owner).create().await
    }

    /// Fires when the lease was lost, or could not be renewed in time: stop what needs it and take it again.
    #[must_use]
    pub fn lost(&self) -> CancellationToken {
        self.lost.clone()
    }

    /// Whether the lease is still held, as far as is known here.
    #[must_use]
    pub fn is_held(&self) -> bool {
        !self.lost.is_cancelled()
    }

    /// What is leased.
    #[must_use]
    pub fn key(&self) -> &str {
        &self.key
    }

    /// Revision of the newest renewal.
    #[must_use]
    pub fn revision(&self) -> u64 {
        *self.revision.borrow()
    }

    /// Gives the lease back, so that the next instance need not wait for it to expire.
    pub async fn release(self) {
        self.stop.cancel();
        if self.lost.is_cancelled() {
            return;
        }
        let attempt = async {
            // A renewal may be under way: delete what is ours, whatever its revision.
            if let Some(entry) = self.kv.get(&self.key).await?
                && is_ours(&entry.value, &self.token)
            {
                self.kv.delete_revision(&self.key, entry.revision).await?;
            }
            Ok::<(), KvError>(())
        };
        match tokio::time::timeout(RENEWAL_TIMEOUT, attempt).await {
            Ok(Ok(())) => tracing::info!(key = %self.key, "lease released"),
            Ok(Err(error)) => {
                tracing::debug!(key = %self.key, error = %format!("{error:#}"), "lease not released, it expires");
            }
            Err(_) => tracing::debug!(key = %self.key, "lease not released in time, it expires"),
        }
        self.lost.cancel();
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        self.stop.cancel();
    }
}

/// An attempt to take a lease, as one write.
pub(crate) struct Claim {
    key: String,
    kv: Kv,
    owner: String,
    token: String,
    value: String,
}

impl Claim {
    pub(crate) fn new(kv: &Kv, nats: &Nats, key: &str, owner: &str) -> Self {
        let token = unique_id(nats);
        let value = json!({ "owner": owner, "token": token, "since_us": now_us() }).to_string();
        Self { key: key.to_owned(), kv: kv.clone(), owner: owner.to_owned(), token, value }
    }

    /// Takes a free lease; `None` if another instance was faster.
    pub(crate) async fn create(self) -> Result<Option<Lease>, KvError> {
        let sent = Instant::now();
        match self.kv.create(&self.key, self.value.clone()).await {
            Ok(revision) => Ok(Some(self.taken(revision, sent))),
            Err(KvError::AlreadyExists { .. }) => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Takes a lease that has this revision, 0 = none; `None` if it has another.
    pub(crate) async fn replace(self, revision: u64) -> Result<Option<Lease>, KvError> {
        let sent = Instant::now();
        match self.kv.update(&self.key, self.value.clone(), revision).await {
            Ok(revision) => Ok(Some(self.taken(revision, sent))),
            Err(KvError::WrongRevision { .. }) => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Keeps it from now on.
    fn taken(self, revision: u64, sent: Instant) -> Lease {
        let Self { key, kv, owner, token, value } = self;
        tracing::info!(key, owner, revision, "lease taken");
        let (sender, receiver) = watch::channel(revision);
        let lease = Lease {
            key: key.clone(),
            kv: kv.clone(),
            token: token.clone(),
            revision: receiver,
            lost: CancellationToken::new(),
            stop: CancellationToken::new(),
        };
        let lost = lease.lost.clone();
        let keeper = Keeper { key, kv, value, token, revision: sender, lost };
        tokio::spawn(keeper.run(sent, lease.stop.clone()));
        lease
    }
}

/// The holder of a lease, as in its value.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
pub struct LeaseHolder {
    /// The instance.
    #[serde(default)]
    pub owner: String,
    /// Since when, in microseconds since the Unix epoch by the holder's clock.
    #[serde(default)]
    pub since_us: i64,
}

impl LeaseHolder {
    /// Reads the value of a key of the bucket `leases`.
    #[must_use]
    pub fn read(value: &[u8]) -> Option<Self> {
        serde_json::from_slice(value).ok()
    }
}

fn is_ours(value: &[u8], token: &str) -> bool {
    serde_json::from_slice::<serde_json::Value>(value)
        .ok()
        .and_then(|value| Some(value.get("token")?.as_str()? == token))
        .unwrap_or(false)
}

/// Renews a lease until stopped or until it is lost.
struct Keeper {
    key: String,
    kv: Kv,
    value: String,
    token: String,
    revision: watch::Sender<u64>,
    lost: CancellationToken,
}

impl Keeper {
    async fn run(self, taken_at: Instant, stop: CancellationToken) {
        let mut deadline = taken_at + LEASE - MARGIN;
        let mut next = taken_at + RENEWAL_INTERVAL;
        loop {
            tokio::select! {
                () = stop.cancelled() => return,
                () = tokio::time::sleep_until(next.min(deadline)) => {}
            }
            let sent = Instant::now();
            if sent >= deadline {
                tracing::warn!(key = %self.key, "lease could not be renewed in time, taken as lost");
                self.lost.cancel();
                return;
            }
            let timeout = RENEWAL_TIMEOUT.min(deadline - sent);
            let renewed = tokio::select! {
                () = stop.cancelled() => return,
                renewed = tokio::time::timeout(timeout, self.renew()) => renewed,
            };
            match renewed {
                Ok(Ok(true)) => {
                    deadline = sent + LEASE - MARGIN;
                    next = sent + RENEWAL_INTERVAL;
                }
                Ok(Ok(false)) => {
                    tracing::warn!(key = %self.key, "lease was lost");
                    self.lost.cancel();
                    return;
                }
                Ok(Err(error)) => {
                    tracing::warn!(key = %self.key, error = %format!("{error:#}"), "lease not renewed, trying again");
                    next = Instant::now() + Duration::from_millis(200);
                }
                Err(_) => next = Instant::now(),
            }
        }
    }

    /// `false` = another instance has it, or none.
    async fn renew(&self) -> Result<bool, KvError> {
        let revision = *self.revision.borrow();
        match self.kv.update(&self.key, self.value.clone(), revision).await {
            Ok(revision) => {
                self.revision.send_replace(revision);
                Ok(true)
            }
            // Perhaps by an own renewal whose answer was lost.
            Err(KvError::WrongRevision { .. }) => match self.kv.get(&self.key).await? {
                Some(entry) if is_ours(&entry.value, &self.token) => {
                    self.revision.send_replace(entry.revision);
                    Ok(true)
                }
                _ => Ok(false),
            },
            Err(error) => Err(error),
        }
    }
}
