//! Hours of many things at once, from rollups: what a departure from the usual is seen in.

use crypto_intel_schemas::Address;
use tokio_postgres::Row;

use super::values::address;
use crate::{error::StoreError, pool::store::Store, sql_values::Timestamp};

/// Hours of one answer.
const MAX_HOURS: i64 = 200_000;

/// A token on a chain.
pub type TokenOfChain = (String, Address);

/// What moved of a token in an hour.
#[derive(Debug, Clone, PartialEq)]
pub struct TokenHour {
    /// The token.
    pub token: TokenOfChain,
    /// Its symbol, where it was known.
    pub symbol: Option<String>,
    /// Begin of the hour, microseconds since 1970.
    pub hour_us: i64,
    /// How much, in the smallest unit; of NFTs how many.
    pub value: f64,
}

/// What a provider said of an asset in an hour.
#[derive(Debug, Clone, PartialEq)]
pub struct AssetHour {
    /// The asset.
    pub asset: String,
    /// What it is priced in.
    pub quote: String,
    /// The provider.
    pub source: String,
    /// Begin of the hour, microseconds since 1970.
    pub hour_us: i64,
    /// Its last price.
    pub close: f64,
    /// Traded in the 24 hours before, as it was said last.
    pub volume_24h: Option<f64>,
}

impl Store {
    /// The tokens with the most transfers in an hour.
    ///
    /// # Errors
    /// When the database does not answer or is not migrated, or the question takes too long.
    pub async fn busiest_tokens(
        &self,
        hour_us: i64,
        most: u32,
    ) -> Result<Vec<TokenOfChain>, StoreError> {
        let rows = self
            .ask(
                "read the busiest tokens",
                "SELECT chain, token FROM token_volume_hourly WHERE bucket >= $1 AND bucket <= $1 GROUP BY chain, token \
                 ORDER BY sum(transfers) DESC, chain, token LIMIT $2",
                &[&Timestamp(hour_us), &i64::from(most)],
            )
            .await?;
        Ok(rows.iter().map(|row| (row.get(0), address(row.get(1)))).collect())
    }

    /// What moved of some tokens by hour, between the begins of two hours, oldest first. Hours without a transfer are left out.
    ///
    /// # Errors
    /// As [`busiest_tokens`](Self::busiest_tokens).
    pub async fn token_hours(
        &self,
        tokens: &[TokenOfChain],
        (first_us, last_us): (i64, i64),
    ) -> Result<Vec<TokenHour>, StoreError> {
        if tokens.is_empty() {
            return Ok(Vec::new());
        }
        let mut chains: Vec<&str> = tokens.iter().map(|(chain, _)| chain.as_str()).collect();
        chains.sort_unstable();
        chains.dedup();
        let contracts: Vec<Vec<u8>> = tokens.iter().map(|(_, token)| token.to_vec()).collect();
        let rows = self
            .ask(
                "read the hours of tokens",
                "SELECT chain, token, max(symbol), (extract(epoch FROM bucket) * 1000000)::bigint, sum(value)::float8 \
                 FROM token_volume_hourly WHERE bucket >= $1 AND bucket <= $2 AND chain = ANY ($3) AND token = ANY ($4) \
                 GROUP BY chain, token, bucket ORDER BY bucket LIMIT $5",
                &[&Timestamp(first_us), &Timestamp(last_us), &chains, &contracts, &MAX_HOURS],
            )
            .await?;
        let hour = |row: &Row| TokenHour {
            token: (row.get(0), address(row.get(1))),
            symbol: row.get(2),
            hour_us: row.get(3),
            value: row.get(4),
        };
        Ok(rows.iter().map(hour).collect())
    }

    /// Prices and volumes of all assets by hour, between the begins of two hours, oldest first.
    ///
    /// # Errors
    /// As [`busiest_tokens`](Self::busiest_tokens).
    pub async fn asset_hours(
        &self,
        (first_us, last_us): (i64, i64),
    ) -> Result<Vec<AssetHour>, StoreError> {
        let rows = self
            .ask(
                "read the hours of assets",
                "SELECT asset, quote, source, (extract(epoch FROM bucket) * 1000000)::bigint, close::float8, \
                 volume_24h::float8 FROM candles_1h WHERE bucket >= $1 AND bucket <= $2 ORDER BY bucket LIMIT $3",
                &[&Timestamp(first_us), &Timestamp(last_us), &MAX_HOURS],
            )
            .await?;
        let hour = |row: &Row| AssetHour {
            asset: row.get(0),
            quote: row.get(1),
            source: row.get(2),
            hour_us: row.get(3),
            close: row.get(4),
            volume_24h: row.get(5),
        };
        Ok(rows.iter().map(hour).collect())
    }
}
