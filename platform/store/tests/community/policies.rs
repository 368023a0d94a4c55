use crypto_intel_schemas::{Address, B256, Erc20Transfer, Event, Uint256};
use crypto_intel_service::now_us;
use crypto_intel_store::{
    Table,
    policies::{self, PolicyKind, StorageConfig},
};
use tokio_postgres::Client;

use crate::support::{database, rows, step, write};

const DAY_US: i64 = 86_400_000_000;

fn config() -> StorageConfig {
    let mut config = StorageConfig::default();
    config.retention_days.transfers = 90;
    config
}

fn transfer(days: i64) -> Event {
    Event::from(Erc20Transfer {
        chain: "test".into(),
        block_hash: B256::repeat_byte(days as u8),
        block_time_us: now_us() - days * DAY_US,
        address: Address::repeat_byte(9),
        value: Uint256::from(1),
        ..Erc20Transfer::empty()
    })
}

/// Keeps the server's scheduler from running jobs while a test does.
async fn pause_jobs(client: &Client) {
    rows(client, "SELECT alter_job(job_id, scheduled => false) FROM timescaledb_information.jobs WHERE job_id >= 1000").await;
}

/// Runs the job of a procedure for a table or rollup now.
async fn run_job(client: &Client, procedure: &str, object: &str) {
    let find = format!(
        "SELECT job_id FROM timescaledb_information.jobs \
         LEFT JOIN timescaledb_information.continuous_aggregates \
         ON jobs.hypertable_name IN (view_name, materialization_hypertable_name) \
         WHERE proc_name = '{procedure}' AND coalesce(view_name, jobs.hypertable_name) = '{object}'"
    );
    let jobs = rows(client, &find).await;
    assert_eq!(jobs.len(), 1, "{procedure} of {object}: {jobs:?}");
    client.batch_execute(&format!("CALL run_job({})", jobs[0])).await.unwrap();
}

#[tokio::test]
async fn every_policy_is_a_job_and_a_changed_one_is_recreated() {
    let (_database, store, client) = database().await;
    let applied = policies::apply(&store, &config(), false).await.unwrap();
    pause_jobs(&client).await;
    let of = |kind| applied.iter().filter(|change| change.kind == kind).count();
    let by_column = Table::ALL.into_iter().filter(|table| table.is_partitioned()).count();
    assert_eq!(of(PolicyKind::Refresh), crate::rollups::ROLLUPS.len());
    assert_eq!(of(PolicyKind::ColumnStore), by_column, "every table of events");
    let jobs = "SELECT count(*) FROM timescaledb_information.jobs WHERE proc_name LIKE 'policy%' AND job_id >= 1000";
    let by_server = applied.len() - of(PolicyKind::RetentionByPersist);
    assert_eq!(rows(&client, jobs).await, [by_server.to_string()]);
    assert!(
        policies::apply(&store, &config(), true).await.unwrap().is_empty(),
        "they are found again"
    );

    let mut changed = config();
    changed.compress_after_days = 14;
    changed.retention_days.transfers = 0;
    changed.retention_days.rollups = 400;
    let changes = policies::apply(&store, &changed, false).await.unwrap();
    assert!(!changes.is_empty());
    assert!(policies::apply(&store, &changed, true).await.unwrap().is_empty());
    let after = "SELECT DISTINCT config->>'compress_after' FROM timescaledb_information.jobs \
         WHERE proc_name = 'policy_compression'";
    assert_eq!(rows(&client, after).await, ["14 days"]);
}

#[tokio::test]
async fn old_rows_go_and_their_rollups_stay() {
    let (_database, store, client) = database().await;
    let events: Vec<Event> = [1, 30, 60, 100, 150].map(transfer).into();
    write(&store, step(0, 1), &events).await.unwrap();
    // Everything goes into the rollups before anything is dropped.
    for name in ["token_volume_hourly", "token_volume_daily"] {
        let sql = format!("CALL refresh_continuous_aggregate('{name}', NULL, NULL)");
        client.batch_execute(&sql).await.unwrap();
    }
    policies::apply(&store, &config(), false).await.unwrap();
    pause_jobs(&client).await;
    run_job(&client, "policy_retention", "token_transfers").await;
    assert_eq!(rows(&client, "SELECT count(*) FROM token_transfers").await, ["3"]);
    run_job(&client, "policy_refresh_continuous_aggregate", "token_volume_hourly").await;
    run_job(&client, "policy_refresh_continuous_aggregate", "token_volume_daily").await;
    assert_eq!(rows(&client, "SELECT sum(transfers) FROM token_volume_hourly").await, ["5"]);
    assert_eq!(rows(&client, "SELECT sum(transfers) FROM token_volume_daily").await, ["5"]);
}

#[tokio::test]
async fn old_chunks_are_compressed_by_their_policy() {
    let (_database, store, client) = database().await;
    write(&store, step(0, 1), &[transfer(1), transfer(30)]).await.unwrap();
    policies::apply(&store, &StorageConfig::default(), false).await.unwrap();
    pause_jobs(&client).await;
    run_job(&client, "policy_compression", "token_transfers").await;
    let kept = "SELECT is_compressed FROM timescaledb_information.chunks \
         WHERE hypertable_name = 'token_transfers' ORDER BY range_start";
    assert_eq!(rows(&client, kept).await, ["t", "f"]);
}

#[tokio::test]
async fn plain_tables_are_dropped_by_persist_here_too() {
    let (_database, store, _client) = database().await;
    let mut config = StorageConfig::default();
    config.retention_days.alerts = 30;
    policies::apply(&store, &config, false).await.unwrap();
    assert_eq!(policies::expiring_tables(&store).await.unwrap(), ["alerts", "deliveries"]);
}
