use crypto_intel_schemas::Address;
use tokio_postgres::Row;

use super::sql::{ByHour, Towards};
use crate::{error::StoreError, pool::store::Store, sql_values::Timestamp};

/// What the newest stored transfer of a token on a chain says of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TokenSeen {
    /// Chain slug.
    pub chain: String,
    /// Its standard: `erc20`, `erc721` or `erc1155`.
    pub standard: String,
    /// Its symbol, where it was known.
    pub symbol: Option<String>,
    /// Digits after the point of a whole token, where they were known.
    pub decimals: Option<u8>,
    /// Whether it was on the list of known tokens.
    pub verified: bool,
    /// When it moved last, microseconds since 1970.
    pub last_at_us: i64,
}

/// The width of a step of volume.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum VolumeStep {
    /// One hour.
    Hour,
    /// One day (UTC).
    Day,
}

impl VolumeStep {
    const fn view(self) -> &'static str {
        match self {
            Self::Hour => "token_volume_hourly",
            Self::Day => "token_volume_daily",
        }
    }

    /// How long it is, microseconds.
    #[must_use]
    pub const fn us(self) -> i64 {
        1_000_000
            * match self {
                Self::Hour => 3_600,
                Self::Day => 86_400,
            }
    }
}

/// What moved of a token within a step.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TokenVolume {
    /// Begin of the step, microseconds since 1970.
    pub bucket_us: i64,
    /// How many transfers.
    pub transfers: u64,
    /// Their sum in the smallest unit, decimal text; of NFTs how many moved.
    pub value: String,
    /// Their sum in whole tokens, decimal text, of those whose decimals were known.
    pub amount: Option<String>,
    /// Their sum in US dollars, decimal text, of those with a known price.
    pub usd: Option<String>,
}

/// Transfers of a token that are looked through for what they say of it.
const SEEN_ROWS: &str = "2000";

impl Store {
    /// What the newest transfers since a time say of a token, by chain. Its newest 2,000 transfers are looked through: on a chain
    /// where it moves less than once in so many it may be missing.
    ///
    /// # Errors
    /// When the database does not answer or is not migrated.
    pub async fn token_seen(
        &self,
        token: Address,
        since_us: i64,
    ) -> Result<Vec<TokenSeen>, StoreError> {
        let by_hour = ByHour {
            table: "token_transfers",
            since: "$2",
            until: "'infinity'::timestamptz",
            rows: SEEN_ROWS,
            towards: Towards::Older,
        };
        let conditions = by_hour
            .conditions("address_key(token) = address_key($1) AND token = $1 AND block_time >= $2");
        let rows = self
            .ask(
                "read what is known of a token",
                &format!(
                "SELECT DISTINCT ON (chain) chain, erc, symbol, decimals, token_verified, \
                 (extract(epoch FROM block_time) * 1000000)::bigint FROM ( \
                 SELECT chain, erc, symbol, decimals, token_verified, block_time FROM token_transfers \
                 WHERE {conditions} \
                 ORDER BY hour_key(block_time) DESC, block_time DESC LIMIT {SEEN_ROWS}) AS newest \
                 ORDER BY chain, block_time DESC"),
                &[&token.to_vec(), &Timestamp(since_us)],
            )
            .await?;
        let seen = |row: &Row| TokenSeen {
            chain: row.get(0),
            standard: format!("erc{}", row.get::<_, i16>(1)),
            symbol: row.get(2),
            decimals: row.get::<_, Option<i16>>(3).and_then(|digits| u8::try_from(digits).ok()),
            verified: row.get(4),
            last_at_us: row.get(5),
        };
        Ok(rows.iter().map(seen).collect())
    }

    /// What moved of a token by step, oldest first, at most `most` of the newest steps. Those without a transfer are left out.
    ///
    /// # Errors
    /// As [`token_seen`](Self::token_seen), or the question takes too long.
    pub async fn token_volume(
        &self,
        step: VolumeStep,
        (chain, token): (&str, Address),
        (since_us, until_us): (i64, i64),
        most: u32,
    ) -> Result<Vec<TokenVolume>, StoreError> {
        // By the index of tokens, which goes through the rollup where that is a view.
        let sql = format!(
            "SELECT (extract(epoch FROM bucket) * 1000000)::bigint, sum(transfers)::bigint, sum(value)::text, \
             trim_scale(sum(amount))::text, trim_scale(sum(usd))::text FROM {} \
             WHERE address_key(token) = address_key($1) AND token = $1 AND chain = $2 AND bucket >= $3 AND bucket <= $4 \
             GROUP BY bucket ORDER BY bucket DESC LIMIT $5",
            step.view()
        );
        let (since, until) = (Timestamp(since_us), Timestamp(until_us));
        let rows = self
            .ask(
                "add up the transfers of a token",
                &sql,
                &[&token.to_vec(), &chain, &since, &until, &i64::from(most)],
            )
            .await?;
        let volume = |row: &Row| TokenVolume {
            bucket_us: row.get(0),
            transfers: row.get::<_, i64>(1).unsigned_abs(),
            value: row.get(2),
            amount: row.get(3),
            usd: row.get(4),
        };
        Ok(rows.iter().rev().map(volume).collect())
    }
}
