//! The history lane through the real binary: a long gap with kills, backfill, audit.

use std::{collections::BTreeSet, sync::Arc, time::Duration};

use crypto_intel_sandbox::{
    Chain, NodeOptions, ScriptedNode,
    node::{Synthetic, SyntheticOptions},
};
use crypto_intel_testkit::{assert_same_set, eventually, sql_client};
use serde_json::Value;

use crate::servers::{LogKey, Servers, erc20_keys};

const BEHIND: usize = 20_000;
const KILLS: u64 = 2;

fn generator(transfers_per_block: usize) -> Synthetic {
    Synthetic::new(SyntheticOptions { transfers_per_block, ..SyntheticOptions::default() })
}

/// Every ERC-20 transfer of the node's blocks, read from their JSON only.
fn transfers(chain: &Chain, wanted: impl Fn(u64) -> bool) -> BTreeSet<LogKey> {
    let blocks = chain.blocks();
    let logs = blocks.iter().filter(|block| wanted(block.number)).flat_map(|block| {
        block.logs().map(|log| serde_json::from_str(log).unwrap()).collect::<Vec<Value>>()
    });
    erc20_keys(&logs.collect::<Vec<_>>()).into_iter().collect()
}

async fn push_every(
    chain: Chain,
    mut blocks: Synthetic,
    pause: Duration,
    stop: Arc<tokio::sync::Notify>,
) {
    let mut ticks = tokio::time::interval(pause);
    loop {
        tokio::select! {
            () = stop.notified() => return,
            _ = ticks.tick() => chain.push_block(blocks.next_block()).unwrap(),
        }
    }
}

async fn number(servers: &Servers, sql: &str) -> i64 {
    let client = sql_client(&servers.database_url).await;
    client.query_one(sql, &[]).await.unwrap().get(0)
}

