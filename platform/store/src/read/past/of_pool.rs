//! What a pool traded.

use crypto_intel_schemas::{Block, Event, Swap};
use serde::{Deserialize, Serialize};
use tokio_postgres::Row;

use super::{
    body::{body_of, select_list},
    kinds::event_of,
};
use crate::{
    error::StoreError,
    pool::store::Store,
    read::{
        sql::{ByHour, PageRequest, Question, RowPage},
        tokens::VolumeStep,
    },
    sql_values::Timestamp,
    tables::Table,
};

/// Where a swap is in the list of its pool.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SwapKey {
    /// Time of its block, microseconds since 1970.
    pub block_time_us: i64,
    /// Its block.
    pub block_number: i64,
    /// Tag of the block's hash.
    pub block_tag: i32,
    /// Its place in the block.
    pub log_index: i32,
}

/// A swap, and where it is in the list.
#[derive(Debug, Clone, PartialEq)]
pub struct SwapLine {
    /// The swap as it was on the wire; `None` of a row that is no event of this version.
    pub swap: Option<Swap>,
    /// Its place.
    pub key: SwapKey,
}

/// What was traded in a pool within a step. Amounts are in the smallest unit of the pool's tokens, decimal text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PoolVolume {
    /// Begin of the step, microseconds since 1970.
    pub bucket_us: i64,
    /// How many swaps.
    pub swaps: u64,
    /// Traded of the first and of the second token.
    pub volumes: [String; 2],
    /// Paid in less paid out, of the first and of the second token.
    pub nets: [String; 2],
}

/// Which swaps.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PoolFilter {
    /// Chain slug.
    pub chain: String,
    /// Address of the pool, or its id where one contract holds many.
    pub pool: Vec<u8>,
    /// From then on, microseconds since 1970.
    pub since_us: i64,
    /// Up to then, microseconds since 1970.
    pub until_us: i64,
}

const OF_POOL: &str = "address_key(coalesce(pool_id, pool)) = address_key($1) AND coalesce(pool_id, pool) = $1 AND chain = $2";

impl Store {
    /// A page of the swaps of a pool, newest first.
    ///
    /// # Errors
    /// When the database does not answer or is not migrated.
    pub async fn swaps_of(
        &self,
        filter: &PoolFilter,
        page: &PageRequest<SwapKey>,
    ) -> Result<RowPage<SwapLine>, StoreError> {
        let doing = "read the swaps of a pool";
        let mut question = Question::default();
        question.bind(filter.pool.clone());
        question.bind(filter.chain.clone());
        let towards = page.towards();
        let (since_us, until_us) =
            page.bounds((filter.since_us, filter.until_us), |key| key.block_time_us);
        let (since, until) =
            (question.bind(Timestamp(since_us)), question.bind(Timestamp(until_us)));
        let beside = page.beside.as_ref().map_or_else(String::new, |(key, _)| {
            let place = [
                question.bind(Timestamp(key.block_time_us)),
                question.bind(key.block_number),
                question.bind(key.block_tag),
                question.bind(key.log_index),
            ];
            let comparison = towards.comparison(false);
            format!(
                " AND (block_time, block_number, block_tag, log_index) {comparison} ({})",
                place.join(", ")
            )
        });
        let limit = question.bind(page.rows());
        let order = towards.order();
        let rest = format!(
            "block_time {order}, block_number {order}, block_tag {order}, log_index {order}"
        );
        let by_hour =
            ByHour { table: "swaps", since: &since, until: &until, rows: &limit, towards };
        let conditions = by_hour.conditions(&format!(
            "{OF_POOL} AND block_time >= {since} AND block_time <= {until}{beside}"
        ));
        let sql = format!(
            "SELECT {}, block.block_hash, block.chain_id, (extract(epoch FROM block.observed_at) * 1000000)::bigint, \
             block.incarnation, block_tag, (extract(epoch FROM t.block_time) * 1000000)::bigint, log_index, t.block_number \
             FROM (SELECT * FROM swaps WHERE {conditions} \
             ORDER BY hour_key(block_time) {order}, {rest} LIMIT {limit}) AS t LEFT JOIN LATERAL ( \
             SELECT block_hash, chain_id, observed_at, incarnation FROM blocks \
             WHERE blocks.chain = t.chain AND blocks.block_number = t.block_number \
             AND block_tag(blocks.block_hash) = t.block_tag LIMIT 1) AS block ON true \
             ORDER BY t.block_time {order}, t.block_number {order}, t.block_tag {order}, t.log_index {order}",
            select_list(Table::Swaps)
        );
        let rows = self.ask(doing, &sql, &question.values()).await?;
        let mut lines = Vec::with_capacity(rows.len());
        for row in &rows {
            lines.push(line(row, &filter.chain).map_err(StoreError::sql(doing))?);
        }
        Ok(RowPage::new(lines, page))
    }

