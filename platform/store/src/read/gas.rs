use tokio_postgres::Row;

use crate::{error::StoreError, pool::store::Store, sql_values::Timestamp};

/// The width of a step of gas.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum GasStep {
    /// One minute, added up from the blocks.
    Minute,
    /// One hour.
    Hour,
    /// One day (UTC).
    Day,
}

impl GasStep {
    /// How long it is, microseconds.
    #[must_use]
    pub const fn us(self) -> i64 {
        1_000_000
            * match self {
                Self::Minute => 60,
                Self::Hour => 3_600,
                Self::Day => 86_400,
            }
    }
}

/// Base fee and gas of the blocks of a step. Fees are per gas in wei, decimal text, `None` where the chain has none.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GasLine {
    /// Begin of the step, microseconds since 1970.
    pub bucket_us: i64,
    /// The fees that a tenth, half and nine tenths of the blocks did not exceed.
    pub percentiles: [Option<String>; 3],
    /// Lowest and highest fee.
    pub bounds: [Option<String>; 2],
    /// How many blocks.
    pub blocks: u64,
    /// Their transactions.
    pub transactions: u64,
    /// Gas that they used, decimal text.
    pub gas_used: String,
    /// Gas that they had room for, decimal text.
    pub gas_limit: String,
}

const OF_ROLLUP: &str = "p10::text, p50::text, p90::text, min::text, max::text, blocks::bigint, transactions::bigint, \
                         gas_used::text, gas_limit::text";

impl Store {
    /// Base fee and gas of a chain by step, oldest first, at most `most` of the newest steps.
    ///
    /// # Errors
    /// When the database does not answer or is not migrated, or the question takes too long.
    pub async fn gas(
        &self,
        step: GasStep,
        chain: &str,
        (since_us, until_us): (i64, i64),
        most: u32,
    ) -> Result<Vec<GasLine>, StoreError> {
        let bucket = "(extract(epoch FROM bucket) * 1000000)::bigint";
        let of_rollup = |view: &str| {
            format!(
                "SELECT {bucket}, {OF_ROLLUP} FROM {view} WHERE chain = $1 AND bucket >= $2 AND bucket <= $3 \
                 ORDER BY bucket DESC LIMIT $4"
            )
        };
        let sql = match step {
            GasStep::Hour => of_rollup("base_fee_hourly"),
            GasStep::Day => of_rollup("base_fee_daily"),
            // As the rollups are made.
            GasStep::Minute => format!(
                "SELECT {bucket}, {OF_ROLLUP} FROM (SELECT date_trunc('minute', block_time) AS bucket, \
                 percentile_disc(0.1) WITHIN GROUP (ORDER BY base_fee_per_gas) AS p10, \
                 percentile_disc(0.5) WITHIN GROUP (ORDER BY base_fee_per_gas) AS p50, \
                 percentile_disc(0.9) WITHIN GROUP (ORDER BY base_fee_per_gas) AS p90, \
                 min(base_fee_per_gas) AS min, max(base_fee_per_gas) AS max, count(*) AS blocks, \
                 sum(transactions) AS transactions, sum(gas_used) AS gas_used, sum(gas_limit) AS gas_limit \
                 FROM block_gas WHERE chain = $1 AND block_time >= $2 AND block_time <= $3 GROUP BY 1) AS steps \
                 ORDER BY bucket DESC LIMIT $4"
            ),
        };
        let (since, until) = (Timestamp(since_us), Timestamp(until_us));
        let rows =
            self.ask("read the gas", &sql, &[&chain, &since, &until, &i64::from(most)]).await?;
        let line = |row: &Row| GasLine {
            bucket_us: row.get(0),
            percentiles: [row.get(1), row.get(2), row.get(3)],
            bounds: [row.get(4), row.get(5)],
            blocks: row.get::<_, i64>(6).unsigned_abs(),
            transactions: row.get::<_, i64>(7).unsigned_abs(),
            gas_used: row.get(8),
            gas_limit: row.get(9),
        };
        Ok(rows.iter().rev().map(line).collect())
    }
}
