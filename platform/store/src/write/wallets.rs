//! The table `wallets`: the watch-list as rows.

use crypto_intel_schemas::{AccountAddress, WatchChain, Watched};
use crypto_intel_service::now_us;
use serde_json::{Value, json};

use crate::{error::StoreError, pool::store::Store, sql_values::Timestamp};

/// Entries in one statement: a million of them in one parameter would be more than the server accepts.
const ENTRIES_PER_STATEMENT: usize = 5_000;
/// The watch-list entries of parameter `$1` as rows, under the name `entry`.
const ENTRIES: &str = "WITH entry AS MATERIALIZED ( \
     SELECT DISTINCT ON (address, chain) decode(address, 'hex') AS address, chain, kind, label, tags, \
     group_name, owner, notes, \
     timestamptz 'epoch' + added_at_us * interval '1 microsecond' AS added_at \
     FROM jsonb_to_recordset($1) AS entry \
     (address text, chain text, kind text, label text, tags text[], group_name text, owner text, notes text, \
     added_at_us bigint))";

impl Store {
    /// Inserts or updates entries of the watch-list; a wallet that had left it is watched again. Returns how many rows
    /// changed: a row that is up to date is only read.
    ///
    /// # Errors
    /// When the database does not answer or is not migrated.
    pub async fn keep_wallets(&self, entries: &[Watched]) -> Result<u64, StoreError> {
        // An unchanged row is not even locked. ON CONFLICT covers a concurrent change.
        let sql = format!(
            "{ENTRIES}, changed AS (SELECT entry.* FROM entry LEFT JOIN wallets USING (address, chain) \
             WHERE wallets.address IS NULL \
             OR (wallets.kind, wallets.label, wallets.tags, wallets.group_name, wallets.owner, wallets.notes, \
             wallets.added_at, wallets.removed_at) \
             IS DISTINCT FROM (entry.kind, entry.label, entry.tags, entry.group_name, entry.owner, entry.notes, \
             entry.added_at, NULL::timestamptz)) \
             INSERT INTO wallets (address, chain, kind, label, tags, group_name, owner, notes, added_at) \
             SELECT address, chain, kind, label, tags, group_name, owner, notes, added_at FROM changed \
             ORDER BY address, chain \
             ON CONFLICT (address, chain) DO UPDATE SET kind = EXCLUDED.kind, label = EXCLUDED.label, \
             tags = EXCLUDED.tags, group_name = EXCLUDED.group_name, owner = EXCLUDED.owner, \
             notes = EXCLUDED.notes, added_at = EXCLUDED.added_at, removed_at = NULL"
        );
        let client = self.client().await?;
        let mut changed = 0;
        for slice in entries.chunks(ENTRIES_PER_STATEMENT) {
            let kept = client.execute(&sql, &[&as_json(slice)]).await;
            changed += kept.map_err(StoreError::sql("store the watch-list"))?;
        }
        Ok(changed)
    }

    /// Marks wallets as removed from the watch-list at a time (microseconds since 1970).
    ///
    /// # Errors
    /// As [`keep_wallets`](Self::keep_wallets).
    pub async fn remove_wallets(
        &self,
        removed: &[(WatchChain, AccountAddress, i64)],
    ) -> Result<(), StoreError> {
        let client = self.client().await?;
        for slice in removed.chunks(ENTRIES_PER_STATEMENT) {
            let addresses: Vec<&[u8]> = slice.iter().map(|(_, one, _)| one.as_slice()).collect();
            let chains: Vec<&str> = slice.iter().map(|(chain, ..)| chain.name()).collect();
            let times: Vec<Timestamp> = slice.iter().map(|(.., at)| Timestamp(*at)).collect();
            client
                .execute(
                    "UPDATE wallets SET removed_at = gone.at \
                     FROM unnest($1::bytea[], $2::text[], $3::timestamptz[]) AS gone (address, chain, at) \
                     WHERE wallets.address = gone.address AND wallets.chain = gone.chain \
                     AND removed_at IS NULL",
                    &[&addresses, &chains, &times],
                )
                .await
                .map_err(StoreError::sql("mark wallets as removed"))?;
        }
        Ok(())
    }

    /// Marks all wallets but these as removed from the watch-list. Walks the table in slices, in the order of its key.
    ///
    /// # Errors
    /// As [`keep_wallets`](Self::keep_wallets).
    pub async fn remove_other_wallets(&self, entries: &[Watched]) -> Result<(), StoreError> {
        let mut listed: Vec<(&[u8], &str)> = entries.iter().map(key).collect();
        listed.sort_unstable();
        let mut after: (Vec<u8>, String) = Default::default();
        loop {
            let rows = self
                .client()
                .await?
                .query(
                    "SELECT address, chain FROM wallets \
                     WHERE removed_at IS NULL AND (address, chain) > ($1, $2) \
                     ORDER BY address, chain LIMIT $3",
                    &[&after.0, &after.1, &(ENTRIES_PER_STATEMENT as i64)],
                )
                .await
                .map_err(StoreError::sql("compare the watch-list"))?;
            let Some(last) = rows.last() else { return Ok(()) };
            after = (last.get(0), last.get(1));
            let now = now_us();
            let gone: Vec<(WatchChain, AccountAddress, i64)> = rows
                .iter()
                .map(|row| (row.get::<_, &[u8]>(0), row.get::<_, &str>(1)))
                .filter(|known| listed.binary_search(known).is_err())
                .filter_map(|(address, chain)| {
                    Some((chain.parse().ok()?, AccountAddress::from_slice(address)?, now))
                })
                .collect();
            self.remove_wallets(&gone).await?;
        }
    }
}

fn key(watched: &Watched) -> (&[u8], &str) {
    (watched.address.as_slice(), watched.chain.name())
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
            "group_name": entry.group,
            "owner": entry.owner,
            "notes": entry.notes,
            "added_at_us": entry.added_at_us,
        })
    };
    entries.iter().map(entry).collect()
}
