//! Where the live tables are, and what a schema holds.

use crate::{
    error::StoreError,
    pool::{schema_name::SchemaName, store::Store},
};

/// The schema of the live tables.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LiveSchema {
    /// Its name, as SQL writes it.
    pub schema: String,
    /// Owner of the tables.
    pub owner: String,
    /// User of the connection.
    pub user: String,
}

/// What a schema holds that may get new tables.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SchemaState {
    /// There is no such schema, or nothing in it.
    Empty,
    /// A set of our tables.
    Tables {
        /// The schema's comment, which names the version that created it; empty where it has none.
        comment: String,
        /// Whether anything was stored in it.
        is_filled: bool,
    },
    /// Something else.
    Other,
}

impl LiveSchema {
    /// Where the tables of this connection are.
    ///
    /// # Errors
    /// When the database does not answer or is not migrated.
    pub async fn find(store: &Store) -> Result<Self, StoreError> {
        let client = store.client().await?;
        let row = client
            .query_one(
                "SELECT quote_ident(nspname), pg_get_userbyid(relowner)::text, current_user::text FROM pg_class \
                 JOIN pg_namespace ON pg_namespace.oid = relnamespace \
                 WHERE pg_class.oid = 'positions'::regclass",
                &[],
            )
            .await
            .map_err(StoreError::sql("look for the tables"))?;
        Ok(Self { schema: row.get(0), owner: row.get(1), user: row.get(2) })
    }
}

impl SchemaState {
    /// What a schema of this database holds.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn read(store: &Store, schema: &str) -> Result<Self, StoreError> {
        let client = store.client().await?;
        let row = client
            .query_one(
                "SELECT EXISTS (SELECT FROM pg_depend WHERE refclassid = 'pg_namespace'::regclass \
                 AND refobjid = to_regnamespace($1)), \
                 to_regclass($1 || '.refinery_schema_history') IS NOT NULL, \
                 to_regclass($1 || '.positions') IS NOT NULL, \
                 coalesce(obj_description(to_regnamespace($1), 'pg_namespace'), '')",
                &[&schema],
            )
            .await
            .map_err(StoreError::sql("look into the schema"))?;
        let (is_used, is_migrated, has_positions): (bool, bool, bool) =
            (row.get(0), row.get(1), row.get(2));
        let is_filled = if has_positions {
            let sql = format!("SELECT EXISTS (SELECT FROM {schema}.positions WHERE sequence > 0)");
            let row = client.query_one(&sql, &[]).await;
            row.map_err(StoreError::sql("read the positions"))?.get(0)
        } else {
            false
        };
        Ok(match (is_used, is_migrated) {
            (false, _) => Self::Empty,
            (true, true) => Self::Tables { comment: row.get(3), is_filled },
            (true, false) => Self::Other,
        })
    }
}

/// How many bytes the tables of a schema take, with their indexes and partitions.
///
/// # Errors
/// When the database does not answer.
pub async fn schema_bytes(store: &Store, schema: &str) -> Result<u64, StoreError> {
    let client = store.client().await?;
    let row = client
        .query_one(
            "WITH RECURSIVE tables AS ( \
               SELECT oid FROM pg_class WHERE relnamespace = to_regnamespace($1) AND relkind IN ('r', 'p') \
               UNION ALL SELECT inhrelid FROM pg_inherits JOIN tables ON inhparent = tables.oid) \
             SELECT coalesce(sum(pg_total_relation_size(oid)), 0)::bigint FROM tables",
            &[&schema],
        )
        .await
        .map_err(StoreError::sql("measure the tables"))?;
    Ok(row.get::<_, i64>(0).unsigned_abs())
}

/// Creates the schema of this connection where it is missing, with a comment that says what it is.
///
/// # Errors
/// When the user lacks the privilege, or when the server would put an extension into it.
pub async fn create_schema(store: &Store, comment: &str) -> Result<(), StoreError> {
    let Some(schema) = store.schema() else { return Ok(()) };
    let client = store.client().await?;
    let would_create: bool = client
        .query_one(
            "SELECT current_setting('shared_preload_libraries') LIKE '%timescaledb%' \
             AND EXISTS (SELECT FROM pg_available_extensions WHERE name = 'timescaledb') \
             AND NOT EXISTS (SELECT FROM pg_extension WHERE extname = 'timescaledb')",
            &[],
        )
        .await
        .map_err(StoreError::sql("look for TimescaleDB"))?
        .get(0);
    if would_create {
        // The first migration would create it in the new schema, where it could not stay.
        return Err(StoreError::Refusal {
            reason: "TimescaleDB is loaded and not yet in this database: run CREATE EXTENSION timescaledb beside \
                     the live tables first"
                .to_owned(),
        });
    }
    let comment = comment.replace('\'', "''");
    let sql =
        format!("CREATE SCHEMA IF NOT EXISTS {schema}; COMMENT ON SCHEMA {schema} IS '{comment}'");
    client.batch_execute(&sql).await.map_err(StoreError::sql("create the schema"))
}

/// Removes a schema that a swap has emptied.
///
/// # Errors
/// When something is in it.
pub async fn drop_empty_schema(store: &Store, schema: &SchemaName) -> Result<(), StoreError> {
    let client = store.client().await?;
    client
        .batch_execute(&format!("DROP SCHEMA IF EXISTS {schema}"))
        .await
        .map_err(StoreError::sql("remove the emptied schema"))
}
