use crate::{error::StoreError, pool::store::Store};

/// Between which two moments a latency is measured.
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

impl Store {
    /// The distribution of a latency since a time (microseconds since 1970); `None` when nothing was measured.
    ///
    /// # Errors
    /// When the database does not answer or is not migrated.
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
    /// When the database does not answer or is not migrated.
    pub async fn head_to_row_ms(&self) -> Result<Option<Percentiles>, StoreError> {
        self.latency(Latency::HeadToRow, 0).await
    }

    /// From head to chat over all messages, see [`latency`](Self::latency).
    ///
    /// # Errors
    /// When the database does not answer or is not migrated.
    pub async fn head_to_chat_ms(&self) -> Result<Option<Percentiles>, StoreError> {
        self.latency(Latency::HeadToChat, 0).await
    }
}
