//! All tables are rebuilt beside the live ones and swapped in by the real binary, while events flow and clients read.

use std::{sync::Arc, time::Duration};

use crypto_intel_sandbox::{
    Chain, NodeOptions, ScriptedNode,
    node::{Synthetic, SyntheticOptions},
};
use crypto_intel_testkit::{assert_same_set, eventually, sql_client, try_sql_client};
use serde_json::Value;
use tokio_util::sync::CancellationToken;

use crate::{
    replay::{sql, start},
    servers::{LogKey, Servers, erc20_keys},
};

fn transfers(chain: &Chain) -> Vec<LogKey> {
    let blocks = chain.blocks();
    let logs = blocks.iter().flat_map(|block| {
        block.logs().map(|log| serde_json::from_str(log).unwrap()).collect::<Vec<Value>>()
    });
    erc20_keys(&logs.collect::<Vec<_>>())
}

/// Adds blocks until stopped.
async fn play(chain: Chain, stop: CancellationToken) {
    let options = SyntheticOptions { transfers_per_block: 20, ..SyntheticOptions::default() };
    let mut blocks = Synthetic::new(options);
    let mut ticks = tokio::time::interval(Duration::from_millis(40));
    while !stop.is_cancelled() {
        ticks.tick().await;
        chain.push_block(blocks.next_block()).unwrap();
    }
}

/// Reads tables and views in transactions until stopped: the number of transactions, or the first error.
async fn read(url: String, stop: CancellationToken) -> Result<u64, tokio_postgres::Error> {
    let mut client = try_sql_client(&url).await?;
    let mut transactions = 0;
    while !stop.is_cancelled() {
        let transaction = client.transaction().await?;
        for relation in ["blocks", "v_token_transfers", "token_transfers", "v_blocks"] {
            transaction.query_one(&format!("SELECT count(*) FROM {relation}"), &[]).await?;
        }
        transaction.commit().await?;
        transactions += 1;
    }
    Ok(transactions)
}

async fn number(servers: &Servers, statement: &str) -> Option<i64> {
    let client = sql_client(&servers.database_url).await;
    client.query_one(statement, &[]).await.ok().map(|row| row.get(0))
}

#[tokio::test(flavor = "multi_thread")]
async fn a_rebuild_is_killed_resumed_and_swapped_in_while_events_flow_and_clients_read() {
    let node = ScriptedNode::start(NodeOptions::default()).await.unwrap();
    let settings = format!(
        "[evm.chains.local]\nchain_id = 1\nstart = 1\nstale_seconds = 3600\nendpoints = [{{ url = \"{}\" }}]\n",
        node.ws_url()
    );
    let servers = Arc::new(Servers::start(&settings).await);
    let stop = CancellationToken::new();
    let player = tokio::spawn(play(node.chain().clone(), stop.clone()));
    let mut process = servers.run(&["evm", "persist"]);
    eventually(async || {
        servers.try_stored_transfers().await.is_ok_and(|rows| rows.len() >= 100 * 20)
    })
    .await;
    let readers = [0, 1].map(|_| tokio::spawn(read(servers.database_url.clone(), stop.clone())));

    let rebuild = ["replay", "--into-schema", "rebuilt", "--json"];
    let mut killed = start(&servers, &[&rebuild[..], &["--rate", "1000"]].concat());
    let progress = "SELECT coalesce(max(sequence), 0) FROM rebuilt.positions WHERE stream = 'EVM'";
    eventually(async || number(&servers, progress).await.is_some_and(|sequence| sequence > 300))
        .await;
    killed.kill();
    let beside: Value = {
        let servers = Arc::clone(&servers);
        let command = move || servers.succeed(&rebuild);
        serde_json::from_str(&tokio::task::spawn_blocking(command).await.unwrap()).unwrap()
    };
    assert_eq!((&beside["resumed"], &beside["complete"]), (&true.into(), &true.into()));
    assert!(beside["swap"].is_null());
    let swapped: Value = {
        let servers = Arc::clone(&servers);
        let arguments = ["replay", "--into-schema", "rebuilt", "--swap", "--json"];
        let command = move || servers.succeed(&arguments);
        serde_json::from_str(&tokio::task::spawn_blocking(command).await.unwrap()).unwrap()
    };
    assert_eq!(swapped["swap"]["before"], "rebuilt_before");
    assert!(!process.has_ended(), "persist goes on:\n{}", servers.log_tail());

    stop.cancel();
    player.await.unwrap();
    for reader in readers {
        let transactions = reader.await.unwrap().expect("no reader met an error");
        assert!(transactions > 10, "{transactions}");
    }
    let chain = transfers(node.chain());
    eventually(async || servers.stored_transfers().await.len() >= chain.len()).await;
    assert_same_set(chain, servers.stored_transfers().await);

    let again = servers.command(&["replay", "--into-schema", "rebuilt", "--swap"]);
    let text = String::from_utf8_lossy(&again.stderr);
    assert_eq!(again.status.code(), Some(1));
    assert!(text.contains("DROP SCHEMA rebuilt_before CASCADE"), "{text}");
    sql(&servers, "DROP SCHEMA rebuilt_before CASCADE").await;
    let text = tokio::task::spawn_blocking({
        let servers = Arc::clone(&servers);
        move || servers.succeed(&["replay", "--into-schema", "rebuilt", "--swap"])
    });
    let text = text.await.unwrap();
    assert!(text.contains("the new tables are live in public"), "{text}");
    process.kill();
}

#[tokio::test(flavor = "multi_thread")]
async fn schemas_that_a_rebuild_cannot_use_are_refused() {
    let servers = Servers::start("").await;
    for (name, code, part) in [
        ("Rebuilt", 64, "--into-schema"),
        ("pg_x", 64, "--into-schema"),
        ("public", 1, "the schema of the live tables"),
        ("theirs", 1, "holds something else"),
    ] {
        sql(&servers, "CREATE SCHEMA IF NOT EXISTS theirs").await;
        sql(&servers, "CREATE TABLE IF NOT EXISTS theirs.thing ()").await;
        let output = servers.command(&["replay", "--into-schema", name]);
        let text = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(code), "{name}: {text}");
        assert!(text.contains(part), "{part:?} is missing in {text}");
    }
}
