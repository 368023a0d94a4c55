//! The table `wallets`: the watch-list as rows. When they were seen is in [`sights`](crate::sights).

use crypto_intel_schemas::{Address, WatchChain, Watched};
use serde_json::{Value, json};

use crate::{Store, StoreError, time::Timestamp};

/// Entries of the watch-list as the database takes them, under the name `entry`.
const ENTRIES: &str = "WITH entry AS ( \
     SELECT DISTINCT ON (address, chain) decode(address, 'hex') AS address, chain, kind, label, tags, \
     timestamptz 'epoch' + added_at_us * interval '1 microsecond' AS added_at \
     FROM jsonb_to_recordset($1) AS entry \
     (address text, chain text, kind text, label text, tags text[], added_at_us bigint))";

impl Store {
    /// Keeps entries of the watch-list; what is there already changes its name, and is watched again if it was not.
    ///
    /// # Errors
    /// When the database does not answer or wants migrating.
    pub async fn keep_wallets(&self, entries: &[Watched]) -> Result<(), StoreError> {
        let sql = format!(
            "{ENTRIES} INSERT INTO wallets (address, chain, kind, label, tags, added_at) \
             SELECT address, chain, kind, label, tags, added_at FROM entry ORDER BY address, chain \
             ON CONFLICT (address, chain) DO UPDATE SET kind = EXCLUDED.kind, label = EXCLUDED.label, \
             tags = EXCLUDED.tags, added_at = EXCLUDED.added_at, removed_at = NULL \
             WHERE (wallets.kind, wallets.label, wallets.tags, wallets.added_at, wallets.removed_at) \
             IS DISTINCT FROM (EXCLUDED.kind, EXCLUDED.label, EXCLUDED.tags, EXCLUDED.added_at, NULL::timestamptz)"
        );
        let client = self.client().await?;
        client
            .execute(&sql, &[&as_json(entries)])
            .await
            .map_err(StoreError::sql("keep the watch-list"))?;
        Ok(())
    }

    /// Says of a wallet that it left the watch-list at a time (microseconds since 1970).
    ///
    /// # Errors
    /// As [`keep_wallets`](Self::keep_wallets).
    pub async fn remove_wallet(
        &self,
        chain: &WatchChain,
        address: &Address,
        removed_at_us: i64,
    ) -> Result<(), StoreError> {
        let client = self.client().await?;
        client
            .execute(
                "UPDATE wallets SET removed_at = $3 \
                 WHERE address = $1 AND chain = $2 AND removed_at IS NULL",
                &[&address.as_slice(), &chain.name(), &Timestamp(removed_at_us)],
            )
            .await
            .map_err(StoreError::sql("take a wallet off the watch-list"))?;
        Ok(())
    }

    /// Keeps the whole watch-list: what is not among the entries has left it.
    ///
    /// # Errors
    /// As [`keep_wallets`](Self::keep_wallets).
    pub async fn replace_wallets(&self, entries: &[Watched]) -> Result<(), StoreError> {
        self.keep_wallets(entries).await?;
        let sql = format!(
            "{ENTRIES} UPDATE wallets SET removed_at = clock_timestamp() WHERE removed_at IS NULL \
             AND NOT EXISTS (SELECT FROM entry \
             WHERE entry.address = wallets.address AND entry.chain = wallets.chain)"
        );
        let client = self.client().await?;
        client
            .execute(&sql, &[&as_json(entries)])
            .await
            .map_err(StoreError::sql("compare the watch-list"))?;
        Ok(())
    }
}

fn as_json(entries: &[Watched]) -> Value {
    let entry = |watched: &Watched| {
        let Watched { chain, address, entry } = watched;
        json!({
            "address": format!("{address:x}"),
            "chain": chain.name(),
            "kind": entry.kind.as_str(),
            "label": entry.label,
            "tags": (!entry.tags.is_empty()).then_some(&entry.tags),
            "added_at_us": entry.added_at_us,
        })
    };
    entries.iter().map(entry).collect()
}
