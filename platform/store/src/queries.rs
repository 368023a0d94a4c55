//! Questions that people ask through the command line.

use crypto_intel_schemas::B256;

use crate::{Store, StoreError, Table, extension};

/// Above this many rows a table is estimated, not counted.
const COUNT_EXACTLY_BELOW: i64 = 1_000_000;

/// How many alerts there were of one rule.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct AlertCount {
    /// The rule.
    pub rule: String,
    /// Its severity.
    pub severity: String,
    /// Fired, corrected or resolved.
    pub state: String,
    /// How many.
    pub alerts: u64,
}

/// An alert as a list shows it.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct AlertLine {
    /// When it was raised, microseconds since 1970.
    pub observed_at_us: i64,
    /// Five characters people can read out.
    pub code: String,
    /// The rule.
    pub rule: String,
    /// Its severity.
    pub severity: String,
    /// Fired, corrected or resolved.
    pub state: String,
    /// First line of its message.
    pub title: String,
    /// Destinations and what became of the message there, such as `ops-telegram: sent`.
    pub deliveries: Vec<String>,
}

/// What is measured.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Latency {
    /// From the head of a canonical block to its row.
    HeadToRow,
    /// From the head behind an alert to the chat service's answer.
    HeadToChat,
}

/// A latency's distribution.
#[derive(Debug, Clone, Copy, PartialEq, serde::Serialize)]
pub struct Percentiles {
    /// How many were measured.
    pub count: u64,
    /// Half were faster, milliseconds.
    pub p50: f64,
    /// 99 of 100 were faster, milliseconds.
    pub p99: f64,
}

/// A height and what is canonical there.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct ChainHead {
    /// Chain slug.
    pub chain: String,
    /// Highest canonical block.
    pub number: u64,
    /// Its hash.
    pub hash: B256,
    /// Its own time, microseconds since 1970.
    pub time_us: i64,
}

impl Store {
    /// How many rows each table has, in the order of [`Table::ALL`]; large tables are estimated from the planner's
    /// statistics.
    ///
    /// # Errors
    /// When the database does not answer or wants migrating.
    pub async fn table_counts(&self) -> Result<Vec<(String, u64)>, StoreError> {
        let client = self.client().await?;
        let extension = extension::schema(&client).await?;
        let mut counts = Vec::with_capacity(Table::ALL.len());
        for table in Table::ALL {
            let estimate = match &extension {
                Some(extension) => format!("SELECT {extension}.approximate_row_count('{table}')"),
                None => format!(
                    "SELECT reltuples::bigint FROM pg_class WHERE oid = '{table}'::regclass"
                ),
            };
            let mut rows: i64 = self.number(&client, &estimate).await?;
            if rows < COUNT_EXACTLY_BELOW {
                rows = self.number(&client, &format!("SELECT count(*) FROM {table}")).await?;
            }
            counts.push((table.name().to_owned(), rows.unsigned_abs()));
        }
        Ok(counts)
    }

    async fn number(
        &self,
        client: &deadpool_postgres::Object,
        sql: &str,
    ) -> Result<i64, StoreError> {
        let row = client.query_one(sql, &[]).await.map_err(StoreError::sql("count rows"))?;
        Ok(row.get(0))
    }

    /// How many alerts there were since a time (microseconds since 1970), by rule and state.
    ///
    /// # Errors
    /// As [`table_counts`](Self::table_counts).
    pub async fn alert_summary(&self, since_us: i64) -> Result<Vec<AlertCount>, StoreError> {
        let rows = self
            .client()
            .await?
            .query(
                "SELECT rule, severity, state, count(*) FROM alerts \
                 WHERE observed_at >= to_timestamp($1::bigint / 1e6) \
                 GROUP BY rule, severity, state ORDER BY count(*) DESC, rule, state",
                &[&since_us],
            )
            .await
            .map_err(StoreError::sql("count alerts"))?;
        Ok(rows
            .iter()
            .map(|row| AlertCount {
                rule: row.get(0),
                severity: row.get(1),
                state: row.get(2),
                alerts: row.get::<_, i64>(3).unsigned_abs(),
            })
            .collect())
    }

