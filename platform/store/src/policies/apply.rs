use deadpool_postgres::Transaction;
use tokio_postgres::Row;

use super::{
    config::StorageConfig,
    plan::{Interval, Policies, PolicyChange, PolicyKind, Setting, changes, wanted},
};
use crate::{
    error::StoreError,
    pool::{advisory_locks::MIGRATION_LOCK, edition::Edition, extension, store::Store},
    tables::Table,
};

/// TimescaleDB's policies for tables and rollups of the current schema. A job of a rollup names its view or, in older versions,
/// the table behind it.
const IN_FORCE: &str = "SELECT proc_name::text, coalesce(view_name, jobs.hypertable_name)::text, \
     extract(epoch FROM (config->>'drop_after')::interval)::bigint, \
     extract(epoch FROM (config->>'compress_after')::interval)::bigint, \
     extract(epoch FROM (config->>'start_offset')::interval)::bigint, \
     extract(epoch FROM (config->>'end_offset')::interval)::bigint, \
     extract(epoch FROM schedule_interval)::bigint \
     FROM timescaledb_information.jobs LEFT JOIN timescaledb_information.continuous_aggregates \
     ON (jobs.hypertable_schema, jobs.hypertable_name) IN ((view_schema, view_name), \
     (materialization_hypertable_schema, materialization_hypertable_name)) \
     WHERE coalesce(view_schema, jobs.hypertable_schema) = current_schema()";

/// Sets the policies that the configuration wants; returns what was or, with `dry_run`, would be changed.
///
/// # Errors
/// When the database does not answer, or this user does not own the tables. Then nothing has changed.
pub async fn apply(
    store: &Store,
    config: &StorageConfig,
    dry_run: bool,
) -> Result<Vec<PolicyChange>, StoreError> {
    let edition = store.edition().await?;
    let mut client = store.client().await?;
    let transaction = client.transaction().await.map_err(StoreError::sql("begin"))?;
    transaction
        .execute("SELECT pg_advisory_xact_lock($1)", &[&MIGRATION_LOCK])
        .await
        .map_err(StoreError::sql("wait for another migration"))?;
    transaction
        .batch_execute(&extension::add_to_path(true))
        .await
        .map_err(StoreError::sql("find the extension's functions"))?;
    let in_force = in_force(&transaction, &edition).await?;
    let changes = changes(&in_force, &wanted(config, &edition));
    if !dry_run {
        for change in &changes {
            execute(&transaction, change).await?;
        }
        transaction.commit().await.map_err(StoreError::sql("commit"))?;
    }
    Ok(changes)
}

async fn in_force(
    transaction: &Transaction<'_>,
    edition: &Edition,
) -> Result<Policies, StoreError> {
    let fail = || StoreError::sql("read the policies in force");
    let mut policies = Policies::new();
    let is_there = transaction
        .query_one("SELECT to_regclass('storage_retention') IS NOT NULL", &[])
        .await
        .map_err(fail())?;
    if is_there.get(0) {
        let rows = transaction
            .query(
                "SELECT relname::text, extract(epoch FROM keep)::bigint \
                 FROM storage_retention JOIN pg_class ON pg_class.oid = target",
                &[],
            )
            .await
            .map_err(fail())?;
        policies.extend(
            rows.iter().map(|row| {
                ((PolicyKind::RetentionByPersist, row.get(0)), Setting::After(row.get(1)))
            }),
        );
    }
    // The Apache edition has none.
    if *edition != Edition::Plain {
        let rows = transaction.query(IN_FORCE, &[]).await.map_err(fail())?;
        policies.extend(rows.iter().filter_map(read_job));
    }
    Ok(policies)
}

