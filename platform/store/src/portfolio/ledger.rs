//! What a wallet holds, what moved, and what it was worth then, from the database.

use crypto_intel_schemas::{Address, Decimal};
use num_bigint::BigInt;
use tokio_postgres::Row;

use crate::{error::StoreError, pool::store::Store, sql_values::Timestamp};

/// One line of a wallet's ledger: a coin or ERC-20 token came, left, or was paid as a fee.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LedgerEntry {
    /// Time of the block, microseconds since 1970.
    pub block_time_us: i64,
    /// Height of the block.
    pub block_number: i64,
    /// Chain slug.
    pub chain: String,
    /// Contract of the token; `None` for the chain's own currency.
    pub token: Option<Address>,
    /// What it is.
    pub kind: EntryKind,
    /// The other side; `None` of a fee.
    pub counterparty: Option<Address>,
    /// In the asset's smallest unit.
    pub quantity: BigInt,
    /// What it was worth when it was seen, where a price was known.
    pub usd: Option<Decimal>,
    /// Decimals of a token, where they are known.
    pub decimals: Option<u8>,
    /// Symbol, where it is known.
    pub symbol: Option<String>,
    /// Whether the asset is the chain's own currency or on the list of known tokens.
    pub is_verified: bool,
}

/// What a line of the ledger is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum EntryKind {
    /// It came.
    In,
    /// It left.
    Out,
    /// It paid for a transaction.
    Fee,
}

/// The newest reading of one asset of a wallet, also of one that it no longer holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reading {
    /// Chain slug.
    pub chain: String,
    /// Contract of the token; `None` for the chain's own currency.
    pub token: Option<Address>,
    /// In the asset's smallest unit.
    pub quantity: BigInt,
    /// Decimals, where they are known.
    pub decimals: Option<u8>,
    /// Symbol, where it is known.
    pub symbol: Option<String>,
    /// Whether the asset is the chain's own currency or on the list of known tokens.
    pub is_verified: bool,
    /// Height of the block at whose end it was so.
    pub block_number: i64,
    /// That block's own time, microseconds since 1970.
    pub block_time_us: i64,
}

/// One asset of a watched wallet.
#[derive(Debug)]
pub(super) struct Holding {
    pub(super) chain: String,
    pub(super) address: Address,
    pub(super) label: Option<String>,
    pub(super) group: Option<String>,
    pub(super) token: Option<Address>,
    pub(super) quantity: BigInt,
    pub(super) decimals: Option<u8>,
}

/// What an asset was worth at a time.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PastPrice {
    /// US dollars for a whole unit.
    pub price: Decimal,
    /// When sources said it, microseconds since 1970.
    pub at_us: i64,
}

impl Store {
    /// The newest reading of each asset of each of these wallets; what a token did not answer for is left out.
    ///
    /// # Errors
    /// When the database does not answer or is not migrated.
    pub(super) async fn wallet_readings(
        &self,
        wallets: &[Address],
    ) -> Result<Vec<(Address, Reading)>, StoreError> {
        let sql = "SELECT chain, token, raw::text, decimals, symbol, token_verified, block_number, \
                   (extract(epoch FROM block_time) * 1000000)::bigint, wallet \
                   FROM unnest($1::bytea[]) AS wallet CROSS JOIN LATERAL wallet_balances(wallet) \
                   WHERE raw IS NOT NULL ORDER BY wallet, chain, token";
        let rows = self.client().await?.query(sql, &[&bytes_of(wallets)]).await;
        let rows = rows.map_err(StoreError::sql("read balances"))?;
        Ok(rows.iter().filter_map(|row| Some((address(row, 8)?, reading(row)))).collect())
    }

    /// What every watched wallet holds now.
    ///
    /// # Errors
    /// When the database does not answer or is not migrated.
    pub(super) async fn all_holdings(&self) -> Result<Vec<Holding>, StoreError> {
        let sql = "SELECT held.chain, held.address, held.label, held.token, held.raw::text, held.decimals, \
                   (SELECT min(wallet.group_name) FROM wallets AS wallet \
                    WHERE wallet.address = held.address AND wallet.removed_at IS NULL) \
                   FROM wallet_holdings AS held WHERE held.raw IS NOT NULL";
        let rows = self.client().await?.query(sql, &[]).await;
        let rows = rows.map_err(StoreError::sql("read what wallets hold"))?;
        Ok(rows.iter().map(holding).collect())
    }

    /// The watched wallets of a group of the watch-list.
    ///
    /// # Errors
    /// When the database does not answer or is not migrated.
    pub async fn wallets_of_group(&self, group: &str) -> Result<Vec<Address>, StoreError> {
        let sql = "SELECT DISTINCT address FROM wallets WHERE group_name = $1 AND removed_at IS NULL \
                   ORDER BY address";
        let rows = self.client().await?.query(sql, &[&group]).await;
        let rows = rows.map_err(StoreError::sql("read the wallets of a group"))?;
        Ok(rows.iter().filter_map(|row| address(row, 0)).collect())
    }

