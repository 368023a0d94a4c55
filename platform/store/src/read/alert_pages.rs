use crypto_intel_schemas::{Alert, AlertState, B256, Labels, Link, Severity};
use serde::{Deserialize, Serialize};
use tokio_postgres::{Row, types::Json};

use super::sql::{PageRequest, Question, RowPage};
use crate::{error::StoreError, pool::store::Store, sql_values::Timestamp};

/// Which alerts.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct AlertFilter {
    /// Of one of these chains; `None` for all, and those of no chain.
    pub chains: Option<Vec<String>>,
    /// Of one of these severities; none for all.
    pub severities: Vec<Severity>,
    /// Whose newest message says one of these; none for all.
    pub states: Vec<AlertState>,
    /// Of this rule.
    pub rule: Option<String>,
    /// Told from then on, microseconds since 1970.
    pub since_us: i64,
    /// Told up to then, microseconds since 1970.
    pub until_us: i64,
}

/// Where an alert is in the list.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AlertKey {
    /// When it was raised, microseconds since 1970.
    pub observed_at_us: i64,
    /// Id of its newest message.
    pub id: String,
}

/// What became of a message to a destination.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DeliveryLine {
    /// Key of the alert.
    pub alert: String,
    /// The message, by the id of the alert's message and its destination.
    pub delivery: String,
    /// The destination.
    pub destination: String,
    /// Kind of the destination, such as telegram.
    pub channel: String,
    /// sent, repeated, uncertain, dead, expired, silenced, inhibited or muted.
    pub state: String,
    /// When that was known, microseconds since 1970.
    pub done_at_us: i64,
    /// When the pipeline first saw what the alert is about, microseconds since 1970.
    pub seen_at_us: i64,
    /// How often it was tried.
    pub attempts: u64,
    /// The service's id of the message.
    pub message_id: Option<String>,
    /// Why it was not sent.
    pub error: Option<String>,
    /// What kept it back.
    pub cause: Option<String>,
}

const COLUMNS: &str = "id, (extract(epoch FROM event_at) * 1000000)::bigint, \
    (extract(epoch FROM observed_at) * 1000000)::bigint, (extract(epoch FROM seen_at) * 1000000)::bigint, alert, code, \
    rule, severity, state, n, title, lines, links, labels, ongoing, routes, event_id, chain, block_number, block_hash, \
    tx_hash";

fn alert(row: &Row) -> Alert {
    let hash =
        |column| row.get::<_, Option<&[u8]>>(column).and_then(|bytes| B256::try_from(bytes).ok());
    Alert {
        id: row.get(0),
        alert: row.get(4),
        code: row.get(5),
        rule: row.get(6),
        severity: match row.get(7) {
            "critical" => Severity::Critical,
            "warning" => Severity::Warning,
            _ => Severity::Info,
        },
        state: match row.get(8) {
            "corrected" => AlertState::Corrected,
            "resolved" => AlertState::Resolved,
            _ => AlertState::Fired,
        },
        n: u32::try_from(row.get::<_, i64>(9)).unwrap_or(u32::MAX),
        title: row.get(10),
        lines: row.get::<_, Option<Vec<String>>>(11).unwrap_or_default(),
        links: row.get::<_, Option<Json<Vec<Link>>>>(12).map(|links| links.0).unwrap_or_default(),
        labels: row.get::<_, Option<Json<Labels>>>(13).map(|labels| labels.0).unwrap_or_default(),
        ongoing: row.get(14),
        routes: row.get::<_, Option<Vec<String>>>(15).unwrap_or_default(),
        event_id: row.get(16),
        chain: row.get(17),
        block_number: row.get::<_, Option<i64>>(18).map(i64::unsigned_abs),
        block_hash: hash(19),
        tx_hash: hash(20),
        seen_at_us: row.get(3),
        ..Alert::at("alerts", row.get(1), row.get(2))
    }
}

