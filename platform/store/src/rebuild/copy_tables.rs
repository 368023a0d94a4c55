//! Copies rows that belong to no block, and tables that no stream fills.

use tokio_postgres::types::ToSql;

use super::{
    columns::TableMatch,
    live_copy::{LiveCopy, Span},
};
use crate::{error::StoreError, sql_values::Timestamp, tables::Table};

impl LiveCopy {
    /// Copies rows that belong to no block and whose key is unknown here; returns how many were copied.
    ///
    /// # Errors
    /// When the new tables cannot take them, or a statement fails.
    pub async fn copy_rows_of_no_block(&self, span: Span) -> Result<u64, StoreError> {
        let mut copied = 0;
        for matched in self.matches.of_no_block() {
            let TableMatch { name, .. } = matched;
            let mut source = format!(
                "FROM {live}.{name} AS old WHERE NOT EXISTS (SELECT FROM {name} AS new WHERE {same})",
                live = self.live,
                same = matched.same_key("new", "old")
            );
            let bounds = [
                (span.after_us > i64::MIN).then_some((">", Timestamp(span.after_us))),
                (span.until_us < i64::MAX).then_some(("<=", Timestamp(span.until_us))),
            ];
            let mut parameters: Vec<&(dyn ToSql + Sync)> = Vec::new();
            for (operator, bound) in bounds.iter().flatten() {
                if matched.has("observed_at") {
                    parameters.push(bound);
                    source.push_str(&format!(
                        " AND old.observed_at {operator} ${}",
                        parameters.len()
                    ));
                }
            }
            let transaction = self.store.begin_snapshot().await?;
            let client = transaction.client()?;
            if matched.obstacle.is_none() {
                let columns = matched.list();
                let sql = format!(
                    "INSERT INTO {name} ({columns}) SELECT {columns} {source} ON CONFLICT DO NOTHING"
                );
                let count = client.execute(&sql, &parameters).await;
                copied += count.map_err(StoreError::sql(format!("copy rows of {name}")))?;
            } else if !matched.key.iter().all(|column| matched.has(column)) {
                let source = format!("FROM {}.{name}", self.live);
                self.refuse_obstacle(client, matched, &source, &[]).await?;
            } else {
                self.refuse_obstacle(client, matched, &source, &parameters).await?;
            }
            transaction.commit().await?;
        }
        Ok(copied)
    }

    /// Copies the columns of known blocks that no stream fills, such as when a block was first stored; returns how many
    /// blocks changed.
    ///
    /// # Errors
    /// When a statement fails.
    pub async fn copy_unstreamed_columns(&self, span: Span) -> Result<u64, StoreError> {
        let Some(blocks) = self.matches.of(Table::Blocks) else { return Ok(0) };
        let unstreamed: Vec<&String> =
            blocks.columns.iter().filter(|column| !Table::Blocks.has_column(column)).collect();
        if unstreamed.is_empty() {
            return Ok(0);
        }
        let list = |prefix: &str| {
            let columns = unstreamed.iter().map(|column| format!("{prefix}{column}"));
            columns.collect::<Vec<_>>().join(", ")
        };
        let sql = format!(
            "UPDATE blocks AS new SET ({columns}) = ROW ({old}) FROM {live}.blocks AS old WHERE {same} \
             AND old.revision > $1 AND old.revision <= $2 AND ROW ({new}) IS DISTINCT FROM ROW ({old})",
            columns = list(""),
            old = list("old."),
            new = list("new."),
            live = self.live,
            same = blocks.same_key("new", "old")
        );
        let transaction = self.store.begin_snapshot().await?;
        let span: [&(dyn ToSql + Sync); 2] = [&span.after_us, &span.until_us];
        let changed = transaction.client()?.execute(&sql, &span).await;
        let changed = changed.map_err(StoreError::sql("copy columns that no stream fills"))?;
        transaction.commit().await?;
        Ok(changed)
    }

    /// Copies the tables that no stream fills, and all positions but those of these streams; returns the names of the
    /// tables.
    ///
    /// # Errors
    /// When a statement fails.
    pub async fn copy_unstreamed_tables(
        &self,
        streams: &[&str],
    ) -> Result<Vec<String>, StoreError> {
        let transaction = self.store.begin_snapshot().await?;
        let client = transaction.client()?;
        let mut names = Vec::new();
        for matched in self.matches.unstreamed() {
            if matched.obstacle.is_some() {
                let source = format!("FROM {}.{}", self.live, matched.name);
                self.refuse_obstacle(client, matched, &source, &[]).await?;
                continue;
            }
            let count = client.batch_execute(&upsert(matched, &self.live)).await;
            count.map_err(StoreError::sql(format!("copy {}", matched.name)))?;
            names.push(matched.name.clone());
        }
        if let Some(positions) = self.matches.tables.get("positions") {
            // A position that no longer exists in the live tables would look like a replay to resume.
            let gone = "DELETE FROM positions WHERE stream <> ALL ($1)";
            let gone = client.execute(gone, &[&streams]).await;
            gone.map_err(StoreError::sql("copy positions"))?;
            let upsert = upsert(positions, &self.live)
                .replace(" ON CONFLICT", " WHERE stream <> ALL ($1) ON CONFLICT");
            let moved = client.execute(&upsert, &[&streams]).await;
            moved.map_err(StoreError::sql("copy positions"))?;
        }
        transaction.commit().await?;
        Ok(names)
    }
}

/// The statement that overwrites the rows here with the live ones, which users or migrations may have changed since.
fn upsert(matched: &TableMatch, live: &str) -> String {
    let (name, columns) = (&matched.name, matched.list());
    let select = format!("INSERT INTO {name} ({columns}) SELECT {columns} FROM {live}.{name}");
    if matched.key.is_empty() {
        return format!("DELETE FROM {name}; {select}");
    }
    let others = matched.columns.iter().filter(|column| !matched.key.contains(column));
    let set: Vec<String> = others.map(|column| format!("{column} = excluded.{column}")).collect();
    let action = if set.is_empty() {
        "NOTHING".to_owned()
    } else {
        format!("UPDATE SET {}", set.join(", "))
    };
    format!("{select} ON CONFLICT ({}) DO {action}", matched.key.join(", "))
}
