//! Objects of users that depend on the live tables: a swap would leave them behind or break them.

use tokio_postgres::types::ToSql;

use super::{
    inventory::{Inventory, inventories},
    location::LiveSchema,
    retired::{RETIRED, RETIRED_COLUMNS},
};
use crate::{
    error::StoreError,
    pool::{edition::Edition, schema_name::SchemaName, store::Store},
};

/// Objects outside of a set that depend on it: `$1` relations of the live set, `$2` routines of the live set, `$3`
/// schema of the live set, `$4` schema of the new one, `$5` retired names, `$6` retired columns. Each row is a reason.
const DEPENDENTS: &str = "
WITH live AS (SELECT oid, relname, reltype FROM pg_class WHERE oid = ANY ($1::oid[])),
ours AS (SELECT unnest($1::oid[]) AS oid UNION ALL SELECT unnest($2::oid[])),
new AS (SELECT oid, relname FROM pg_class WHERE relnamespace = to_regnamespace($4::text))
SELECT format('view %s reads %s: drop it, and create it again after the exchange', view.oid::regclass, live.relname)
FROM pg_depend JOIN pg_rewrite ON pg_rewrite.oid = objid JOIN pg_class AS view ON view.oid = ev_class
JOIN live ON live.oid = refobjid
WHERE classid = 'pg_rewrite'::regclass AND refclassid = 'pg_class'::regclass
  AND view.oid NOT IN (SELECT oid FROM ours) AND view.relnamespace::regnamespace::text NOT LIKE '\\_timescaledb%'
UNION
SELECT format('function %s is made of %s: drop it, and create it again after the exchange', objid::regprocedure, live.relname)
FROM pg_depend JOIN live ON refclassid = 'pg_class'::regclass AND refobjid = live.oid
  OR refclassid = 'pg_type'::regclass AND refobjid IN (live.reltype, (SELECT typarray FROM pg_type WHERE oid = live.reltype))
WHERE classid = 'pg_proc'::regclass AND objid NOT IN (SELECT oid FROM ours)
UNION
SELECT format('foreign key %s of %s points to %s: drop it, and create it again after the exchange',
              conname, conrelid::regclass, live.relname)
FROM pg_constraint JOIN live ON live.oid = confrelid
WHERE contype = 'f' AND conrelid NOT IN (SELECT oid FROM ours)
UNION
SELECT format('index %s of %s is not one of ours: drop it, or create it on the new table: %s', index.relname, live.relname,
              replace(pg_get_indexdef(index.oid), ' ON ' || $3::text || '.', ' ON ' || $4::text || '.'))
FROM pg_index JOIN live ON live.oid = indrelid JOIN pg_class AS index ON index.oid = indexrelid
WHERE index.relname NOT IN (SELECT relname FROM new) AND index.relname <> ALL ($5::text[])
UNION
SELECT format('trigger %s of %s is not one of ours: drop it, or create it on the new table', tgname, live.relname)
FROM pg_trigger JOIN live ON live.oid = tgrelid
WHERE NOT tgisinternal AND tgname NOT LIKE 'ts\\_%' AND tgname <> ALL ($5::text[]) AND NOT EXISTS (
  SELECT FROM pg_trigger AS twin JOIN new ON new.oid = twin.tgrelid
  WHERE new.relname = live.relname AND twin.tgname = pg_trigger.tgname)
UNION
SELECT format('policy %s of %s is not one of ours: drop it, or create it on the new table', polname, live.relname)
FROM pg_policy JOIN live ON live.oid = polrelid
WHERE NOT EXISTS (SELECT FROM pg_policy AS twin JOIN new ON new.oid = twin.polrelid
  WHERE new.relname = live.relname AND twin.polname = pg_policy.polname)
UNION
SELECT format('publication %s names %s: remove it there, and add it again after the exchange', pubname, live.relname)
FROM pg_publication_rel JOIN pg_publication ON pg_publication.oid = prpubid JOIN live ON live.oid = prrelid
UNION
SELECT format('column %s.%s is not one of ours, and the new table lacks it: drop it, or add it there', live.relname, attname)
FROM pg_attribute JOIN live ON live.oid = attrelid JOIN new ON new.relname = live.relname
WHERE attnum > 0 AND NOT attisdropped AND live.relname || '.' || attname <> ALL ($6::text[]) AND NOT EXISTS (
  SELECT FROM pg_attribute AS twin
  WHERE twin.attrelid = new.oid AND twin.attname = pg_attribute.attname AND twin.attnum > 0 AND NOT twin.attisdropped)
