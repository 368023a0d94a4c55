//! Contracts created by factories are saved in the bucket `contracts`, before the block that created them is published:
//! under `<chain>.<abi>.made.<address>` those that the live lane saw, one key for the blocks that are published
//! together, and under `<chain>.<abi>.found.<block>` those that a search found in a span. Each value is a list of
//! contracts, each with the number of its block. Contracts of a block that later left the chain stay: a contract that
//! does not exist emits no logs.

use std::{
    collections::BTreeMap,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicI64, Ordering},
    },
};

use crypto_intel_chain::interrupt::ChainInterrupt;
use crypto_intel_nats::{Bucket, Kv, KvError, Nats, escape_key, unescape_key};
use crypto_intel_schemas::Address;
use crypto_intel_service::now_us;
use tokio::sync::OnceCell;

use crate::{
    abis::{Factory, Made},
    decode::Decoder,
};

/// A contract in a list: 20 bytes of address, 8 of the block's number, big-endian.
const CONTRACT_BYTES: usize = 28;
/// Maximum number of contracts of one key: well below the largest message.
const MAX_LIST: usize = 20_000;
/// Minimum interval between reports that the bucket is full.
const TELL_INTERVAL_US: i64 = 60_000_000;

/// The contracts created by the factories of one chain.
#[derive(Debug)]
pub(crate) struct ContractStore {
    chain: String,
    nats: Nats,
    decoder: Arc<Decoder>,
    /// The bucket, once it is open.
    bucket: OnceCell<Kv>,
    /// Whether it was read in this term as leader.
    is_loaded: AtomicBool,
    /// When a full bucket was last reported.
    told_full_at_us: AtomicI64,
}

impl ContractStore {
    pub(crate) fn new(chain: String, nats: Nats, decoder: Arc<Decoder>) -> Self {
        Self {
            chain,
            nats,
            decoder,
            bucket: OnceCell::new(),
            is_loaded: AtomicBool::new(false),
            told_full_at_us: AtomicI64::new(0),
        }
    }

    /// Makes [`Self::load`] read the bucket again: another instance may have saved more.
    pub(crate) fn forget_loaded(&self) {
        self.is_loaded.store(false, Ordering::Relaxed);
    }

    /// Reads the saved contracts, once in each term as leader.
    pub(crate) async fn load(&self) -> Result<(), ChainInterrupt> {
        let abis = self.decoder.abis();
        if !abis.has_factories() || self.is_loaded.load(Ordering::Relaxed) {
            return Ok(());
        }
        let bucket = self.bucket().await?;
        let prefix = format!("{}.", self.chain);
        for (key, entry) in bucket.entries(&prefix).await? {
            let abi = key.strip_prefix(&prefix).and_then(|rest| rest.rsplitn(3, '.').nth(2));
            let Some(abi) = abi.and_then(unescape_key) else { continue };
            match decode(&abi, &entry.value) {
                Some(made) => abis.restore(made.into_iter()),
                None => self.search_again(&key, &abi).await?,
            }
        }
        self.load_of_older_versions().await?;
        self.is_loaded.store(true, Ordering::Relaxed);
        Ok(())
    }

    /// Reads what versions before this bucket saved in `cursors`.
    async fn load_of_older_versions(&self) -> Result<(), ChainInterrupt> {
        let abis = self.decoder.abis();
        let bucket = self.nats.kv(Bucket::Cursors).await?;
        let prefix = format!("factory.{}.", self.chain);
        let entries = bucket.entries(&prefix).await?;
        abis.restore(entries.iter().filter_map(|(key, entry)| {
            let (abi, address) = key.strip_prefix(&prefix)?.rsplit_once('.')?;
            let since = std::str::from_utf8(&entry.value).ok()?.parse().ok()?;
            Some(Made { abi: unescape_key(abi)?, address: address.parse().ok()?, since })
        }));
        let prefix = format!("factory_found.{}.", self.chain);
        for (key, entry) in bucket.entries(&prefix).await? {
            let abi = key.strip_prefix(&prefix).and_then(|rest| rest.rsplit_once('.'));
            let Some(abi) = abi.and_then(|(abi, _)| unescape_key(abi)) else { continue };
            match serde_json::from_slice::<Vec<(Address, u64)>>(&entry.value) {
                Ok(found) => {
                    let made = |(address, since)| Made { abi: abi.clone(), address, since };
                    abis.restore(found.into_iter().map(made));
                }
                Err(_) => self.search_again(&key, &abi).await?,
            }
        }
        Ok(())
    }

    /// Starts the search again for an ABI with an unreadable entry.
    async fn search_again(&self, key: &str, abi: &str) -> Result<(), ChainInterrupt> {
        tracing::error!(
            chain = self.chain,
            key,
            abi,
            "saved contracts of a factory cannot be read, starting its search again"
        );
        let bucket = self.nats.kv(Bucket::Cursors).await?;
        for factory in self.decoder.abis().factories().iter().filter(|known| known.abi == abi) {
            bucket.delete(&search_key(&self.chain, factory)).await?;
        }
        Ok(())
    }

