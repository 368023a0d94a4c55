//! Which tokens watched wallets hold, in the bucket `holdings`: what the schedule reads.

use std::collections::{BTreeSet, HashMap, HashSet};

use anyhow::Context as _;
use bytes::Bytes;
use crypto_intel_nats::{Bucket, Kv, Nats};
use crypto_intel_schemas::{Address, Balance};
use serde::{Deserialize, Serialize};

use super::holding::{Asset, Holding};

/// Tokens of one wallet that are read on schedule: 4 KiB in memory, and more than anybody holds who is not sent rubbish.
const MAX_TOKENS: usize = 200;

/// Value of a key `<chain>.<wallet>` of the bucket `holdings`, as JSON.
#[derive(Debug, Default, Serialize, Deserialize)]
struct Stored {
    /// Contracts of the tokens of which the wallet had some when it was read last.
    tokens: Vec<Address>,
}

/// The holdings of the wallets of one chain.
#[derive(Debug)]
pub(super) struct Holdings {
    chain: String,
    bucket: Kv,
    /// Tokens by wallet, sorted; every wallet that was read once is here.
    wallets: HashMap<Address, Vec<Address>>,
    changed: HashSet<Address>,
    /// Wallets that hold more than is read on schedule.
    full: BTreeSet<Address>,
}

impl Holdings {
    /// Reads the bucket.
    ///
    /// # Errors
    /// When it cannot be read.
    pub(super) async fn load(nats: &Nats, chain: &str) -> anyhow::Result<Self> {
        let bucket = nats.kv(Bucket::Holdings).await.context("open bucket holdings")?;
        let prefix = format!("{chain}.");
        let entries = bucket.entries(&prefix).await.context("read bucket holdings")?;
        let mut wallets = HashMap::with_capacity(entries.len());
        for (key, entry) in entries {
            let wallet = key.strip_prefix(&prefix).and_then(|text| text.parse().ok());
            // An unreadable entry counts as none: the wallet is read as a new one.
            if let (Some(wallet), Ok(stored)) =
                (wallet, serde_json::from_slice::<Stored>(&entry.value))
            {
                wallets.insert(wallet, stored.tokens);
            }
        }
        Ok(Self {
            chain: chain.to_owned(),
            bucket,
            wallets,
            changed: HashSet::new(),
            full: BTreeSet::new(),
        })
    }

    /// Whether a wallet was read before.
    pub(super) fn has(&self, wallet: &Address) -> bool {
        self.wallets.contains_key(wallet)
    }

    /// Wallets that were read before.
    pub(super) fn wallets(&self) -> impl Iterator<Item = &Address> {
        self.wallets.keys()
    }

    /// Everything that a wallet is known to hold.
    pub(super) fn of(&self, wallet: Address) -> impl Iterator<Item = Holding> + '_ {
        let tokens = self.wallets.get(&wallet).into_iter().flatten().copied().map(Asset::Token);
        std::iter::once(Asset::Native).chain(tokens).map(move |asset| Holding { wallet, asset })
    }

    /// Notes a balance. One that could not be read says nothing of what is held.
    pub(super) fn note(&mut self, balance: &Balance, holding: Holding) {
        let wallet = holding.wallet;
        if !self.has(&wallet) {
            self.wallets.insert(wallet, Vec::new());
            self.changed.insert(wallet);
        }
        let (Asset::Token(token), Some(raw)) = (holding.asset, balance.raw) else { return };
        let Some(tokens) = self.wallets.get_mut(&wallet) else { return };
        match tokens.binary_search(&token) {
            Ok(place) if raw.0.is_zero() => {
                tokens.remove(place);
                self.full.remove(&wallet);
            }
            Err(_) if !raw.0.is_zero() && tokens.len() >= MAX_TOKENS => {
                if self.full.insert(wallet) {
                    tracing::warn!(
                        chain = self.chain,
                        %wallet,
                        tokens = MAX_TOKENS,
                        "a wallet holds more tokens than are read on schedule: the others are read when they move"
                    );
                }
                return;
            }
            Err(place) if !raw.0.is_zero() => tokens.insert(place, token),
            _ => return,
        }
        self.changed.insert(wallet);
    }

    /// Forgets a wallet that is watched no longer.
    pub(super) fn forget(&mut self, wallet: &Address) {
        if self.wallets.remove(wallet).is_some() {
            self.full.remove(wallet);
            self.changed.insert(*wallet);
        }
    }

    /// Writes what has changed to the bucket.
    ///
    /// # Errors
    /// When a write is not acknowledged; all of it is written again then.
    pub(super) async fn save(&mut self) -> anyhow::Result<()> {
        if self.changed.is_empty() {
            return Ok(());
        }
        let changes: Vec<(String, Option<Bytes>)> = self
            .changed
            .iter()
            .map(|wallet| {
                let stored =
                    self.wallets.get(wallet).map(|tokens| Stored { tokens: tokens.clone() });
                let value = stored.and_then(|stored| serde_json::to_vec(&stored).ok());
                (format!("{}.{wallet:#x}", self.chain), value.map(Bytes::from))
            })
            .collect();
        self.bucket.write_many(changes).await.context("write bucket holdings")?;
        self.changed.clear();
        Ok(())
    }
}
