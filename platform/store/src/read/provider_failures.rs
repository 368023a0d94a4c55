use serde::{Deserialize, Serialize};
use tokio_postgres::Row;

use super::{
    operations::ProviderLine,
    sql::{PageRequest, Question, RowPage},
};
use crate::{error::StoreError, pool::store::Store, sql_values::Timestamp};

/// Which failures of providers.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct FailureFilter {
    /// Only of this provider.
    pub provider: Option<String>,
    /// Only in one of these states; none for all but `ok`.
    pub states: Vec<String>,
    /// Told from then on, microseconds since 1970.
    pub since_us: i64,
    /// Told up to then, microseconds since 1970.
    pub until_us: i64,
}

/// Where a failure is in the list.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct FailureKey {
    /// When it was told, microseconds since 1970.
    pub at_us: i64,
    /// The provider.
    pub provider: String,
    /// The endpoint; empty where all of the provider is meant.
    pub endpoint: String,
}

/// How often a provider told that it was in a state.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FailureCount {
    /// The provider.
    pub provider: String,
    /// The state.
    pub state: String,
    /// How often it was told.
    pub told: i64,
    /// When it was told first and last, microseconds since 1970.
    pub first_last_us: (i64, i64),
}

/// In the words of the partial index.
const FAILED: &str = "state <> 'ok'";

impl FailureFilter {
    fn conditions(&self, question: &mut Question) -> Vec<String> {
        let (since, until) =
            (question.bind(Timestamp(self.since_us)), question.bind(Timestamp(self.until_us)));
        let mut conditions =
            vec![FAILED.to_owned(), format!("event_at >= {since} AND event_at <= {until}")];
        if let Some(provider) = self.provider.clone() {
            let provider = question.bind(provider);
            conditions.push(format!("provider = {provider}"));
        }
        if !self.states.is_empty() {
            let states = question.bind(self.states.clone());
            conditions.push(format!("state = ANY ({states})"));
        }
        conditions
    }
}

impl Store {
    /// A page of what providers told while they were not well, newest first.
    ///
    /// # Errors
    /// When the database does not answer or is not migrated.
    pub async fn provider_failures(
        &self,
        filter: &FailureFilter,
        page: &PageRequest<FailureKey>,
    ) -> Result<RowPage<ProviderLine>, StoreError> {
        let mut question = Question::default();
        let mut conditions = filter.conditions(&mut question);
        let towards = page.towards();
        if let Some((key, _)) = &page.beside {
            let time = question.bind(Timestamp(key.at_us));
            let provider = question.bind(key.provider.clone());
            let endpoint = question.bind(key.endpoint.clone());
            let comparison = towards.comparison(false);
            conditions.push(format!(
                "(event_at, provider, endpoint) {comparison} ({time}, {provider}, {endpoint})"
            ));
        }
        let (order, limit) = (towards.order(), question.bind(page.rows()));
        let sql = format!(
            "SELECT provider, endpoint, state, (extract(epoch FROM event_at) * 1000000)::bigint, latency_ms, \
             quota_used, quota_limit, quota_window, stale_seconds, on_time_percent::text, detail FROM provider_statuses \
             WHERE {} ORDER BY event_at {order}, provider {order}, endpoint {order} LIMIT {limit}",
            conditions.join(" AND ")
        );
        let rows = self.ask("read failures of providers", &sql, &question.values()).await?;
        Ok(RowPage::new(rows.iter().map(ProviderLine::of).collect(), page))
    }

    /// How often each provider told each state but `ok`, the most often first.
    ///
    /// # Errors
    /// As [`provider_failures`](Self::provider_failures).
    pub async fn provider_failure_counts(
        &self,
        filter: &FailureFilter,
    ) -> Result<Vec<FailureCount>, StoreError> {
        let mut question = Question::default();
        let conditions = filter.conditions(&mut question).join(" AND ");
        let sql = format!(
            "SELECT provider, state, count(*), (extract(epoch FROM min(event_at)) * 1000000)::bigint, \
             (extract(epoch FROM max(event_at)) * 1000000)::bigint FROM provider_statuses WHERE {conditions} \
             GROUP BY provider, state ORDER BY 3 DESC, 1, 2"
        );
        let rows = self.ask("count failures of providers", &sql, &question.values()).await?;
        let count = |row: &Row| FailureCount {
            provider: row.get(0),
            state: row.get(1),
            told: row.get(2),
            first_last_us: (row.get(3), row.get(4)),
        };
        Ok(rows.iter().map(count).collect())
    }
}