async fn until_stored(servers: &Servers, expected: &BTreeSet<LogKey>) {
    eventually(async || {
        let stored = servers.try_stored_transfers().await.map_or(0, |rows| rows.len());
        stored >= expected.len()
    })
    .await;
    assert_same_set(expected.iter().copied(), servers.stored_transfers().await);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_day_of_blocks_is_filled_beside_live_ones_despite_kills() {
    let node = ScriptedNode::start(NodeOptions::default()).await.unwrap();
    node.chain().follow_finality(4, 8);
    let mut blocks = generator(1);
    for _ in 0..BEHIND {
        node.push_block(blocks.next_block()).unwrap();
    }
    let servers = Servers::start("").await;
    servers.configure(&format!(
        "[evm.chains.local]\nchain_id = 1\nstart = 1\nstale_seconds = 3600\nendpoints = [{{ url = \"{}\" }}]\n",
        node.ws_url()
    ));
    let stop = Arc::new(tokio::sync::Notify::new());
    let pause = Duration::from_millis(200);
    let player = tokio::spawn(push_every(node.chain().clone(), blocks, pause, Arc::clone(&stop)));

    let behind = format!("SELECT count(*) FROM blocks WHERE block_number <= {BEHIND}");
    let mut process = servers.run(&["evm", "persist"]);
    for kill in 1..=KILLS {
        // Killed at a third and at two thirds of the way.
        let due = (BEHIND as u64 * kill / (KILLS + 1)) as i64;
        eventually(async || {
            assert!(!process.has_ended(), "ended by itself:\n{}", servers.log_tail());
            number(&servers, &behind).await >= due
        })
        .await;
        process.kill();
        process = servers.run(&["evm", "persist"]);
    }
    let live = format!("SELECT count(*) FROM blocks WHERE block_number > {BEHIND}");
    let live_meanwhile = number(&servers, &live).await;
    assert!(live_meanwhile > 0, "live went on while history was filled");
    eventually(async || number(&servers, &behind).await == BEHIND as i64).await;
    stop.notify_one();
    player.await.unwrap();
    until_stored(&servers, &transfers(node.chain(), |_| true)).await;
    // New heads are stored while history is being filled, not after it.
    let slowest = number(
        &servers,
        &format!(
            "SELECT (extract(epoch FROM percentile_disc(0.9) WITHIN GROUP \
             (ORDER BY stored_at - observed_at)) * 1000)::bigint \
             FROM blocks WHERE block_number > {BEHIND}"
        ),
    )
    .await;
    assert!(slowest < 3_000, "p90 from head to row was {slowest} ms");
    process.kill();
}

#[tokio::test(flavor = "multi_thread")]
async fn backfill_fetches_the_past_and_audit_finds_and_queues_what_is_missing() {
    let node = ScriptedNode::start(NodeOptions::default()).await.unwrap();
    node.chain().follow_finality(4, 8);
    let mut blocks = generator(3);
    for _ in 0..200 {
        node.push_block(blocks.next_block()).unwrap();
    }
    let mut servers = Servers::start("").await;
    servers.configure(&format!(
        "[evm.chains.local]\nchain_id = 1\nstale_seconds = 3600\nendpoints = [{{ url = \"{}\" }}]\n",
        node.ws_url()
    ));
    let mut process = servers.run(&["evm", "persist"]);
    until_stored(&servers, &transfers(node.chain(), |number| number > 192)).await;

    let report = json(&servers, &["backfill", "local", "--from", "101", "--to", "150", "--json"]);
    assert_eq!((&report["state"], &report["blocks"]), (&"filled".into(), &50.into()));
    let stored = |number| (101..=150).contains(&number) || number > 192;
    until_stored(&servers, &transfers(node.chain(), stored)).await;

    let report = audit(&servers, &[], 1);
    assert_eq!((&report["missing_blocks"], &report["missing_events"]), (&42.into(), &126.into()));
    assert_eq!(report["queued"][0], serde_json::json!({ "from": 151, "to": 192 }));
    assert_eq!(report["verified_up_to"], 150);
    until_stored(&servers, &transfers(node.chain(), |number| number > 100)).await;
    let report = audit(&servers, &[], 0);
    assert_eq!((&report["from"], &report["verified_up_to"]), (&151.into(), &192.into()));

    let holes = "WITH rows AS (DELETE FROM token_transfers WHERE block_number IN (120, 160) \
                 AND log_index = 1 RETURNING 1), whole AS (DELETE FROM blocks \
                 WHERE block_number = 170 RETURNING 1) \
                 SELECT (SELECT count(*) FROM rows) + (SELECT count(*) FROM whole)";
    assert_eq!(number(&servers, holes).await, 3);
    let report = audit(&servers, &["--from", "101", "--dry-run"], 1);
    assert_eq!((&report["missing_blocks"], &report["missing_events"]), (&3.into(), &2.into()));
    assert_eq!(report["verified_up_to"], 192, "a dry run keeps nothing");
    let report = audit(&servers, &["--from", "101"], 1);
    assert_eq!(report["verified_up_to"], 119);
    until_stored(&servers, &transfers(node.chain(), |number| number > 100)).await;
    eventually(async || {
        number(&servers, "SELECT count(*) FROM blocks WHERE block_number = 170").await == 1
    })
    .await;

    process.kill();
    servers.nats.kill().unwrap();
    servers.nats.start_again().await.unwrap();
    let report = audit(&servers, &[], 0);
    assert_eq!((&report["from"], &report["verified_from"]), (&120.into(), &101.into()));
    assert_eq!(report["verified_up_to"], 192);
    let again = audit(&servers, &[], 0);
    assert_eq!((&again["blocks"], &again["verified_up_to"]), (&0.into(), &192.into()));
}

fn json(servers: &Servers, arguments: &[&str]) -> Value {
    serde_json::from_str(&servers.succeed(arguments)).unwrap()
}

fn audit(servers: &Servers, options: &[&str], code: i32) -> Value {
    let arguments = [&["audit", "local", "--json"], options].concat();
    let output = servers.command(&arguments);
    let errors = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(code), "{options:?}: {errors}");
    serde_json::from_slice(&output.stdout).unwrap()
}
