//! Scopes through the real binary: only what is wanted is fetched and stored, and what a wider scope lacks comes by itself.

use std::collections::BTreeSet;

use crypto_intel_sandbox::{
    NodeOptions, ScriptedNode,
    node::{Synthetic, SyntheticOptions},
};
use crypto_intel_schemas::Address;
use crypto_intel_store::Table;
use crypto_intel_testkit::{assert_same_set, eventually, sql_client};
use serde_json::Value;

use crate::servers::Servers;

const TOKENS: [Address; 3] =
    [Address::repeat_byte(0x11), Address::repeat_byte(0x22), Address::repeat_byte(0x33)];

fn generator() -> Synthetic {
    Synthetic::new(SyntheticOptions {
        transfers_per_block: 5,
        native_per_block: 2,
        tokens: TOKENS.to_vec(),
        ..SyntheticOptions::default()
    })
}

fn push(node: &ScriptedNode, blocks: &mut Synthetic, count: usize) {
    for _ in 0..count {
        node.push_block(blocks.next_block()).unwrap();
    }
}

fn configure(servers: &Servers, node: &ScriptedNode, scope: &str) {
    servers.configure(&format!(
        "[evm.chains.local]\nchain_id = 1\nstart = 1\nstale_seconds = 3600\ncatch_up_blocks = 50\ncheck_logs = \"receipts_root\"\n\
         endpoints = [{{ url = \"{}\" }}]\n{scope}\n",
        node.ws_url()
    ));
}

fn of_tokens(tokens: &[Address]) -> String {
    let listed: Vec<String> = tokens.iter().map(|token| format!("\"{token}\"")).collect();
    format!(
        "[evm.chains.local.scope]\nkinds = [\"transfer.erc20\"]\ncontracts = [{}]",
        listed.join(", ")
    )
}

/// Everything that the chain's blocks became, but for when.
async fn rows(servers: &Servers) -> BTreeSet<String> {
    let client = sql_client(&servers.database_url).await;
    let mut rows = BTreeSet::new();
    for table in Table::OF_BLOCKS.into_iter().chain([Table::Blocks]) {
        let left_out = "ARRAY['observed_at', 'stored_at', 'revision', 'finalized_number', 'safe_number', 'covers_from']";
        let sql =
            format!("SELECT '{table} ' || (to_jsonb(t) - {left_out})::text FROM {table} AS t");
        let Ok(found) = client.query(&sql, &[]).await else { return BTreeSet::new() };
        rows.extend(found.iter().map(|row| row.get::<_, String>(0)));
    }
    rows
}

async fn number(servers: &Servers, sql: &str) -> i64 {
    let client = sql_client(&servers.database_url).await;
    client.query_one(sql, &[]).await.map_or(0, |row| row.get(0))
}

/// What the chain has of some tokens, as (block, log).
fn expected(node: &ScriptedNode, tokens: &[Address]) -> i64 {
    let is_wanted = |log: &str| {
        let log: Value = serde_json::from_str(log).unwrap();
        let address: Address = log["address"].as_str().unwrap().parse().unwrap();
        tokens.contains(&address)
    };
    let blocks = node.chain().blocks();
    let logs = blocks.iter().map(|block| block.logs().filter(|log| is_wanted(log)).count());
    logs.sum::<usize>() as i64
}