    /// Saves the contracts that factories created in blocks that are about to be published.
    pub(crate) async fn keep_discovered(&self) -> Result<(), ChainInterrupt> {
        let unsaved = self.decoder.abis().take_unsaved();
        if unsaved.is_empty() {
            return Ok(());
        }
        match self.keep_made(&unsaved).await {
            Ok(()) => Ok(()),
            Err(KvError::Full { text, .. }) => {
                // This process still knows them, and saving is retried with the next ones.
                self.decoder.abis().keep_again(unsaved);
                self.tell_full(&text);
                Ok(())
            }
            Err(error) => {
                self.decoder.abis().keep_again(unsaved);
                Err(error.into())
            }
        }
    }

    async fn keep_made(&self, unsaved: &[Made]) -> Result<(), KvError> {
        let mut by_abi: BTreeMap<&str, Vec<&Made>> = BTreeMap::new();
        for made in unsaved {
            by_abi.entry(&made.abi).or_default().push(made);
        }
        let bucket = self.bucket().await?;
        let lists = by_abi.iter().flat_map(|(abi, made)| {
            made.chunks(MAX_LIST).filter_map(move |list| Some((abi, list.first()?, list)))
        });
        let writes = lists.map(|(abi, first, list)| async move {
            let key = format!("{}.{}.made.{:#x}", self.chain, escape_key(abi), first.address);
            bucket.put(&key, encode(list.iter().copied())).await
        });
        futures::future::try_join_all(writes).await?;
        Ok(())
    }

    /// Saves the contracts that a search found in the span from a block on.
    pub(crate) async fn keep_found(
        &self,
        abi: &str,
        from: u64,
        made: &[Made],
    ) -> Result<(), KvError> {
        let bucket = self.bucket().await?;
        for (place, list) in made.chunks(MAX_LIST).enumerate() {
            let key = format!("{}.{}.found.{from:020}-{place}", self.chain, escape_key(abi));
            bucket.put(&key, encode(list.iter())).await?;
        }
        Ok(())
    }

    async fn bucket(&self) -> Result<&Kv, KvError> {
        let open = async || self.nats.kv(Bucket::Contracts).await;
        Ok(self.bucket.get_or_try_init(open).await?)
    }

    fn tell_full(&self, text: &str) {
        let (now, told) = (now_us(), self.told_full_at_us.load(Ordering::Relaxed));
        if now - told < TELL_INTERVAL_US {
            return;
        }
        self.told_full_at_us.store(now, Ordering::Relaxed);
        tracing::error!(
            chain = self.chain,
            error = text,
            hint = "raise max_bytes in [streams.streams.KV_contracts] and run `crypto-intel streams apply`",
            "bucket contracts is full: new contracts of factories are decoded, but forgotten when this process ends"
        );
    }
}

/// Key of the progress of a factory's search.
pub(crate) fn search_key(chain: &str, factory: &Factory) -> String {
    format!("factory_search.{chain}.{}.{:#x}", escape_key(&factory.abi), factory.contract)
}

fn encode<'a>(made: impl Iterator<Item = &'a Made>) -> Vec<u8> {
    let mut bytes = Vec::new();
    for Made { address, since, .. } in made {
        bytes.extend_from_slice(address.as_slice());
        bytes.extend_from_slice(&since.to_be_bytes());
    }
    bytes
}

/// The contracts of a list; `None` when the bytes are not such a list.
fn decode(abi: &str, bytes: &[u8]) -> Option<Vec<Made>> {
    if bytes.is_empty() || !bytes.len().is_multiple_of(CONTRACT_BYTES) {
        return None;
    }
    let contracts = bytes.chunks_exact(CONTRACT_BYTES);
    let made = contracts.filter_map(|contract| {
        let (address, since) = contract.split_at_checked(CONTRACT_BYTES - size_of::<u64>())?;
        let since = u64::from_be_bytes(since.try_into().ok()?);
        Some(Made { abi: abi.to_owned(), address: Address::from_slice(address), since })
    });
    Some(made.collect())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    #[test]
    fn lists_of_contracts_round_trip_and_other_bytes_are_refused() {
        let made =
            |byte, since| Made { abi: "v1".into(), address: Address::repeat_byte(byte), since };
        let list = [made(1, 7), made(2, u64::MAX)];
        let bytes = encode(list.iter());
        assert_eq!(bytes.len(), 2 * CONTRACT_BYTES);
        let back = decode("v1", &bytes).unwrap();
        let fields = |made: &Made| (made.abi.clone(), made.address, made.since);
        assert_eq!(back.iter().map(fields).collect::<Vec<_>>(), list.each_ref().map(fields));
        for bytes in [&bytes[1..], b"", b"[]"] {
            assert!(decode("v1", bytes).is_none());
        }
    }
}
