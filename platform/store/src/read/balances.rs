use crypto_intel_schemas::{Address, Balance};
use tokio_postgres::Row;

use crate::{error::StoreError, pool::store::Store, sql_values::Timestamp};

/// What a wallet holds of one asset, as a line of a list.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct HeldAsset {
    /// Chain slug.
    pub chain: String,
    /// The wallet.
    pub address: Address,
    /// What people call it.
    pub label: Option<String>,
    /// `native`, or the contract of the token.
    pub asset: String,
    /// Symbol of the asset, where it is known.
    pub symbol: Option<String>,
    /// Whether the asset is the chain's own currency or on the list of known tokens.
    pub verified: bool,
    /// In whole units; `None` without decimals.
    pub amount: Option<String>,
    /// In the smallest unit; `None` where the token gave none.
    pub raw: Option<String>,
    /// In US dollars when it was read, where a price was known.
    pub usd: Option<String>,
    /// Why there is no balance.
    pub problem: Option<String>,
    /// Height of the block at whose end it was so.
    pub block_number: i64,
    /// That block's own time, microseconds since 1970.
    pub block_time_us: i64,
}

/// A balance that is not what the one before it and the stored transfers make.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BalanceDifference {
    /// Chain slug.
    pub chain: String,
    /// The wallet.
    pub address: Address,
    /// `native`, or the contract of the token.
    pub asset: String,
    /// Block of the balance before.
    pub from_block: i64,
    /// Block of the balance that differs.
    pub to_block: i64,
    /// The balance less what it should be, in the smallest unit.
    pub difference: String,
    /// The likely reason.
    pub reason: String,
}

/// Differences that were found, and how many balances were looked at.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct BalanceProof {
    /// Balances that were read in the time.
    pub readings: u64,
    /// Those that differ.
    pub differences: Vec<BalanceDifference>,
}

impl Store {
    /// What watched wallets hold, or one address that was read once; on every chain or one.
    ///
    /// # Errors
    /// When the database does not answer or is not migrated.
    pub async fn held_assets(
        &self,
        address: Option<Address>,
        chain: Option<&str>,
    ) -> Result<Vec<HeldAsset>, StoreError> {
        let columns = "held.chain, label, held.token, symbol, token_verified, amount::text, raw::text, \
                       usd::text, problem, block_number, (extract(epoch FROM block_time) * 1000000)::bigint";
        let sql = match address {
            Some(_) => format!(
                "SELECT $1::bytea, {columns} FROM wallet_balances($1) AS held LEFT JOIN LATERAL ( \
                 SELECT min(label) AS label FROM wallets WHERE removed_at IS NULL AND wallets.address = $1 \
                 ) AS wallet ON true \
                 WHERE raw IS DISTINCT FROM 0 AND held.chain = coalesce($2, held.chain) \
                 ORDER BY held.chain, usd DESC NULLS LAST, held.token"
            ),
            None => format!(
                "SELECT address, {columns} FROM wallet_holdings AS held \
                 WHERE $1::bytea IS NULL AND held.chain = coalesce($2, held.chain) \
                 ORDER BY label, address, held.chain, usd DESC NULLS LAST, held.token"
            ),
        };
        let address = address.map(|address| address.to_vec());
        let rows = self.client().await?.query(&sql, &[&address, &chain]).await;
        let rows = rows.map_err(StoreError::sql("read balances"))?;
        Ok(rows.iter().map(held_asset).collect())
    }

    /// Compares the balances of blocks in a time (microseconds since 1970) with those before them and what was stored in
    /// between; at most `most` of them.
    ///
    /// # Errors
    /// As [`held_assets`](Self::held_assets).
    pub async fn prove_balances(
        &self,
        since_us: i64,
        until_us: i64,
        most: u32,
    ) -> Result<BalanceProof, StoreError> {
        let client = self.client().await?;
        let (since, until) = (Timestamp(since_us), Timestamp(until_us));
        let readings = client
            .query_one(
                "SELECT count(*) FROM balances WHERE block_time >= $1 AND block_time < $2",
                &[&since, &until],
            )
            .await
            .map_err(StoreError::sql("count balances"))?;
        let most = i32::try_from(most).unwrap_or(i32::MAX);
        let rows = client
            .query(
                "SELECT chain, address, token, from_block, to_block, difference::text, reason \
                 FROM balance_differences($1, $2, $3)",
                &[&since, &until, &most],
            )
            .await
            .map_err(StoreError::sql("compare balances with transfers"))?;
        Ok(BalanceProof {
            readings: readings.get::<_, i64>(0).unsigned_abs(),
            differences: rows.iter().map(difference).collect(),
        })
    }
}

fn held_asset(row: &Row) -> HeldAsset {
    HeldAsset {
        address: address(row.get(0)),
        chain: row.get(1),
        label: row.get(2),
        asset: asset(row.get(3)),
        symbol: row.get(4),
        verified: row.get(5),
        amount: row.get(6),
        raw: row.get(7),
        usd: row.get(8),
        problem: row.get(9),
        block_number: row.get(10),
        block_time_us: row.get(11),
    }
}

fn difference(row: &Row) -> BalanceDifference {
    BalanceDifference {
        chain: row.get(0),
        address: address(row.get(1)),
        asset: asset(row.get(2)),
        from_block: row.get(3),
        to_block: row.get(4),
        difference: row.get(5),
        reason: row.get(6),
    }
}

fn address(bytes: &[u8]) -> Address {
    Address::try_from(bytes).unwrap_or_default()
}

/// The asset as events name it.
fn asset(token: &[u8]) -> String {
    match address(token) {
        Address::ZERO => Balance::NATIVE.to_owned(),
        token => format!("{token:#x}"),
    }
}