    /// The last alerts, newest first.
    ///
    /// # Errors
    /// As [`table_counts`](Self::table_counts).
    pub async fn last_alerts(&self, limit: u32) -> Result<Vec<AlertLine>, StoreError> {
        let rows = self
            .client()
            .await?
            .query(
                "SELECT (extract(epoch FROM observed_at) * 1000000)::bigint, code, rule, severity, \
                 state, title, ARRAY(SELECT destination || ': ' || deliveries.state FROM deliveries \
                 WHERE deliveries.alert = alerts.alert ORDER BY done_at) \
                 FROM alerts ORDER BY observed_at DESC LIMIT $1",
                &[&i64::from(limit)],
            )
            .await
            .map_err(StoreError::sql("read the last alerts"))?;
        Ok(rows
            .iter()
            .map(|row| AlertLine {
                observed_at_us: row.get(0),
                code: row.get(1),
                rule: row.get(2),
                severity: row.get(3),
                state: row.get(4),
                title: row.get(5),
                deliveries: row.get(6),
            })
            .collect())
    }

    /// The distribution of a latency since a time (microseconds since 1970); `None` when nothing was measured.
    ///
    /// # Errors
    /// As [`table_counts`](Self::table_counts).
    pub async fn latency(
        &self,
        latency: Latency,
        since_us: i64,
    ) -> Result<Option<Percentiles>, StoreError> {
        let (from, to, table, condition) = match latency {
            Latency::HeadToRow => ("observed_at", "stored_at", "blocks", "incarnation = 1"),
            Latency::HeadToChat => {
                ("seen_at", "done_at", "deliveries", "state IN ('sent', 'repeated')")
            }
        };
        let sql = format!(
            "SELECT count(*), percentile_cont(ARRAY[0.5, 0.99]) WITHIN GROUP \
             (ORDER BY extract(epoch FROM {to} - {from})::double precision * 1000) \
             FROM {table} WHERE {to} >= to_timestamp($1::bigint / 1e6) AND {condition}"
        );
        let row = self
            .client()
            .await?
            .query_one(&sql, &[&since_us])
            .await
            .map_err(StoreError::sql("measure latencies"))?;
        let percentiles: Option<Vec<f64>> = row.get(1);
        Ok(match percentiles.as_deref() {
            Some([p50, p99]) => Some(Percentiles {
                count: row.get::<_, i64>(0).unsigned_abs(),
                p50: *p50,
                p99: *p99,
            }),
            _ => None,
        })
    }

    /// From head to row over all canonical blocks, see [`latency`](Self::latency).
    ///
    /// # Errors
    /// As [`table_counts`](Self::table_counts).
    pub async fn head_to_row_ms(&self) -> Result<Option<Percentiles>, StoreError> {
        self.latency(Latency::HeadToRow, 0).await
    }

    /// From head to chat over all messages, see [`latency`](Self::latency).
    ///
    /// # Errors
    /// As [`table_counts`](Self::table_counts).
    pub async fn head_to_chat_ms(&self) -> Result<Option<Percentiles>, StoreError> {
        self.latency(Latency::HeadToChat, 0).await
    }

    /// The highest canonical block of each chain.
    ///
    /// # Errors
    /// As [`table_counts`](Self::table_counts).
    pub async fn chain_heads(&self) -> Result<Vec<ChainHead>, StoreError> {
        // A loose index scan: one step down the index per chain, however long the chains are.
        let rows = self
            .client()
            .await?
            .query(
                "WITH RECURSIVE chains AS ( \
                   (SELECT chain FROM blocks ORDER BY chain LIMIT 1) UNION ALL \
                   SELECT (SELECT chain FROM blocks WHERE chain > chains.chain ORDER BY chain LIMIT 1) \
                   FROM chains WHERE chains.chain IS NOT NULL) \
                 SELECT chain, block_number, block_hash, \
                 (extract(epoch FROM block_time) * 1000000)::bigint FROM chains \
                 JOIN LATERAL (SELECT block_number, block_hash, block_time FROM blocks \
                   WHERE blocks.chain = chains.chain AND canonical \
                   ORDER BY block_number DESC LIMIT 1) AS head ON true ORDER BY chain",
                &[],
            )
            .await
            .map_err(StoreError::sql("read the heads"))?;
        Ok(rows
            .iter()
            .map(|row| ChainHead {
                chain: row.get(0),
                number: row.get::<_, i64>(1).unsigned_abs(),
                hash: B256::try_from(row.get::<_, &[u8]>(2)).unwrap_or_default(),
                time_us: row.get(3),
            })
            .collect())
    }
}