async fn until_stored(servers: &Servers, node: &ScriptedNode, tokens: &[Address]) {
    let wanted = expected(node, tokens);
    eventually(async || number(servers, "SELECT count(*) FROM token_transfers").await == wanted)
        .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_scope_that_widens_ends_with_the_rows_of_one_that_was_wide_from_the_start() {
    let node = ScriptedNode::start(NodeOptions::default()).await.unwrap();
    node.chain().follow_finality(2, 4);
    let mut blocks = generator();
    push(&node, &mut blocks, 400);
    let servers = Servers::start("").await;
    configure(&servers, &node, &of_tokens(&TOKENS[..1]));
    let mut process = servers.run(&["evm", "persist"]);
    // Live blocks and a long gap, both under the narrow scope.
    until_stored(&servers, &node, &TOKENS[..1]).await;
    assert_eq!(number(&servers, "SELECT count(*) FROM native_transfers").await, 0);
    push(&node, &mut blocks, 7);
    until_stored(&servers, &node, &TOKENS[..1]).await;
    process.kill();

    // Wider, twice, killed while the missing part is being published.
    configure(&servers, &node, "[evm.chains.local.scope]\nkinds = [\"transfer.erc20\"]");
    push(&node, &mut blocks, 5);
    process = servers.run(&["evm", "persist"]);
    let some = expected(&node, &TOKENS[..1]) + 100;
    eventually(async || number(&servers, "SELECT count(*) FROM token_transfers").await > some)
        .await;
    process.kill();
    configure(&servers, &node, "");
    push(&node, &mut blocks, 5);
    process = servers.run(&["evm", "persist"]);
    eventually(async || number(&servers, "SELECT count(*) FROM native_transfers").await > 100)
        .await;
    process.kill();
    process = servers.run(&["evm", "persist"]);
    // The last blocks are final, so that what was queued of them can be published.
    push(&node, &mut blocks, 6);

    let wide = Servers::start("").await;
    configure(&wide, &node, "");
    let mut other = wide.run(&["evm", "persist"]);
    let last = node.chain().head().unwrap().number;
    let whole = "SELECT count(*) FROM blocks WHERE event_rows = 7 AND canonical";
    for servers in [&wide, &servers] {
        until_stored(servers, &node, &TOKENS).await;
        eventually(async || number(servers, whole).await == last as i64).await;
    }
    let from_the_start = rows(&wide).await;
    eventually(async || rows(&servers).await.len() == from_the_start.len()).await;
    eventually(async || rows(&servers).await == from_the_start).await;
    assert_same_set(from_the_start, rows(&servers).await);
    process.kill();
    other.kill();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_narrow_scope_asks_for_few_blocks_and_is_audited_as_what_it_is() {
    let node = ScriptedNode::start(NodeOptions::default()).await.unwrap();
    node.chain().follow_finality(2, 4);
    // One block in fifty has something of one token.
    let tokens: Vec<Address> = (1..=50).map(Address::repeat_byte).collect();
    let mut blocks = Synthetic::new(SyntheticOptions {
        transfers_per_block: 1,
        native_per_block: 1,
        tokens: tokens.clone(),
        ..SyntheticOptions::default()
    });
    push(&node, &mut blocks, 1_000);
    let servers = Servers::start("").await;
    configure(&servers, &node, &of_tokens(&tokens[..1]));
    let mut process = servers.run(&["evm", "persist"]);
    let wanted = expected(&node, &tokens[..1]);
    assert!((5..60).contains(&wanted), "{wanted}");
    until_stored(&servers, &node, &tokens[..1]).await;
    let covered = "SELECT count(*) FROM generate_series(1, 996) AS n WHERE EXISTS (SELECT FROM blocks \
                   WHERE coalesce(covers_from, block_number) <= n AND n <= block_number)";
    eventually(async || number(&servers, covered).await == 996).await;
    let stored = number(&servers, "SELECT count(*) FROM blocks").await;
    assert!(stored < wanted + 40, "{stored} blocks for {wanted} events");
    assert_eq!(node.calls("eth_getBlockReceipts"), 0);
    assert!(node.calls("eth_getBlockByNumber") < 200, "{}", node.calls("eth_getBlockByNumber"));

    // Two events in each of 7,200 blocks a day.
    let told = String::from_utf8(servers.command(&["check"]).stdout).unwrap();
    assert!(told.contains(" events a day of 14,000: "), "{told}");

    let report = audit(&servers, &[], 0);
    assert_eq!((&report["blocks"], &report["verified_up_to"]), (&996.into(), &996.into()));
    let holes = "WITH rows AS (DELETE FROM token_transfers WHERE block_number = \
                 (SELECT min(block_number) FROM token_transfers) RETURNING 1), \
                 whole AS (DELETE FROM blocks WHERE block_number = 996 RETURNING 1) \
                 SELECT (SELECT count(*) FROM rows) + (SELECT count(*) FROM whole)";
    assert_eq!(number(&servers, holes).await, 2);
    let report = audit(&servers, &["--from", "1"], 1);
    assert_eq!(report["missing_events"], 1);
    assert!(report["missing_blocks"].as_u64().unwrap() > 1, "{report}");
    until_stored(&servers, &node, &tokens[..1]).await;
    eventually(async || number(&servers, covered).await == 996).await;
    audit(&servers, &["--from", "1"], 0);
    process.kill();

    // What was verified for a part says nothing of the whole.
    configure(&servers, &node, "");
    let report = audit(&servers, &["--dry-run"], 1);
    assert_eq!(report["from"], 1, "{report}");
    assert!(report["notes"].to_string().contains("narrower scope"), "{report}");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_not_stored_is_streamed_counted_and_not_missing() {
    let node = ScriptedNode::start(NodeOptions::default()).await.unwrap();
    node.chain().follow_finality(2, 4);
    let mut blocks = generator();
    push(&node, &mut blocks, 200);
    let servers = Servers::start("").await;
    configure(&servers, &node, "[persist]\nnot_stored = [\"evm.*.transfer.native\"]");
    let mut process = servers.run(&["evm", "persist"]);
    until_stored(&servers, &node, &TOKENS).await;
    eventually(async || number(&servers, "SELECT count(*) FROM blocks").await == 200).await;
    assert_eq!(number(&servers, "SELECT count(*) FROM native_transfers").await, 0);
    let report = audit(&servers, &[], 0);
    assert_eq!(report["verified_up_to"], 196);
    process.kill();
}

fn audit(servers: &Servers, options: &[&str], code: i32) -> Value {
    let arguments = [&["audit", "local", "--json"], options].concat();
    let output = servers.command(&arguments);
    let errors = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(code), "{options:?}: {errors}");
    serde_json::from_slice(&output.stdout).unwrap()
}
