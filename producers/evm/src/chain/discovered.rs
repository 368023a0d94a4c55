//! What factories made is kept in the bucket `cursors`, under `factory.<chain>.<abi>.<address>`,
//! before the block that made it is published. What a block made that later left the chain stays:
//! nothing is decoded for a contract that does not exist.

use crypto_intel_nats::{Bucket, escape_key, unescape_key};
use crypto_intel_schemas::Address;

use super::Worker;
use crate::error::Trouble;

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
        let keys = bucket.keys(&prefix).await?;
        abis.restore(keys.iter().filter_map(|key| {
            let (abi, address) = key.strip_prefix(&prefix)?.rsplit_once('.')?;
            Some((unescape_key(abi)?, address.parse::<Address>().ok()?))
        }));
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
            for (abi, address) in &unsaved {
                let key = format!("{}{}.{address:#x}", self.factory_prefix(), escape_key(abi));
                bucket.put(&key, "{}").await?;
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