    /// What was traded in a pool by step, oldest first, at most `most` of the newest steps.
    ///
    /// # Errors
    /// As [`swaps_of`](Self::swaps_of), or the question takes too long.
    pub async fn pool_volume(
        &self,
        step: VolumeStep,
        filter: &PoolFilter,
        most: u32,
    ) -> Result<Vec<PoolVolume>, StoreError> {
        let view = match step {
            VolumeStep::Hour => "pool_volume_hourly",
            VolumeStep::Day => "pool_volume_daily",
        };
        let sql = format!(
            "SELECT (extract(epoch FROM bucket) * 1000000)::bigint, sum(swaps)::bigint, sum(volume0)::text, \
             sum(volume1)::text, sum(net0)::text, sum(net1)::text FROM {view} \
             WHERE {OF_POOL} AND bucket >= $3 AND bucket <= $4 GROUP BY bucket ORDER BY bucket DESC LIMIT $5"
        );
        let (since, until) = (Timestamp(filter.since_us), Timestamp(filter.until_us));
        let rows = self
            .ask(
                "add up the swaps of a pool",
                &sql,
                &[&filter.pool, &filter.chain, &since, &until, &i64::from(most)],
            )
            .await?;
        let volume = |row: &Row| PoolVolume {
            bucket_us: row.get(0),
            swaps: row.get::<_, i64>(1).unsigned_abs(),
            volumes: [row.get(2), row.get(3)],
            nets: [row.get(4), row.get(5)],
        };
        Ok(rows.iter().rev().map(volume).collect())
    }
}

fn line(row: &Row, chain: &str) -> Result<SwapLine, tokio_postgres::Error> {
    let place = Table::Swaps.columns().len();
    let key = SwapKey {
        block_tag: row.get(place + 4),
        block_time_us: row.get(place + 5),
        log_index: row.get(place + 6),
        block_number: row.get(place + 7),
    };
    let hash: Option<&[u8]> = row.get(place);
    let block = Block {
        chain: chain.to_owned(),
        chain_id: row.get::<_, Option<i64>>(place + 1).unwrap_or_default().unsigned_abs(),
        block_number: key.block_number.unsigned_abs(),
        block_hash: hash.and_then(|hash| hash.try_into().ok()).unwrap_or_default(),
        block_time_us: key.block_time_us,
        observed_at_us: row.get::<_, Option<i64>>(place + 2).unwrap_or_default(),
        incarnation: row
            .get::<_, Option<i32>>(place + 3)
            .and_then(|number| u32::try_from(number).ok())
            .unwrap_or_default(),
        ..Block::empty()
    };
    let swap = match event_of(Table::Swaps, body_of(Table::Swaps, row)?, Some(&block)) {
        Ok(Event::Swap(swap)) => Some(swap),
        Ok(_) => None,
        Err(error) => {
            tracing::warn!(%error, "a row of swaps is no event of this version");
            None
        }
    };
    Ok(SwapLine { swap, key })
}
