use crypto_intel_nats::{Bucket, Kv, OutMessage};
use crypto_intel_schemas::{Address, WatchChain, WatchEntry, Watched};
use crypto_intel_testkit::eventually;

use crate::{chain::Chain, harness::Servers};

/// The sender of every ERC-20 transfer of a test chain.
const SENDER: Address = Address::repeat_byte(2);

async fn watch(bucket: &Kv, chain: &WatchChain, address: Address) {
    let entry = WatchEntry { label: Some("treasury".into()), ..WatchEntry::default() };
    let value = serde_json::to_vec(&entry).unwrap();
    bucket.put(&Watched::key(chain, &address.into()), value).await.unwrap();
}

/// Names on the list, as the table has them.
async fn listed(servers: &Servers) -> Vec<String> {
    let sql = "SELECT chain || ' ' || label FROM wallets WHERE removed_at IS NULL ORDER BY 1";
    servers.query(sql).await.iter().map(|row| row.get(0)).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn wallets_follow_the_watch_list_and_are_seen_by_their_rows() {
    let servers = Servers::start().await;
    let bucket = servers.nats.kv(Bucket::Watchlist).await.unwrap();
    let base = WatchChain::One("base".to_owned());
    watch(&bucket, &base, SENDER).await;
    let persist = servers.persist("one").await;
    eventually(async || listed(&servers).await == ["base treasury"]).await;
    watch(&bucket, &WatchChain::All, SENDER).await;
    eventually(async || listed(&servers).await.len() == 2).await;

    let mut chain = Chain::new("base");
    chain.watched = vec!["treasury".into()];
    chain.play(&servers.nats, 3, 3).await;
    servers.settled("EVM").await;
    let seen = "SELECT count(*) FROM wallets_seen('2023-11-14', '2023-11-16') \
                WHERE first_seen IS NOT NULL";
    assert_eq!(servers.number(seen).await, 2);
    // All blocks leave, and in those that come nothing moves.
    for batch in chain.reorganise(3, 0) {
        chain.publish(&servers.nats, &batch).await;
    }
    servers.settled("EVM").await;
    assert_eq!(servers.number(seen).await, 0);

    bucket.delete(&Watched::key(&base, &SENDER.into())).await.unwrap();
    bucket.put("base.nonsense", "{}").await.unwrap();
    let removed = "SELECT chain FROM wallets WHERE removed_at IS NOT NULL";
    eventually(async || {
        let rows = servers.query(removed).await;
        rows.iter().map(|row| row.get::<_, String>(0)).collect::<Vec<_>>() == ["base"]
    })
    .await;
    assert!(persist.is_ready());
    persist.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_left_the_watch_list_while_nobody_looked_is_found_at_start() {
    let servers = Servers::start().await;
    let bucket = servers.nats.kv(Bucket::Watchlist).await.unwrap();
    watch(&bucket, &WatchChain::All, SENDER).await;
    let persist = servers.persist("one").await;
    eventually(async || listed(&servers).await == ["all treasury"]).await;
    persist.stop().await;
    bucket.delete(&Watched::key(&WatchChain::All, &SENDER.into())).await.unwrap();
    let persist = servers.persist("two").await;
    let removed = "SELECT count(*) FROM wallets WHERE removed_at IS NOT NULL";
    eventually(async || servers.number(removed).await == 1).await;
    watch(&bucket, &WatchChain::All, SENDER).await;
    eventually(async || servers.number(removed).await == 0).await;
    persist.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn many_addresses_are_stored_as_fast_as_they_come_and_stopping_does_not_wait() {
    let servers = Servers::start().await;
    let bucket = servers.nats.kv(Bucket::Watchlist).await.unwrap();
    let persist = servers.persist("one").await;
    eventually(async || persist.is_ready()).await;
    // The table is locked: changes wait, and the probe says so.
    let blocker = servers.sql().await;
    blocker.batch_execute("BEGIN; LOCK TABLE wallets IN SHARE MODE").await.unwrap();
    let value = serde_json::to_vec(&WatchEntry::default()).unwrap();
    let mut window = servers.nats.window(500);
    for number in 0..3_000_u16 {
        let mut address = Address::ZERO;
        address[..2].copy_from_slice(&number.to_be_bytes());
        let subject = format!("$KV.watchlist.{}", Watched::key(&WatchChain::All, &address.into()));
        window.push(OutMessage::new(subject, value.clone())).await.unwrap();
    }
    window.flush().await.unwrap();
    blocker.batch_execute("COMMIT").await.unwrap();
    eventually(async || listed_count(&servers).await == 3_000).await;
    let told = |text: &str| {
        let report = persist.context.health.report();
        report.probes.iter().any(|probe| probe.detail.contains(text))
    };
    eventually(async || told("3000 addresses are watched")).await;
    // A table that stays locked does not hold up the end.
    blocker.batch_execute("BEGIN; LOCK TABLE wallets IN SHARE MODE").await.unwrap();
    watch(&bucket, &WatchChain::All, SENDER).await;
    persist.stop().await;
}

async fn listed_count(servers: &Servers) -> i64 {
    servers.number("SELECT count(*) FROM wallets WHERE removed_at IS NULL").await
}
