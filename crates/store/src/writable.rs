use crate::{Store, StoreError, Table};

impl Store {
    /// Why rows cannot be written by this user now; nothing where they can.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn write_obstacles(&self) -> Result<Vec<String>, StoreError> {
        let client = self.client().await?;
        let tables: Vec<&str> = Table::ALL.iter().map(|table| table.name()).collect();
        let row = client
            .query_one(
                "SELECT pg_is_in_recovery(), current_setting('transaction_read_only') = 'on', current_user::text, \
                 (SELECT string_agg(name, ', ' ORDER BY name) FROM unnest($1::text[]) AS name \
                  WHERE to_regclass(name) IS NOT NULL AND NOT has_table_privilege(to_regclass(name), 'INSERT'))",
                &[&tables],
            )
            .await
            .map_err(StoreError::sql("ask what may be written"))?;
        let (standby, read_only, user): (bool, bool, String) = (row.get(0), row.get(1), row.get(2));
        let refused: Option<String> = row.get(3);
        let mut obstacles = Vec::new();
        if standby {
            obstacles.push(
                "the server is a standby: name all hosts in database.url with target_session_attrs=read-write".to_owned(),
            );
        } else if read_only {
            obstacles.push(
                "the database is read-only: ALTER DATABASE … SET default_transaction_read_only = off, or that of the user"
                    .to_owned(),
            );
        }
        if let Some(tables) = refused {
            obstacles.push(format!("user {user} may not write {tables}: see `crypto-intel migrate` and GRANT crypto_intel_writer"));
        }
        Ok(obstacles)
    }
}
