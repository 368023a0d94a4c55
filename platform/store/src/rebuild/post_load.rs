//! What loaded tables need before they are read: statistics and aggregates.

use super::inventory::{Kind, continuous_aggregates, inventories};
use crate::{error::StoreError, policies::rollups::rollup_width_seconds, pool::store::Store};

/// The call that computes an aggregate up to the current bucket. Buckets are whole parts of a day, in UTC.
const REFRESH: &str = "SELECT format('CALL %s.refresh_continuous_aggregate(%L, NULL, %L::timestamptz)', \
    extnamespace::regnamespace, format('%I.%I', $1::text, $2::text), \
    to_timestamp(floor(extract(epoch FROM now()) / $3::bigint) * $3::bigint)) \
    FROM pg_extension WHERE extname = 'timescaledb'";

/// Gathers the planner's statistics of every table in this connection's schema.
///
/// # Errors
/// When a statement fails.
pub async fn analyze(store: &Store) -> Result<(), StoreError> {
    let Some(schema) = store.schema() else { return Ok(()) };
    let (set, _) = inventories(store, schema.as_str(), schema.as_str()).await?;
    let client = store.client().await?;
    for table in set.of_kind(Kind::Table) {
        // Sent together they would be one transaction, which would hold all locks to its end.
        let analyze = format!("ANALYZE {}", set.qualified(table));
        for sql in ["SET statement_timeout = 0", &analyze, "RESET statement_timeout"] {
            client.batch_execute(sql).await.map_err(StoreError::sql("analyze the tables"))?;
        }
    }
    Ok(())
}

/// Computes the continuous aggregates of this connection's schema from their first row up to the current bucket: their
/// policies refresh the last days only, so everything older would be missing. The current bucket is left out, because once
/// stored it would not change until its policy passes its end. Returns their names.
///
/// # Errors
/// When a statement fails, or when a live aggregate reaches back beyond the rows that it was computed from: that part cannot
/// be computed again.
pub async fn refresh_aggregates(store: &Store, live: &str) -> Result<Vec<String>, StoreError> {
    let Some(schema) = store.schema() else { return Ok(Vec::new()) };
    let edition = store.edition().await?;
    let client = store.client().await?;
    let names = continuous_aggregates(&client, &edition, schema.as_str()).await?;
    let of_live = continuous_aggregates(&client, &edition, live).await?;
    for name in &names {
        // For an unknown one the last two days are left out.
        let width = rollup_width_seconds(name).unwrap_or(2 * 86_400);
        let row = client.query_one(REFRESH, &[&schema.as_str(), name, &width]).await;
        let refresh: String = row.map_err(StoreError::sql("prepare a refresh"))?.get(0);
        for sql in ["SET statement_timeout = 0", &refresh, "RESET statement_timeout"] {
            client.batch_execute(sql).await.map_err(StoreError::sql(format!("compute {name}")))?;
        }
        if of_live.contains(name) {
            refuse_older(&client, schema.as_str(), live, name).await?;
        }
    }
    Ok(names)
}

async fn refuse_older(
    client: &deadpool_postgres::Object,
    new: &str,
    live: &str,
    name: &str,
) -> Result<(), StoreError> {
    let column = "SELECT quote_ident(attname) FROM pg_attribute WHERE attrelid = format('%s.%I', $1::text, $2::text)::regclass \
                  AND attnum > 0 AND atttypid = 'timestamptz'::regtype ORDER BY attnum LIMIT 1";
    let row = client.query_opt(column, &[&new, &name]).await;
    let Some(row) = row.map_err(StoreError::sql("look for the bucket"))? else { return Ok(()) };
    let bucket: String = row.get(0);
    let sql = format!(
        "SELECT (SELECT min({bucket}) FROM {live}.{name}) < (SELECT min({bucket}) FROM {new}.{name})"
    );
    let row = client.query_one(&sql, &[]).await;
    let is_older: Option<bool> = row.map_err(StoreError::sql("compare buckets"))?.get(0);
    if is_older == Some(true) {
        let reason = format!(
            "{live}.{name} reaches back beyond the rows that it was made of, which are no longer there: the exchange would \
             lose that part. Copy it to a table of your own, then drop the aggregate"
        );
        return Err(StoreError::Refusal { reason });
    }
    Ok(())
}
