//! A follower's recordings of Polygon with its real reorganisations, played as the state of a node
//! over time.

use std::{collections::BTreeSet, path::Path, time::Duration};

use crypto_intel_evm::{ChainConfig, LogsMode, Start};
use crypto_intel_sandbox::{
    Chain,
    node::{RecordedStep, load_recording},
};
use crypto_intel_schemas::{B256, Event};
use crypto_intel_testkit::{Broker, assert_same_set, python, recorded_data};
use serde::Deserialize;

use crate::{
    harness::{Replay as _, chain_config, node, start_evm},
    scenario::{pass, until_published},
    stream::Replayed,
};

/// The expected state of a recording, by another program; logs by block hash and index.
#[derive(Debug, Deserialize)]
struct Truth {
    blocks: Vec<B256>,
    logs: BTreeSet<(B256, u32)>,
    retracted: BTreeSet<(B256, u32)>,
}

async fn truth(recording: &Path) -> Option<Truth> {
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/recording_truth.py");
    let output = python(&[])?.run_async(&script, &[recording.as_os_str()]).await.unwrap();
    Some(serde_json::from_str(&output).unwrap())
}

fn config(urls: &[String], steps: &[RecordedStep]) -> ChainConfig {
    ChainConfig {
        start: Start::Number(steps[0].blocks[0].number),
        logs: LogsMode::All,
        finality_tags: false,
        ..chain_config(urls)
    }
}

fn apply(chain: &Chain, step: RecordedStep) {
    chain.reorg(step.dropped, step.blocks).unwrap();
}

fn logs_of<'a>(events: impl Iterator<Item = &'a Event>) -> BTreeSet<(B256, u32)> {
    events
        .filter_map(|event| match event {
            Event::Log(log) => Some((log.block_hash, log.log_index)),
            _ => None,
        })
        .collect()
}

fn assert_canonical(truth: &Truth, replayed: &Replayed) {
    assert_same_set(
        truth.blocks.iter().copied(),
        replayed.stack.iter().map(|marker| marker.block_hash),
    );
    assert_same_set(truth.logs.iter().copied(), logs_of(replayed.live()));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn recorded_reorganisations_of_polygon_end_on_the_canonical_logs() {
    let Some(data) = recorded_data() else { return };
    let (mut reorgs, mut logs, mut retracted) = (0, 0, 0);
    for name in ["polygon-2021-04-20-1", "polygon-2021-04-20-2", "polygon-2021-04-20-4"] {
        let recording = data.join("recordings").join(format!("{name}.jsonl.gz"));
        let Some(truth) = truth(&recording).await else { return };
        // Step by step, so that every temporary block is published, and retracted.
        let (broker, node) = (Broker::start().await, node().await);
        node.without_block_receipts(true);
        let steps = load_recording(&recording).unwrap();
        let producer = start_evm(&broker.nats, config(&[node.ws_url()], &steps));
        for step in steps {
            apply(node.chain(), step);
            until_published(&broker.nats, node.chain()).await;
        }
        let replayed = broker.replay().await;
        assert_canonical(&truth, &replayed);
        let removed = replayed
            .events
            .iter()
            .map(|(_, event)| event)
            .filter(|event| event.block_fields().is_some_and(|fields| fields.removed));
        assert_same_set(truth.retracted.iter().copied(), logs_of(removed));
        producer.stop().await;
        reorgs += replayed.reorgs.len();
        logs += truth.logs.len();
        retracted += truth.retracted.len();
    }
    assert_eq!(reorgs, 4, "as many as the recordings hold");
    assert!(logs > 2_000 && retracted > 20, "{logs} logs, {retracted} retracted");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn recorded_reorganisations_under_faults_end_on_the_canonical_logs() {
    let Some(data) = recorded_data() else { return };
    let recording = data.join("recordings/polygon-2021-04-20-4.jsonl.gz");
    let Some(truth) = truth(&recording).await else { return };
    let (mut broker, node) = (Broker::start().await, node().await);
    node.without_block_receipts(true);
    let steps = load_recording(&recording).unwrap();
    let config = config(&[node.ws_url()], &steps);
    let mut producer = start_evm(&broker.nats, config.clone());
    for (round, step) in steps.into_iter().enumerate() {
        apply(node.chain(), step);
        pass(Duration::from_millis(100)).await;
        match round % 15 {
            4 => node.cut_connections(),
            9 => {
                producer.stop().await;
                producer = start_evm(&broker.nats, config.clone());
            }
            14 => {
                broker.server.kill().unwrap();
                broker.server.start_again().await.unwrap();
            }
            _ => {}
        }
    }
    assert_canonical(&truth, &broker.at_head(node.chain()).await);
    producer.stop().await;
}