fn read_job(row: &Row) -> Option<((PolicyKind, String), Setting)> {
    let (kind, setting) = match row.get(0) {
        "policy_retention" => (PolicyKind::Retention, Setting::After(row.get::<_, Option<_>>(2)?)),
        "policy_compression" => {
            (PolicyKind::ColumnStore, Setting::After(row.get::<_, Option<_>>(3)?))
        }
        "policy_refresh_continuous_aggregate" => {
            let setting = Setting::Refresh {
                start: row.get(4),
                end: row.get::<_, Option<_>>(5).unwrap_or(0),
                every: row.get(6),
            };
            (PolicyKind::Refresh, setting)
        }
        // A job of another sort.
        _ => return None,
    };
    Some(((kind, row.get::<_, Option<String>>(1)?), setting))
}

async fn execute(transaction: &Transaction<'_>, change: &PolicyChange) -> Result<(), StoreError> {
    let fail = |cause| StoreError::Sql { doing: format!("change the {change}"), cause };
    for statement in statements(change) {
        transaction.batch_execute(&statement).await.map_err(fail)?;
    }
    Ok(())
}

/// The statements of a change. Names are those of our own tables and rollups and need no quoting. Adding a policy that exists
/// would not change its arguments, so it is removed first.
fn statements(change: &PolicyChange) -> Vec<String> {
    let object = &change.object;
    let (remove, add) = match change.kind {
        PolicyKind::Retention => (
            format!("SELECT remove_retention_policy('{object}', if_exists => true)"),
            change.to.map(|to| {
                let after = age(to);
                format!("SELECT add_retention_policy('{object}', drop_after => INTERVAL '{after}')")
            }),
        ),
        PolicyKind::ColumnStore => (
            format!("CALL remove_columnstore_policy('{object}', if_exists => true)"),
            change.to.map(|to| {
                let after = age(to);
                format!("CALL add_columnstore_policy('{object}', after => INTERVAL '{after}')")
            }),
        ),
        PolicyKind::Refresh => (
            format!("SELECT remove_continuous_aggregate_policy('{object}', if_exists => true)"),
            change.to.map(|to| add_refresh(object, to)),
        ),
        PolicyKind::RetentionByPersist => (
            format!("DELETE FROM storage_retention WHERE target = '{object}'::regclass"),
            change.to.map(|to| {
                let (after, column) = (age(to), time_column(object));
                format!(
                    "INSERT INTO storage_retention (target, time_column, keep) \
                     VALUES ('{object}'::regclass, '{column}', INTERVAL '{after}')"
                )
            }),
        ),
    };
    let remove = change.from.map(|_| remove);
    remove.into_iter().chain(add).collect()
}

fn add_refresh(object: &str, to: Setting) -> String {
    let (start, end, every) = match to {
        Setting::Refresh { start, end, every } => (start, end, every),
        Setting::After(age) => (Some(age), 0, age),
    };
    let start = match start {
        Some(start) => format!("INTERVAL '{}'", Interval(start)),
        None => "NULL".to_owned(),
    };
    format!(
        "SELECT add_continuous_aggregate_policy('{object}', start_offset => {start}, \
         end_offset => INTERVAL '{}', schedule_interval => INTERVAL '{}')",
        Interval(end),
        Interval(every)
    )
}

fn age(setting: Setting) -> Interval {
    match setting {
        Setting::After(age) => Interval(age),
        Setting::Refresh { end, .. } => Interval(end),
    }
}

/// The column that says how old a row of a table is.
fn time_column(object: &str) -> &'static str {
    let table = Table::ALL.into_iter().find(|table| table.name() == object);
    table.map_or("block_time", Table::time_column)
}

/// All statements that set policies of the community edition, so that a test can check their syntax on servers without it.
#[doc(hidden)]
#[must_use]
pub fn community_statements(config: &StorageConfig) -> Vec<String> {
    let wanted = wanted(config, &Edition::TimescaleCommunity(String::new()));
    let again = changes(&Policies::new(), &wanted).into_iter().map(|change| {
        // As if another setting were in force.
        PolicyChange { from: change.to, ..change }
    });
    again
        .filter(|change| change.kind != PolicyKind::RetentionByPersist)
        .flat_map(|change| statements(&change))
        .collect()
}
