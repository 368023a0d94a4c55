use crypto_intel_store::{
    Edition,
    policies::{self, StorageConfig},
};
use crypto_intel_testkit::eventually;

use crate::{chain::Chain, harness::Servers};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn only_rows_older_than_configured_are_dropped() {
    let servers = Servers::start().await;
    let mut chain = Chain::new("base");
    chain.play(&servers.nats, 3, 5).await;
    let first = servers.persist("one").await;
    servers.settled("EVM").await;
    servers.assert_stored(&[&chain]).await;
    first.stop().await;
    // The blocks of these tests are of 2023.
    let mut config = StorageConfig::default();
    config.retention_days.events = 30;
    policies::apply(&servers.store().await, &config, false).await.unwrap();
    let second = servers.persist("two").await;
    // The community edition drops rows by its own jobs: run them now.
    if matches!(servers.store().await.edition().await.unwrap(), Edition::TimescaleCommunity(_)) {
        let jobs =
            "SELECT job_id FROM timescaledb_information.jobs WHERE proc_name = 'policy_retention'";
        for job in servers.query(jobs).await {
            let run = format!("CALL run_job({})", job.get::<_, i32>(0));
            // The scheduler may be running the same job.
            eventually(async || servers.sql().await.batch_execute(&run).await).await;
        }
    }
    eventually(async || servers.number("SELECT count(*) FROM logs").await == 0).await;
    assert_eq!(servers.stored_transfers().await.len(), 15, "another group's rows stay");
    assert_eq!(servers.number("SELECT count(*) FROM blocks").await, 3);
    second.stop().await;
}
