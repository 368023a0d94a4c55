use tokio_postgres::Row;

use crate::{error::StoreError, pool::store::Store, sql_values::Timestamp};

/// How often a rule fired.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RuleActivity {
    /// Its id.
    pub rule: String,
    /// When its newest alert began, microseconds since 1970; `None` where that is longer ago than was looked.
    pub last_fired_at_us: Option<i64>,
    /// Alerts that began within a day.
    pub fired_in_a_day: u64,
}

impl Store {
    /// When these rules fired last since a time, and how often within a day.
    ///
    /// # Errors
    /// When the database does not answer or is not migrated.
    pub async fn rule_activity(
        &self,
        rules: &[String],
        chains: Option<&[String]>,
        since_us: i64,
    ) -> Result<Vec<RuleActivity>, StoreError> {
        let rows = self
            .ask(
                "read when rules fired",
                "SELECT asked.rule, (extract(epoch FROM last.observed_at) * 1000000)::bigint, lately.alerts \
                 FROM unnest($1::text[]) AS asked (rule) \
                 LEFT JOIN LATERAL (SELECT observed_at FROM alerts WHERE alerts.rule = asked.rule AND observed_at >= $2 AND n = 1 \
                 AND ($3::text[] IS NULL OR chain = ANY ($3)) ORDER BY observed_at DESC LIMIT 1) AS last ON true \
                 CROSS JOIN LATERAL (SELECT count(*) AS alerts FROM alerts WHERE alerts.rule = asked.rule \
                 AND observed_at >= now() - interval '24 hours' AND n = 1 AND ($3::text[] IS NULL OR chain = ANY ($3))) AS lately",
                &[&rules, &Timestamp(since_us), &chains],
            )
            .await?;
        let activity = |row: &Row| RuleActivity {
            rule: row.get(0),
            last_fired_at_us: row.get(1),
            fired_in_a_day: row.get::<_, i64>(2).unsigned_abs(),
        };
        Ok(rows.iter().map(activity).collect())
    }
}
