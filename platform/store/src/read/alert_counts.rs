use tokio_postgres::Row;

use crate::{error::StoreError, pool::store::Store, sql_values::Timestamp};

/// How many alerts began in a step of time, by severity.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AlertCount {
    /// When the step begins, microseconds since 1970.
    pub bucket_us: i64,
    /// Their severity.
    pub severity: String,
    /// Alerts that fired first in that time.
    pub alerts: u64,
    /// Those of them whose condition still lasts.
    pub ongoing: u64,
}

impl Store {
    /// Alerts that began between two times, by step and severity, oldest first. A step is counted from 1970 on; those without an
    /// alert are left out.
    ///
    /// # Errors
    /// When the database does not answer or is not migrated.
    pub async fn alert_counts(
        &self,
        chains: Option<&[String]>,
        between_us: (i64, i64),
        step_seconds: u32,
    ) -> Result<Vec<AlertCount>, StoreError> {
        let (since, until) = (Timestamp(between_us.0), Timestamp(between_us.1));
        let step = f64::from(step_seconds);
        let rows = self
            .ask(
                "count alerts",
                "SELECT (floor(extract(epoch FROM observed_at) / $4::float8) * $4::float8 * 1000000)::bigint AS bucket, \
                 severity, count(*), count(*) FILTER (WHERE ongoing AND NOT EXISTS ( \
                 SELECT FROM alerts AS later WHERE later.alert = told.alert AND later.n > told.n AND later.state = 'resolved')) \
                 FROM alerts AS told WHERE observed_at >= $1 AND observed_at <= $2 AND n = 1 \
                 AND ($3::text[] IS NULL OR chain = ANY ($3)) GROUP BY 1, 2 ORDER BY 1, 2",
                &[&since, &until, &chains, &step],
            )
            .await?;
        let count = |row: &Row| AlertCount {
            bucket_us: row.get(0),
            severity: row.get(1),
            alerts: row.get::<_, i64>(2).unsigned_abs(),
            ongoing: row.get::<_, i64>(3).unsigned_abs(),
        };
        Ok(rows.iter().map(count).collect())
    }
}