impl Store {
    /// A page of alerts by their newest messages, newest first.
    ///
    /// # Errors
    /// When the database does not answer or is not migrated.
    pub async fn alerts(
        &self,
        filter: &AlertFilter,
        page: &PageRequest<AlertKey>,
    ) -> Result<RowPage<Alert>, StoreError> {
        let mut question = Question::default();
        let (since, until) =
            (question.bind(Timestamp(filter.since_us)), question.bind(Timestamp(filter.until_us)));
        let mut conditions = vec![
            format!("observed_at >= {since} AND observed_at <= {until}"),
            "NOT EXISTS (SELECT FROM alerts AS later WHERE later.alert = told.alert AND later.n > told.n)"
                .to_owned(),
        ];
        if let Some(chains) = filter.chains.clone() {
            let chains = question.bind(chains);
            conditions.push(format!("chain = ANY ({chains})"));
        }
        let severities: Vec<&str> = filter.severities.iter().map(|one| one.as_str()).collect();
        let states: Vec<&str> = filter.states.iter().map(|one| one.as_str()).collect();
        for (column, words) in [("severity", severities), ("state", states)] {
            if !words.is_empty() {
                let words = question.bind(words);
                conditions.push(format!("{column} = ANY ({words})"));
            }
        }
        if let Some(rule) = filter.rule.clone() {
            let rule = question.bind(rule);
            conditions.push(format!("rule = {rule}"));
        }
        let towards = page.towards();
        if let Some((key, _)) = &page.beside {
            let (time, id) =
                (question.bind(Timestamp(key.observed_at_us)), question.bind(key.id.clone()));
            let comparison = towards.comparison(false);
            conditions.push(format!("(observed_at, id) {comparison} ({time}, {id})"));
        }
        let (order, limit) = (towards.order(), question.bind(page.rows()));
        let sql = format!(
            "SELECT {COLUMNS} FROM alerts AS told WHERE {} ORDER BY observed_at {order}, id {order} LIMIT {limit}",
            conditions.join(" AND ")
        );
        let rows = self.ask("read alerts", &sql, &question.values()).await?;
        Ok(RowPage::new(rows.iter().map(alert).collect(), page))
    }

    /// Every message of an alert, by its key or its code, oldest first. A code may be that of several: then the newest counts.
    ///
    /// # Errors
    /// As [`alerts`](Self::alerts).
    pub async fn alert_messages(&self, key_or_code: &str) -> Result<Vec<Alert>, StoreError> {
        let sql = format!(
            "SELECT {COLUMNS} FROM alerts WHERE alert = coalesce( \
             (SELECT alert FROM alerts WHERE alert = $1 LIMIT 1), \
             (SELECT alert FROM alerts WHERE code = upper($1) AND observed_at > now() - INTERVAL '30 days' \
              ORDER BY observed_at DESC LIMIT 1)) ORDER BY n"
        );
        let rows = self.ask("read an alert", &sql, &[&key_or_code]).await?;
        Ok(rows.iter().map(alert).collect())
    }

    /// What became of the messages of these alerts, oldest first.
    ///
    /// # Errors
    /// As [`alerts`](Self::alerts).
    pub async fn deliveries_of(&self, alerts: &[String]) -> Result<Vec<DeliveryLine>, StoreError> {
        let rows = self
            .ask(
                "read deliveries",
                "SELECT alert, delivery, destination, channel, state, (extract(epoch FROM done_at) * 1000000)::bigint, \
                 (extract(epoch FROM seen_at) * 1000000)::bigint, attempts, message_id, error, cause \
                 FROM deliveries WHERE alert = ANY ($1) ORDER BY done_at, id",
                &[&alerts],
            )
            .await?;
        let line = |row: &Row| DeliveryLine {
            alert: row.get(0),
            delivery: row.get(1),
            destination: row.get(2),
            channel: row.get(3),
            state: row.get(4),
            done_at_us: row.get(5),
            seen_at_us: row.get(6),
            attempts: row.get::<_, i64>(7).unsigned_abs(),
            message_id: row.get(8),
            error: row.get(9),
            cause: row.get(10),
        };
        Ok(rows.iter().map(line).collect())
    }
}
