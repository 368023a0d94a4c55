//! Facts about a database, read in the snapshot that is dumped.

use serde::{Deserialize, Serialize};
use tokio_postgres::{Client, Row};

use crate::{error::StoreError, read::positions::all_positions, stream_position::PositionRow};

/// Facts about a database: what its dump must contain, and what a server needs to restore it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DatabaseFacts {
    /// Its name.
    pub name: String,
    /// Major version of the server, e.g. 17.
    pub postgresql_major: u32,
    /// Version of the server, e.g. `17.12 (Debian 17.12-0+deb13u1)`.
    pub postgresql: String,
    /// TimescaleDB, where the database has its extension.
    pub timescaledb: Option<TimescaleFacts>,
    /// Migrations that are applied, e.g. `V1__foundation`.
    pub migrations: Vec<String>,
    /// How far each stream was applied.
    pub positions: Vec<PositionRow>,
    /// Every table with rows of its own, `schema.name`; for hypertables also their chunks.
    pub tables: Vec<String>,
    /// Roles that own something.
    pub owners: Vec<String>,
    /// Roles that were granted something.
    pub grantees: Vec<String>,
    /// Size of the database on its server, bytes.
    pub bytes: u64,
}

/// TimescaleDB as a database uses it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TimescaleFacts {
    /// Version of the extension; a restore needs exactly this one.
    pub version: String,
    /// `timescale` = community edition, `apache`.
    pub license: String,
    /// Whether it uses policies, continuous aggregates or the column store, which only the community edition has.
    pub needs_community: bool,
}

impl TimescaleFacts {
    /// Name of the edition for people.
    #[must_use]
    pub fn edition(&self) -> &'static str {
        if self.license == "timescale" { "community" } else { "Apache" }
    }
}

/// Ordinary tables that belong to no extension.
const TABLES: &str = "SELECT nspname || '.' || relname FROM pg_class \
    JOIN pg_namespace ON pg_namespace.oid = relnamespace \
    WHERE relkind = 'r' AND relpersistence <> 't' AND nspname <> 'information_schema' AND nspname !~ '^pg_' \
    AND NOT EXISTS (SELECT FROM pg_depend WHERE classid = 'pg_class'::regclass AND objid = pg_class.oid \
        AND deptype = 'e') ORDER BY 1";

const OWNERS: &str = "SELECT DISTINCT rolname::text FROM pg_roles JOIN ( \
    SELECT relowner AS owner, relnamespace AS namespace, oid, 'pg_class'::regclass AS class FROM pg_class \
    UNION ALL SELECT proowner, pronamespace, oid, 'pg_proc'::regclass FROM pg_proc) owned ON pg_roles.oid = owner \
    JOIN pg_namespace ON pg_namespace.oid = namespace \
    WHERE nspname <> 'information_schema' AND nspname !~ '^pg_' \
    AND NOT EXISTS (SELECT FROM pg_depend WHERE classid = class AND objid = owned.oid AND deptype = 'e') ORDER BY 1";

/// Grants that are not an extension's own.
const GRANTEES: &str = "SELECT DISTINCT rolname::text FROM pg_roles JOIN ( \
    SELECT (aclexplode(relacl)).grantee, oid, 'pg_class'::regclass AS class FROM pg_class \
    UNION ALL SELECT (aclexplode(proacl)).grantee, oid, 'pg_proc'::regclass FROM pg_proc \
    UNION ALL SELECT (aclexplode(nspacl)).grantee, oid, 'pg_namespace'::regclass FROM pg_namespace \
    UNION ALL SELECT (aclexplode(defaclacl)).grantee, oid, 'pg_default_acl'::regclass FROM pg_default_acl) granted \
    ON pg_roles.oid = grantee \
    WHERE rolname !~ '^pg_' AND NOT EXISTS (SELECT FROM pg_init_privs \
        WHERE pg_init_privs.classoid = class AND pg_init_privs.objoid = granted.oid) ORDER BY 1";

/// Jobs below 1000 are TimescaleDB's own.
const TIMESCALE: &str = "SELECT extversion, current_setting('timescaledb.license', true), \
    EXISTS (SELECT FROM timescaledb_information.jobs WHERE job_id >= 1000) \
    OR EXISTS (SELECT FROM timescaledb_information.continuous_aggregates) \
    OR EXISTS (SELECT FROM timescaledb_information.hypertables WHERE compression_enabled) \
    FROM pg_extension WHERE extname = 'timescaledb'";

impl DatabaseFacts {
    /// Reads the facts in the client's transaction.
    pub(super) async fn read(client: &Client) -> Result<Self, StoreError> {
        let fail = || StoreError::sql("read facts about the database");
        let row = client
            .query_one(
                "SELECT current_database()::text, current_setting('server_version_num')::int, \
                 current_setting('server_version'), pg_database_size(current_database()), \
                 to_regclass('refinery_schema_history') IS NOT NULL, to_regclass('positions') IS NOT NULL",
                &[],
            )
            .await
            .map_err(fail())?;
        let (is_migrated, has_positions): (bool, bool) = (row.get(4), row.get(5));
        let mut facts = Self {
            name: row.get(0),
            postgresql_major: row.get::<_, i32>(1).unsigned_abs() / 10_000,
            postgresql: row.get(2),
            timescaledb: timescale(client).await?,
            migrations: Vec::new(),
            positions: Vec::new(),
            tables: texts(client, TABLES).await?,
            owners: texts(client, OWNERS).await?,
            grantees: texts(client, GRANTEES).await?,
            bytes: row.get::<_, i64>(3).unsigned_abs(),
        };
        if is_migrated {
            let sql = "SELECT 'V' || version || '__' || name FROM refinery_schema_history ORDER BY version";
            facts.migrations = texts(client, sql).await?;
        }
        if has_positions {
            facts.positions = all_positions(client).await?;
        }
        Ok(facts)
    }
}

async fn timescale(client: &Client) -> Result<Option<TimescaleFacts>, StoreError> {
    let fail = || StoreError::sql("ask what TimescaleDB is used for");
    let sql = "SELECT FROM pg_extension WHERE extname = 'timescaledb'";
    // Its views exist only where the extension does.
    if client.query_opt(sql, &[]).await.map_err(fail())?.is_none() {
        return Ok(None);
    }
    let row = client.query_one(TIMESCALE, &[]).await.map_err(fail())?;
    Ok(Some(TimescaleFacts {
        version: row.get(0),
        license: row.get::<_, Option<String>>(1).unwrap_or_default(),
        needs_community: row.get(2),
    }))
}

/// The first column of every row.
pub(super) async fn texts(client: &Client, sql: &str) -> Result<Vec<String>, StoreError> {
    let rows = client.query(sql, &[]).await;
    let rows = rows.map_err(StoreError::sql("ask what is in the database"))?;
    Ok(rows.iter().map(|row: &Row| row.get(0)).collect())
}