UNION
SELECT format('table %s is of an older version: run `crypto-intel migrate` first', relname)
FROM live JOIN pg_class USING (oid, relname)
WHERE relkind IN ('r', 'p') AND relname NOT IN (SELECT relname FROM new)
UNION
SELECT format('type %s cannot be exchanged', pg_type.oid::regtype)
FROM pg_type LEFT JOIN pg_class ON pg_class.oid = typrelid
WHERE typnamespace = to_regnamespace($4::text) AND (typtype IN ('e', 'd', 'r') OR typtype = 'c' AND relkind = 'c')
ORDER BY 1";

/// TimescaleDB's own objects that users created for our tables: `$1` live schema, as SQL writes it, `$2` names of the live
/// set's relations, `$3` new schema.
const TIMESCALE_DEPENDENTS: &str = "
SELECT format('continuous aggregate %I.%I is made of %s: drop it, and create it again after the exchange',
              view_schema, view_name, hypertable_name)
FROM timescaledb_information.continuous_aggregates
WHERE quote_ident(hypertable_schema) = $1 AND hypertable_name = ANY ($2)
  AND NOT (quote_ident(view_schema) = $1 AND view_name = ANY ($2))
UNION
SELECT format('policy %s of %s is not on the new table: add it there, or remove it', proc_name, hypertable_name)
FROM timescaledb_information.jobs AS job
WHERE quote_ident(hypertable_schema) = $1 AND hypertable_name = ANY ($2) AND NOT EXISTS (
  SELECT FROM timescaledb_information.jobs AS twin
  WHERE quote_ident(twin.hypertable_schema) = $3 AND twin.hypertable_name = job.hypertable_name
    AND twin.proc_name = job.proc_name)
ORDER BY 1";

/// What prevents a swap of the live tables with those of a schema: one sentence each, which says what to do.
///
/// # Errors
/// When the database does not answer.
pub async fn swap_obstacles(store: &Store, new: &SchemaName) -> Result<Vec<String>, StoreError> {
    let location = LiveSchema::find(store).await?;
    let before = new.before();
    let mut reasons = Vec::new();
    if schema_exists(store, &before).await? {
        reasons.push(format!(
            "schema {before} holds the tables of an earlier exchange: when they are no longer needed, \
             DROP SCHEMA {before} CASCADE"
        ));
    }
    if location.owner != location.user {
        reasons.push(format!(
            "the live tables belong to {}, and this is {}: connect as their owner",
            location.owner, location.user
        ));
    }
    let (new, live) = inventories(store, new.as_str(), &location.schema).await?;
    reasons.extend(dependents(store, &new, &live).await?);
    Ok(reasons)
}

async fn schema_exists(store: &Store, schema: &str) -> Result<bool, StoreError> {
    let client = store.client().await?;
    let found = client.query_one("SELECT to_regnamespace($1) IS NOT NULL", &[&schema]).await;
    Ok(found.map_err(StoreError::sql("look for the schema"))?.get(0))
}

async fn dependents(
    store: &Store,
    new: &Inventory,
    live: &Inventory,
) -> Result<Vec<String>, StoreError> {
    let is_timescale = store.edition().await? != Edition::Plain;
    let client = store.client().await?;
    let (relations, routines) = (live.relations(), live.routines());
    let parameters: [&(dyn ToSql + Sync); 6] =
        [&relations, &routines, &live.schema, &new.schema, &RETIRED, &RETIRED_COLUMNS];
    let rows = client
        .query(DEPENDENTS, &parameters)
        .await
        .map_err(StoreError::sql("look for what depends on the tables"))?;
    let mut reasons: Vec<String> = rows.iter().map(|row| row.get(0)).collect();
    if is_timescale {
        let names: Vec<&str> = live.objects.iter().map(|object| &*object.name).collect();
        let rows = client
            .query(TIMESCALE_DEPENDENTS, &[&live.schema, &names, &new.schema])
            .await
            .map_err(StoreError::sql("look for aggregates and policies"))?;
        reasons.extend(rows.iter().map(|row| row.get::<_, String>(0)));
    }
    Ok(reasons)
}
