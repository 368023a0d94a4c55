//! What factories made is kept in the bucket `cursors`, under `factory.<chain>.<abi>.<address>` with
//! the number of its block, before the block that made it is published. What a block made that later left the chain stays:
//! nothing is decoded for a contract that does not exist.

use crypto_intel_nats::{Bucket, escape_key, unescape_key};
use crypto_intel_schemas::Address;

use super::Worker;
use crate::{abis::Made, error::Trouble};

impl Worker {
    fn factory_prefix(&self) -> String {
        format!("factory.{}.", self.chain)
    }

    /// Reads what factories made before.
    pub(super) async fn load_discovered(&self) -> Result<(), Trouble> {
        let abis = self.decoder.abis();
        if !abis.has_factories() {
            return Ok(());
        }
        let bucket = self.nats.kv(Bucket::Cursors).await?;
        let prefix = self.factory_prefix();
        let entries = bucket.entries(&prefix).await?;
        abis.restore(entries.iter().filter_map(|(key, entry)| {
            let (abi, address) = key.strip_prefix(&prefix)?.rsplit_once('.')?;
            let since = std::str::from_utf8(&entry.value).ok()?.parse().ok()?;
            Some(Made { abi: unescape_key(abi)?, address: address.parse().ok()?, since })
        }));
        let prefix = self.found_prefix();
        for (key, entry) in bucket.entries(&prefix).await? {
            let abi = key.strip_prefix(&prefix).and_then(|rest| rest.rsplit_once('.'));
            let Some(abi) = abi.and_then(|(abi, _)| unescape_key(abi)) else { continue };
            let found: Vec<(Address, u64)> =
                serde_json::from_slice(&entry.value).unwrap_or_default();
            let made = |(address, since)| Made { abi: abi.clone(), address, since };
            abis.restore(found.into_iter().map(made));
        }
        Ok(())
    }

    /// Keeps what factories made in blocks that are about to be published.
    pub(super) async fn keep_discovered(&self) -> Result<(), Trouble> {
        let unsaved = self.decoder.abis().take_unsaved();
        if unsaved.is_empty() {
            return Ok(());
        }
        let kept = async {
            let bucket = self.nats.kv(Bucket::Cursors).await?;
            for Made { abi, address, since } in &unsaved {
                let key = format!("{}{}.{address:#x}", self.factory_prefix(), escape_key(abi));
                bucket.put(&key, since.to_string()).await?;
            }
            Ok::<_, crypto_intel_nats::KvError>(())
        };
        if let Err(error) = kept.await {
            self.decoder.abis().keep_again(unsaved);
            return Err(error.into());
        }
        Ok(())
    }
}