    /// What came to each of these wallets, left it and was paid in fees until a time (microseconds since 1970), oldest first.
    ///
    /// # Errors
    /// When the database does not answer or is not migrated.
    pub(super) async fn wallet_ledgers(
        &self,
        wallets: &[Address],
        until_us: i64,
    ) -> Result<Vec<(Address, LedgerEntry)>, StoreError> {
        let sql = "SELECT (extract(epoch FROM block_time) * 1000000)::bigint, block_number, chain, token, entry, \
                   counterparty, value::text, usd::text, decimals, symbol, token_verified, wallet \
                   FROM unnest($1::bytea[]) AS wallet \
                   CROSS JOIN LATERAL wallet_ledger(wallet, to_timestamp(0), $2) WITH ORDINALITY AS line \
                   ORDER BY wallet, line.ordinality";
        let rows = self.client().await?;
        let rows = rows.query(sql, &[&bytes_of(wallets), &Timestamp(until_us)]).await;
        let rows = rows.map_err(StoreError::sql("read what wallets received and sent"))?;
        Ok(rows.iter().filter_map(|row| Some((address(row, 11)?, entry(row)))).collect())
    }

    /// What an asset of the registry was worth at each of these times (microseconds since 1970), in their order; `None` where
    /// no source said so within a day before.
    ///
    /// # Errors
    /// When the database does not answer or is not migrated.
    pub async fn prices_then(
        &self,
        asset: &str,
        times_us: &[i64],
    ) -> Result<Vec<Option<PastPrice>>, StoreError> {
        let sql = "SELECT place, price::text, (extract(epoch FROM priced_at) * 1000000)::bigint \
                   FROM unnest($2::bigint[]) WITH ORDINALITY AS asked (us, place) \
                   JOIN prices_then($1, ARRAY(SELECT to_timestamp(us / 1000000.0) FROM unnest($2::bigint[]) AS each (us))) \
                   AS known ON known.at = to_timestamp(asked.us / 1000000.0)";
        let rows = self.client().await?.query(sql, &[&asset, &times_us]).await;
        let rows = rows.map_err(StoreError::sql("read past prices"))?;
        let mut prices = vec![None; times_us.len()];
        for row in &rows {
            let place = usize::try_from(row.get::<_, i64>(0)).unwrap_or_default();
            let price = Decimal::parse(row.get(1)).ok();
            if let Some(slot) = place.checked_sub(1).and_then(|place| prices.get_mut(place)) {
                *slot = price.map(|price| PastPrice { price, at_us: row.get(2) });
            }
        }
        Ok(prices)
    }
}

fn bytes_of(wallets: &[Address]) -> Vec<&[u8]> {
    wallets.iter().map(|wallet| wallet.as_slice()).collect()
}

fn reading(row: &Row) -> Reading {
    Reading {
        chain: row.get(0),
        token: token(row, 1),
        quantity: units(row, 2),
        decimals: decimals(row, 3),
        symbol: row.get(4),
        is_verified: row.get(5),
        block_number: row.get(6),
        block_time_us: row.get(7),
    }
}

fn holding(row: &Row) -> Holding {
    Holding {
        chain: row.get(0),
        address: address(row, 1).unwrap_or_default(),
        label: row.get(2),
        group: row.get(6),
        token: token(row, 3),
        quantity: units(row, 4),
        decimals: decimals(row, 5),
    }
}

fn entry(row: &Row) -> LedgerEntry {
    LedgerEntry {
        block_time_us: row.get(0),
        block_number: row.get(1),
        chain: row.get(2),
        token: token(row, 3),
        kind: match row.get(4) {
            "in" => EntryKind::In,
            "out" => EntryKind::Out,
            _ => EntryKind::Fee,
        },
        counterparty: address(row, 5),
        quantity: units(row, 6),
        usd: row.get::<_, Option<&str>>(7).and_then(|text| Decimal::parse(text).ok()),
        decimals: decimals(row, 8),
        symbol: row.get(9),
        is_verified: row.get(10),
    }
}

fn address(row: &Row, column: usize) -> Option<Address> {
    row.get::<_, Option<&[u8]>>(column).and_then(|bytes| Address::try_from(bytes).ok())
}

/// Twenty zero bytes are the chain's own currency.
fn token(row: &Row, column: usize) -> Option<Address> {
    address(row, column).filter(|token| *token != Address::ZERO)
}

/// PostgreSQL writes whole numbers as digits.
fn units(row: &Row, column: usize) -> BigInt {
    row.get::<_, &str>(column).parse().unwrap_or_default()
}

fn decimals(row: &Row, column: usize) -> Option<u8> {
    row.get::<_, Option<i16>>(column).and_then(|decimals| u8::try_from(decimals).ok())
}
