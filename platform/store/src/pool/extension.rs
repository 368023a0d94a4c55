//! Where TimescaleDB's functions are. The search path of a second set of tables names only its own schema, so that no live
//! table is mistaken for one of the set, and the extension usually lives beside the live tables.

use tokio_postgres::Client;

use crate::error::StoreError;

/// The statement that appends the extension's schema to the search path, for the session or, with `is_local`, for the
/// transaction.
pub(crate) fn add_to_path(is_local: bool) -> String {
    format!(
        "DO $$ DECLARE extension text; BEGIN \
         SELECT extnamespace::regnamespace::text INTO extension FROM pg_extension WHERE extname = 'timescaledb'; \
         IF extension IS NOT NULL AND NOT extension = ANY (current_schemas(false)::text[]) THEN \
             PERFORM set_config('search_path', current_setting('search_path') || ', ' || extension, {is_local}); \
         END IF; END $$"
    )
}

/// The extension's schema, as SQL writes it; `None` on plain PostgreSQL.
pub(crate) async fn schema(client: &Client) -> Result<Option<String>, StoreError> {
    let row = client
        .query_opt(
            "SELECT extnamespace::regnamespace::text FROM pg_extension WHERE extname = 'timescaledb'",
            &[],
        )
        .await
        .map_err(StoreError::sql("look for TimescaleDB"))?;
    Ok(row.map(|row| row.get(0)))
}
