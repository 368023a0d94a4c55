use crypto_intel_schemas::Audit;
use serde::{Deserialize, Serialize};
use tokio_postgres::Row;

use super::sql::{PageRequest, Question, RowPage};
use crate::{error::StoreError, pool::store::Store, sql_values::Timestamp};

/// Which changes.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct AuditFilter {
    /// By this person or program.
    pub actor: Option<String>,
    /// Of this sort, such as `silence.add`.
    pub action: Option<String>,
    /// Of this thing.
    pub target: Option<String>,
    /// From then on, microseconds since 1970.
    pub since_us: i64,
    /// Up to then, microseconds since 1970.
    pub until_us: i64,
}

/// Where a change is in the list.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AuditKey {
    /// When it was made, microseconds since 1970.
    pub event_at_us: i64,
    /// Its id.
    pub id: String,
}

const COLUMNS: &str = "id, (extract(epoch FROM event_at) * 1000000)::bigint, \
    (extract(epoch FROM observed_at) * 1000000)::bigint, actor, key, action, target, via, origin, request, before, after";

fn audit(row: &Row) -> Audit {
    let via: String = row.get(7);
    let source = if via == "api" { "api" } else { "command" };
    Audit {
        id: row.get(0),
        actor: row.get(3),
        key: row.get(4),
        action: row.get(5),
        target: row.get(6),
        origin: row.get(8),
        request: row.get(9),
        before: row.get(10),
        after: row.get(11),
        via,
        ..Audit::at(source, row.get(1), row.get(2))
    }
}

impl Store {
    /// A page of changes, newest first.
    ///
    /// # Errors
    /// When the database does not answer or is not migrated.
    pub async fn audit_trail(
        &self,
        filter: &AuditFilter,
        page: &PageRequest<AuditKey>,
    ) -> Result<RowPage<Audit>, StoreError> {
        let mut question = Question::default();
        let (since, until) =
            (question.bind(Timestamp(filter.since_us)), question.bind(Timestamp(filter.until_us)));
        let mut conditions = vec![format!("event_at >= {since} AND event_at <= {until}")];
        for (column, wanted) in
            [("actor", &filter.actor), ("action", &filter.action), ("target", &filter.target)]
        {
            if let Some(wanted) = wanted.clone() {
                let wanted = question.bind(wanted);
                conditions.push(format!("{column} = {wanted}"));
            }
        }
        let towards = page.towards();
        if let Some((key, _)) = &page.beside {
            let (time, id) =
                (question.bind(Timestamp(key.event_at_us)), question.bind(key.id.clone()));
            let comparison = towards.comparison(false);
            conditions.push(format!("(event_at, id) {comparison} ({time}, {id})"));
        }
        let (order, limit) = (towards.order(), question.bind(page.rows()));
        let sql = format!(
            "SELECT {COLUMNS} FROM audit WHERE {} ORDER BY event_at {order}, id {order} LIMIT {limit}",
            conditions.join(" AND ")
        );
        let rows = self.ask("read the audit", &sql, &question.values()).await?;
        Ok(RowPage::new(rows.iter().map(audit).collect(), page))
    }
}
