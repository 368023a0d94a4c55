//! How providers, endpoints and chains did.

use crypto_intel_schemas::B256;
use tokio_postgres::Row;

use super::sql::Question;
use crate::{
    error::StoreError,
    pool::store::Store,
    sql_values::{Timestamp, height},
};

/// How a polled endpoint did last.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ProviderLine {
    /// The provider.
    pub provider: String,
    /// The endpoint; empty where all of the provider is meant.
    pub endpoint: String,
    /// ok, late, failing, held, refused, quota_spent or off.
    pub state: String,
    /// When that was so, microseconds since 1970.
    pub at_us: i64,
    /// How long the last answer took.
    pub latency_ms: Option<i64>,
    /// Units used of the quota nearest to its end, how many it has, and what it is for.
    pub quota: Option<(i64, i64, String)>,
    /// Seconds since its last good answer.
    pub stale_seconds: Option<i64>,
    /// Scheduled polls of the last day that were done on time, percent, decimal text.
    pub on_time_percent: Option<String>,
    /// Why it is in that state.
    pub detail: Option<String>,
}

/// How an endpoint of a chain did last, as one producer sees it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NodeLine {
    /// Chain slug.
    pub chain: String,
    /// Its configured name, or its host.
    pub endpoint: String,
    /// The producer that says so.
    pub instance: String,
    /// primary or fallback.
    pub role: String,
    /// Why it serves or does not.
    pub reason: String,
    /// Whether it is connected, and whether it is asked first.
    pub connected_serving: (bool, bool),
    /// Its newest block.
    pub head: Option<i64>,
    /// Blocks from its head up to the highest of all.
    pub lag_blocks: Option<i64>,
    /// Mean time to an answer.
    pub latency_ms: Option<i64>,
    /// Recent requests that failed, percent.
    pub error_percent: i32,
    /// Why its connection was lost or refused last.
    pub error: Option<String>,
    /// When that was so, microseconds since 1970.
    pub at_us: i64,
}

/// A time that a chain changed its mind.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReorgLine {
    /// Chain slug.
    pub chain: String,
    /// Height of the first new block.
    pub block_number: u64,
    /// Its hash.
    pub block_hash: B256,
    /// Its own time, microseconds since 1970.
    pub block_time_us: i64,
    /// When the pipeline saw it, microseconds since 1970.
    pub observed_at_us: i64,
    /// How many blocks left.
    pub depth: u32,
    /// Last block that both branches share.
    pub ancestor_number: u64,
    /// Hashes of the blocks that left, newest first.
    pub dropped: Vec<B256>,
}

/// A stored block.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BlockLine {
    /// Height.
    pub block_number: u64,
    /// Hash of the block.
    pub block_hash: B256,
    /// Hash of the block before.
    pub parent_hash: B256,
    /// The block's own time, microseconds since 1970.
    pub block_time_us: i64,
    /// When the pipeline first saw it, microseconds since 1970.
    pub observed_at_us: i64,
    /// Whether it is the chain's block at its height.
    pub canonical: bool,
    /// Whether only events of some addresses were fetched.
    pub partial: bool,
    /// Transactions in it.
    pub transactions: u32,
    /// Rows of its events.
    pub event_rows: u32,
    /// Gas used and room for, decimal text.
    pub gas: (String, String),
    /// Base fee per gas in wei, decimal text.
    pub base_fee_per_gas: Option<String>,
}

impl ProviderLine {
    /// Of a row with the columns in the order of the fields.
    pub(super) fn of(row: &Row) -> Self {
        let quota: (Option<i64>, Option<i64>, Option<String>) =
            (row.get(5), row.get(6), row.get(7));
        Self {
            provider: row.get(0),
            endpoint: row.get(1),
            state: row.get(2),
            at_us: row.get(3),
            latency_ms: row.get(4),
            quota: match quota {
                (Some(used), Some(limit), Some(window)) => Some((used, limit, window)),
                _ => None,
            },
            stale_seconds: row.get(8),
            on_time_percent: row.get(9),
            detail: row.get(10),
        }
    }
}

fn hash(bytes: &[u8]) -> B256 {
    B256::try_from(bytes).unwrap_or_default()
}

impl Store {
    /// How every polled endpoint did last. They are some hundred and their rows many: the key is entered once for each.
    ///
    /// # Errors
    /// When the database does not answer or is not migrated.
    pub async fn newest_providers(&self) -> Result<Vec<ProviderLine>, StoreError> {
        let rows = self
            .ask(
                "read the providers",
                "WITH RECURSIVE known AS ( \
                 (SELECT provider, endpoint FROM provider_statuses ORDER BY provider, endpoint LIMIT 1) \
                 UNION ALL \
                 SELECT following.provider, following.endpoint FROM known CROSS JOIN LATERAL ( \
                 SELECT provider, endpoint FROM provider_statuses \
                 WHERE (provider, endpoint) > (known.provider, known.endpoint) ORDER BY provider, endpoint LIMIT 1) AS following) \
                 SELECT known.provider, known.endpoint, state, (extract(epoch FROM event_at) * 1000000)::bigint, latency_ms, \
                 quota_used, quota_limit, quota_window, stale_seconds, on_time_percent::text, detail \
                 FROM known CROSS JOIN LATERAL (SELECT * FROM provider_statuses AS told \
                 WHERE told.provider = known.provider AND told.endpoint = known.endpoint \
                 ORDER BY event_at DESC LIMIT 1) AS newest ORDER BY 1, 2",
                &[],
            )
            .await?;
        Ok(rows.iter().map(ProviderLine::of).collect())
    }

