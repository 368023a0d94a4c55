use crate::{error::StoreError, pool::store::Store};

/// An alert as a line of a list.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct AlertLine {
    /// When it was raised, microseconds since 1970.
    pub observed_at_us: i64,
    /// Five characters that people can read out.
    pub code: String,
    /// The rule.
    pub rule: String,
    /// Its severity.
    pub severity: String,
    /// Fired, corrected or resolved.
    pub state: String,
    /// First line of its message.
    pub title: String,
    /// Destinations and the state of the message there, such as `ops-telegram: sent`.
    pub deliveries: Vec<String>,
}

impl Store {
    /// The last alerts, newest first.
    ///
    /// # Errors
    /// When the database does not answer or is not migrated.
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
}
