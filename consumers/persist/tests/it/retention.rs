use crypto_intel_store::{
    Edition,
    policies::{self, StorageConfig},
};
use crypto_intel_testkit::eventually;

use crate::{
    chain::Chain,
    rig::{PATIENCE, Rig},
};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_older_than_configured_goes_and_nothing_else() {
    let rig = Rig::start().await;
    let mut chain = Chain::new("base");
    chain.play(&rig.nats, 3, 5).await;
    let first = rig.persist("one").await;
    rig.settled("EVM").await;
    rig.assert_stored(&[&chain]).await;
    first.stop().await;
    // The blocks of these tests are of 2023.
    let mut config = StorageConfig::default();
    config.retention_days.events = 30;
    policies::apply(&rig.store().await, &config, false).await.unwrap();
    let second = rig.persist("two").await;
    // The community edition drops by jobs of its own: now, not when their time comes.
    if matches!(rig.store().await.edition().await.unwrap(), Edition::TimescaleCommunity(_)) {
        let jobs =
            "SELECT job_id FROM timescaledb_information.jobs WHERE proc_name = 'policy_retention'";
        for job in rig.query(jobs).await {
            let run = format!("CALL run_job({})", job.get::<_, i32>(0));
            // The scheduler may be at the same job.
            eventually(PATIENCE, async || rig.sql().await.batch_execute(&run).await).await;
        }
    }
    eventually(PATIENCE, async || rig.number("SELECT count(*) FROM logs").await == 0).await;
    assert_eq!(rig.stored_transfers().await.len(), 15, "another group's rows stay");
    assert_eq!(rig.number("SELECT count(*) FROM blocks").await, 3);
    second.stop().await;
}
