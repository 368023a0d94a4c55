//! Whether the user of a connection may do what persist does.

use crate::{error::StoreError, hint::hint, pool::store::Store, tables::Table};

/// Tables in which persist updates rows.
const UPDATED: [&str; 5] = ["positions", "blocks", "wallets", "labels", "label_sources"];
/// Tables beside those of events that it inserts into.
const KEPT: [&str; 4] = ["positions", "wallets", "labels", "label_sources"];
/// Tables beside those of blocks in which it deletes rows.
const REPLACED: [&str; 2] = ["labels", "label_sources"];

impl Store {
    /// What keeps this connection's user from writing: a read-only server, or missing privileges. Changes nothing.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn write_obstacles(&self) -> Result<Vec<String>, StoreError> {
        let client = self.client().await?;
        let fail = || StoreError::sql("ask what this user may do");
        let row = client
            .query_one(
                "SELECT current_setting('transaction_read_only')::bool, current_user::text",
                &[],
            )
            .await
            .map_err(fail())?;
        let (is_read_only, user): (bool, String) = (row.get(0), row.get(1));
        let mut obstacles = Vec::new();
        if is_read_only {
            let hint = hint(Some("25006"), "").unwrap_or_default();
            obstacles.push(format!("the database is read-only: {hint}"));
        }
        let mut wanted: Vec<(&str, &str)> = Vec::new();
        for table in Table::ALL.map(Table::name).into_iter().chain(KEPT) {
            wanted.push((table, "SELECT"));
            wanted.push((table, "INSERT"));
        }
        wanted.extend(Table::OF_BLOCKS.map(|table| (table.name(), "DELETE")));
        wanted.extend(REPLACED.map(|table| (table, "DELETE")));
        wanted.extend(UPDATED.map(|table| (table, "UPDATE")));
        let (tables, rights): (Vec<&str>, Vec<&str>) = wanted.into_iter().unzip();
        let rows = client
            .query(
                "SELECT wanted.right, string_agg(wanted.name, ', ' ORDER BY wanted.name) \
                 FROM unnest($1::text[], $2::text[]) AS wanted (name, \"right\") \
                 WHERE NOT has_table_privilege(to_regclass(wanted.name), wanted.right) GROUP BY 1 ORDER BY 1",
                &[&tables, &rights],
            )
            .await
            .map_err(fail())?;
        if !rows.is_empty() {
            let lacking: Vec<String> = rows
                .iter()
                .map(|row| format!("{} on {}", row.get::<_, &str>(0), row.get::<_, &str>(1)))
                .collect();
            let hint = hint(Some("42501"), "").unwrap_or_default();
            obstacles.push(format!("user {user} has no {}: {hint}", lacking.join("; ")));
        }
        Ok(obstacles)
    }
}
