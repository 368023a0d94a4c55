//! Recorded real blocks through the scripted node, the stream and the tables.

use std::path::Path;

use alloy_primitives::B256;
use crypto_intel_sandbox::{
    NodeOptions, ScriptedNode,
    node::{load_recorded, recorded_numbers},
};
use crypto_intel_testkit::{assert_same_set, eventually, python, recorded_data};

use crate::servers::{LogKey, Servers};

/// Runs of consecutive blocks: only these link to each other.
fn runs(numbers: &[u64]) -> Vec<Vec<u64>> {
    let mut runs: Vec<Vec<u64>> = Vec::new();
    for number in numbers {
        match runs.last_mut() {
            Some(run) if run.last().is_some_and(|last| last + 1 == *number) => run.push(*number),
            _ => runs.push(vec![*number]),
        }
    }
    runs
}

/// A node for each run, and its chain's configuration.
async fn nodes(data: &Path) -> (Vec<ScriptedNode>, String) {
    let (mut nodes, mut settings) = (Vec::new(), String::new());
    for chain in std::fs::read_dir(data.join("evm")).unwrap().flatten() {
        let chain = chain.file_name().into_string().unwrap();
        for run in runs(&recorded_numbers(data, &chain).unwrap()) {
            let node = ScriptedNode::start(NodeOptions { chain_id: 77, ..NodeOptions::default() })
                .await
                .unwrap();
            for block in load_recorded(data, &chain, &run).unwrap() {
                node.push_block(block).unwrap();
            }
            node.set_finalized(run[run.len() - 1]);
            settings.push_str(&format!(
                "[evm.chains.{chain}-{first}]\nchain_id = 77\nstart = {first}\nendpoints = [{{ url = \"{url}\" }}]\n\
                 stale_seconds = 3600\ncheck_logs = \"off\"\ncheck_log_indexes = false\n",
                first = run[0],
                url = node.ws_url(),
            ));
            nodes.push(node);
        }
    }
    (nodes, settings)
}

#[tokio::test(flavor = "multi_thread")]
async fn recorded_blocks_become_exactly_the_rows_that_their_receipts_hold() {
    let Some(data) = recorded_data() else { return };
    let Some(python) = python(&["json"]) else { return };
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/it/erc20_truth.py");
    let truth: Vec<LogKey> = python
        .run(&script, &[&data])
        .unwrap()
        .lines()
        .map(|line| {
            let (hash, index) = line.split_once(' ').unwrap();
            (hash.parse::<B256>().unwrap(), index.parse().unwrap())
        })
        .collect();
    assert!(truth.len() > 10_000, "the script found {} transfers", truth.len());

    let (_nodes, settings) = nodes(&data).await;
    let servers = Servers::start(&settings).await;
    let mut process = servers.run(&["evm", "persist"]);
    eventually(async || {
        assert!(!process.has_ended(), "the process ended:\n{}", servers.log_tail());
        servers.stored_transfers().await.len() >= truth.len()
    })
    .await;
    assert_same_set(truth, servers.stored_transfers().await);
}
