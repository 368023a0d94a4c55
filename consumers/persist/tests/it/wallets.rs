use crypto_intel_nats::{Bucket, Kv};
use crypto_intel_schemas::{Address, WatchChain, WatchEntry, Watched};
use crypto_intel_testkit::eventually;

use crate::{
    chain::{Chain, time},
    rig::{PATIENCE, Rig},
};

/// The sender of every ERC-20 transfer of a test chain.
const SENDER: Address = Address::repeat_byte(2);

async fn watch(bucket: &Kv, chain: &WatchChain, address: Address) {
    let entry = WatchEntry { label: Some("treasury".into()), ..WatchEntry::default() };
    let value = serde_json::to_vec(&entry).unwrap();
    bucket.put(&Watched::key(chain, &address), value).await.unwrap();
}

/// First and last sight of the sender as numbers of blocks, once they are sure; `None` where it was never seen.
async fn sights(rig: &Rig, chain: &str) -> Option<(i64, i64)> {
    let sql = format!(
        "SELECT (extract(epoch FROM first_seen) * 1000000)::bigint, \
         (extract(epoch FROM last_seen) * 1000000)::bigint FROM wallets \
         WHERE chain = '{chain}' AND address = '\\x{SENDER:x}' AND unsure_since IS NULL"
    );
    let rows =
        eventually(PATIENCE, async || Some(rig.query(&sql).await).filter(|rows| !rows.is_empty()))
            .await;
    let number =
        |column| rows[0].get::<_, Option<i64>>(column).map(|at| (at - time(0)) / 2_000_000);
    number(0).zip(number(1))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn wallets_follow_the_watch_list_and_the_chain() {
    let rig = Rig::start().await;
    let bucket = rig.nats.kv(Bucket::Watchlist).await.unwrap();
    let base = WatchChain::One("base".to_owned());
    watch(&bucket, &base, SENDER).await;
    let persist = rig.persist("one").await;
    assert_eq!(sights(&rig, "base").await, None);

    let mut chain = Chain::new("base");
    chain.play(&rig.nats, 2, 3).await;
    chain.watched = vec!["treasury".into()];
    chain.play(&rig.nats, 3, 3).await;
    rig.settled("EVM").await;
    assert_eq!(sights(&rig, "base").await, Some((3, 5)), "sight moves with the rows");

    // Who comes later is looked up in the tables, where older rows name it, too.
    watch(&bucket, &WatchChain::All, SENDER).await;
    assert_eq!(sights(&rig, "all").await, Some((1, 5)));

    // The last two blocks leave, and in those that come nobody is watched and nothing moves.
    chain.watched.clear();
    for batch in chain.reorganise(2, 0) {
        chain.publish(&rig.nats, &batch).await;
    }
    rig.settled("EVM").await;
    // Looking through the tables finds the first rows, too, which came without labels.
    assert_eq!(sights(&rig, "base").await, Some((1, 3)));
    assert_eq!(sights(&rig, "all").await, Some((1, 3)));

    bucket.delete(&Watched::key(&base, &SENDER)).await.unwrap();
    bucket.put("base.nonsense", "{}").await.unwrap();
    let removed = "SELECT chain FROM wallets WHERE removed_at IS NOT NULL";
    eventually(PATIENCE, async || {
        let rows = rig.query(removed).await;
        rows.iter().map(|row| row.get::<_, String>(0)).collect::<Vec<_>>() == ["base"]
    })
    .await;
    assert!(persist.is_ready());
    persist.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_left_the_watch_list_while_nobody_looked_is_found_at_start() {
    let rig = Rig::start().await;
    let bucket = rig.nats.kv(Bucket::Watchlist).await.unwrap();
    watch(&bucket, &WatchChain::All, SENDER).await;
    let persist = rig.persist("one").await;
    assert_eq!(sights(&rig, "all").await, None);
    persist.stop().await;
    bucket.delete(&Watched::key(&WatchChain::All, &SENDER)).await.unwrap();
    let persist = rig.persist("two").await;
    let removed = "SELECT count(*) FROM wallets WHERE removed_at IS NOT NULL";
    eventually(PATIENCE, async || rig.number(removed).await == 1).await;
    watch(&bucket, &WatchChain::All, SENDER).await;
    eventually(PATIENCE, async || rig.number(removed).await == 0).await;
    persist.stop().await;
}