    /// How every endpoint of chains did last, as each producer sees it, of those told of within a day.
    ///
    /// # Errors
    /// As [`newest_providers`](Self::newest_providers).
    pub async fn newest_nodes(&self) -> Result<Vec<NodeLine>, StoreError> {
        let rows = self
            .ask(
                "read the endpoints of chains",
                "WITH RECURSIVE known AS ( \
                 (SELECT chain, endpoint, instance FROM node_status ORDER BY chain, endpoint, instance LIMIT 1) \
                 UNION ALL \
                 SELECT following.chain, following.endpoint, following.instance FROM known CROSS JOIN LATERAL ( \
                 SELECT chain, endpoint, instance FROM node_status WHERE (chain, endpoint, instance) > \
                 (known.chain, known.endpoint, known.instance) ORDER BY chain, endpoint, instance LIMIT 1) AS following) \
                 SELECT known.chain, known.endpoint, known.instance, role, reason, connected, serving, head, lag_blocks, \
                 latency_ms, error_percent, error, (extract(epoch FROM event_at) * 1000000)::bigint \
                 FROM known CROSS JOIN LATERAL (SELECT * FROM node_status AS told WHERE told.chain = known.chain \
                 AND told.endpoint = known.endpoint AND told.instance = known.instance \
                 AND told.event_at > now() - INTERVAL '1 day' ORDER BY event_at DESC LIMIT 1) AS newest ORDER BY 1, 2, 3",
                &[],
            )
            .await?;
        let line = |row: &Row| NodeLine {
            chain: row.get(0),
            endpoint: row.get(1),
            instance: row.get(2),
            role: row.get(3),
            reason: row.get(4),
            connected_serving: (row.get(5), row.get(6)),
            head: row.get(7),
            lag_blocks: row.get(8),
            latency_ms: row.get(9),
            error_percent: row.get(10),
            error: row.get(11),
            at_us: row.get(12),
        };
        Ok(rows.iter().map(line).collect())
    }

    /// Reorganisations in a time, newest first, at most `most`.
    ///
    /// # Errors
    /// As [`newest_providers`](Self::newest_providers).
    pub async fn reorgs(
        &self,
        chains: Option<&[String]>,
        since_us: i64,
        until_us: i64,
        most: u32,
    ) -> Result<Vec<ReorgLine>, StoreError> {
        let rows = self
            .ask(
                "read reorganisations",
                "SELECT chain, block_number, block_hash, (extract(epoch FROM block_time) * 1000000)::bigint, \
                 (extract(epoch FROM observed_at) * 1000000)::bigint, depth, ancestor_number, dropped FROM reorgs \
                 WHERE block_time >= $1 AND block_time <= $2 AND ($3::text[] IS NULL OR chain = ANY ($3)) \
                 ORDER BY block_time DESC, chain, block_hash, incarnation LIMIT $4",
                &[&Timestamp(since_us), &Timestamp(until_us), &chains, &i64::from(most)],
            )
            .await?;
        let line = |row: &Row| ReorgLine {
            chain: row.get(0),
            block_number: row.get::<_, i64>(1).unsigned_abs(),
            block_hash: hash(row.get(2)),
            block_time_us: row.get(3),
            observed_at_us: row.get(4),
            depth: row.get::<_, i32>(5).unsigned_abs(),
            ancestor_number: row.get::<_, i64>(6).unsigned_abs(),
            dropped: row.get::<_, Vec<Vec<u8>>>(7).iter().map(|bytes| hash(bytes)).collect(),
        };
        Ok(rows.iter().map(line).collect())
    }

    /// Canonical blocks of a chain from a height downwards (from the newest without one); or, with `exactly`, every block that was seen
    /// at that height.
    ///
    /// # Errors
    /// As [`newest_providers`](Self::newest_providers).
    pub async fn blocks(
        &self,
        chain: &str,
        below: Option<u64>,
        exactly: Option<u64>,
        most: u32,
    ) -> Result<Vec<BlockLine>, StoreError> {
        let mut question = Question::default();
        let chain = question.bind(chain.to_owned());
        let place = match (exactly, below) {
            (Some(number), _) => {
                let number = question.bind(height(number));
                format!(" AND block_number = {number}")
            }
            (None, Some(number)) => {
                let number = question.bind(height(number));
                format!(" AND canonical AND block_number < {number}")
            }
            (None, None) => " AND canonical".to_owned(),
        };
        let limit = question.bind(i64::from(most));
        let sql = format!(
            "SELECT block_number, block_hash, parent_hash, (extract(epoch FROM block_time) * 1000000)::bigint, \
             (extract(epoch FROM observed_at) * 1000000)::bigint, canonical, partial, transactions, event_rows, \
             gas_used::text, gas_limit::text, base_fee_per_gas::text FROM blocks WHERE chain = {chain}{place} \
             ORDER BY block_number DESC, canonical DESC LIMIT {limit}"
        );
        let rows = self.ask("read blocks", &sql, &question.values()).await?;
        let line = |row: &Row| BlockLine {
            block_number: row.get::<_, i64>(0).unsigned_abs(),
            block_hash: hash(row.get(1)),
            parent_hash: hash(row.get(2)),
            block_time_us: row.get(3),
            observed_at_us: row.get(4),
            canonical: row.get(5),
            partial: row.get(6),
            transactions: row.get::<_, i32>(7).unsigned_abs(),
            event_rows: row.get::<_, i32>(8).unsigned_abs(),
            gas: (row.get(9), row.get(10)),
            base_fee_per_gas: row.get(11),
        };
        Ok(rows.iter().map(line).collect())
    }
}
