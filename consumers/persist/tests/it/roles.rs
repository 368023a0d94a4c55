use crypto_intel_nats::{Bucket, OutMessage, list_dead_letters};
use crypto_intel_schemas::{
    Address, Event, Kind, WatchChain, WatchEntry, Watched, samples, subjects,
};
use crypto_intel_store::policies::{self, StorageConfig};
use crypto_intel_testkit::eventually;

use crate::{chain::Chain, harness::Servers};

/// Everything that persist does to the database, as a user with only the privileges of the writer's role.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_member_of_the_writers_role_has_all_that_persist_needs() {
    let servers = Servers::start().await;
    // Rows for it to drop: in a plain table on every server, and old enough.
    let mut config = StorageConfig::default();
    config.retention_days.blocks = 3_650;
    policies::apply(&servers.store().await, &config, false).await.unwrap();
    servers.query(
        "INSERT INTO blocks SELECT now() - interval '11 years', now(), now(), 1, 1, 1, 1, 1, 1, 1, 1, false, false, \
         'old', '\\x01', '\\x01', 1, 1 RETURNING 1",
    )
    .await;
    let user = servers.database.user_in("crypto_intel_writer").await.unwrap();
    let persist = servers.persist_as("writer", user.url()).await;

    let bucket = servers.nats.kv(Bucket::Watchlist).await.unwrap();
    let key = Watched::key(&WatchChain::All, &Address::repeat_byte(2).into());
    bucket.put(&key, serde_json::to_vec(&WatchEntry::default()).unwrap()).await.unwrap();
    let mut chain = Chain::new("base");
    chain.watched = vec!["treasury".into()];
    chain.play(&servers.nats, 5, 6).await;
    // Deletes rows and updates blocks.
    for batch in chain.reorganise(2, 4) {
        chain.publish(&servers.nats, &batch).await;
    }
    // One event of each kind, for a table of each kind.
    for kind in Kind::ALL {
        let event = samples::sample(*kind);
        let is_stored_by_persist = !matches!(event, Event::Tick(_) | Event::Notification(_));
        if is_stored_by_persist {
            let message = OutMessage::new(subjects::of(&event), event.encode());
            servers.nats.publish(message).await.unwrap();
        }
    }
    for stream in ["EVM", "MARKET", "SIGNALS", "STATUS", "ALERT", "NOTIFY", "AUDIT"] {
        servers.settled(stream).await;
    }
    eventually(async || servers.number("SELECT count(*) FROM wallets").await == 1).await;
    for (table, rows) in servers.store().await.table_counts().await.unwrap() {
        assert!(rows > 0, "{table} is empty");
    }
    let old = "SELECT count(*) FROM blocks WHERE chain = 'old'";
    eventually(async || servers.number(old).await == 0).await;
    // Known rows go through staging tables.
    servers
        .query("UPDATE positions SET sequence = 0, stored_at_us = 0, revision = 0 RETURNING 1")
        .await;
    chain.play(&servers.nats, 1, 4).await;
    servers.settled("EVM").await;
    assert!(persist.metric("crypto_intel_persist_merged_batches_total", &[]) > 0.0);
    assert_eq!(list_dead_letters(&servers.nats, None, 10).await.unwrap().len(), 0);
    eventually(async || persist.is_ready()).await;
    persist.stop().await;
}
