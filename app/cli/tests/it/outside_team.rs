//! Events outside the pipeline: a client in another language, and `tail` at a terminal.

use std::path::Path;

use crypto_intel_nats::OutMessage;
use crypto_intel_sandbox::{
    NatsOptions, NatsServer, NodeOptions, ScriptedNode,
    node::{Synthetic, SyntheticOptions},
};
use crypto_intel_schemas::{CHUNK_SCHEMA, ChunkWriter, Kind, samples};
use crypto_intel_testkit::{connect_as, eventually, python, small_topology};
use serde_json::Value;

use crate::servers::{Servers, binary, small_streams};

const BLOCKS: usize = 5;
const TRANSFERS: usize = 10;

async fn node() -> (ScriptedNode, String) {
    let node = ScriptedNode::start(NodeOptions::default()).await.unwrap();
    let options =
        SyntheticOptions { transfers_per_block: TRANSFERS, ..SyntheticOptions::default() };
    let mut blocks = Synthetic::new(options);
    for _ in 0..BLOCKS {
        node.push_block(blocks.next_block()).unwrap();
    }
    let settings = format!(
        "[evm.chains.local]\nchain_id = 1\nstart = 1\nstale_seconds = 3600\nendpoints = [{{ url = \"{}\" }}]\n",
        node.ws_url()
    );
    (node, settings)
}

#[tokio::test(flavor = "multi_thread")]
async fn tail_prints_readable_json() {
    let (_node, settings) = node().await;
    let servers = Servers::start(&settings).await;
    let _process = servers.run(&["evm"]);
    let limit = (BLOCKS * (TRANSFERS + 1)).to_string();
    let text = servers.succeed(&["tail", "evm.>", "--since", "start", "--limit", &limit]);
    let events: Vec<Value> = text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let transfers: Vec<&Value> =
        events.iter().filter(|event| event["subject"] == "evm.local.transfer.erc20").collect();
    assert!(transfers.len() >= (BLOCKS - 1) * TRANSFERS, "{} transfers", transfers.len());
    for transfer in transfers {
        assert_eq!(transfer["kind"], "transfer.erc20");
        assert!(transfer["block_hash"].as_str().unwrap().starts_with("0x"), "{transfer}");
        assert!(
            transfer["value"].as_str().unwrap().chars().all(|c| c.is_ascii_digit()),
            "{transfer}"
        );
    }
}

/// What a Python program prints as the read-only user.
async fn as_reader(python: &Path, arguments: &[&str]) -> String {
    let output = tokio::process::Command::new(python)
        .args(arguments)
        .env("NATS_USER", "reader")
        .env("NATS_PASSWORD", "of-reader")
        .kill_on_drop(true)
        .output()
        .await
        .unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

/// One server with `nats/server.conf`: the example connects as the read-only user of outside teams.
#[tokio::test(flavor = "multi_thread")]
async fn the_python_example_prints_transfers_as_the_read_only_user() {
    let Some(python) = python(&["nats", "msgpack"]) else { return };
    let repository = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let options = NatsOptions::with_users_of(repository.join("nats/server.conf")).unwrap();
    let nats = NatsServer::start(options).await.unwrap();
    let (_node, settings) = node().await;
    let folder = tempfile::tempdir().unwrap();
    let config = |user: &str| {
        let path = folder.path().join(format!("{user}.toml"));
        let text = format!(
            "[nats]\nurl = \"{}\"\nuser = \"{user}\"\npassword = \"of-{user}\"\n[admin]\nlisten = \"127.0.0.1:0\"\n[streams.streams]\n{}\n{settings}",
            nats.url(),
            small_streams(),
        );
        std::fs::write(&path, text).unwrap();
        path
    };
    let applied = binary(&config("admin")).args(["streams", "apply"]).output().unwrap();
    assert!(applied.status.success(), "{}", String::from_utf8_lossy(&applied.stderr));
    let mut producer = binary(&config("evm")).args(["run", "evm"]).spawn().unwrap();

    let script = repository.join("docs/clients/python_transfers.py");
    let script = script.to_str().unwrap();
    let url = nats.url();
    let program = python.program().to_owned();
    let printed = eventually(async || {
        let text = as_reader(&program, &[script, &url, "10"]).await;
        (text.lines().count() >= 10).then_some(text)
    })
    .await;
    let _ = producer.kill();
    let _ = producer.wait();
    assert!(printed.lines().all(|line| line.contains("0x")), "{printed}");
}

/// Chunks and messages of earlier versions, as the read-only user sees them.
#[tokio::test(flavor = "multi_thread")]
async fn the_python_example_counts_the_events_of_history() {
    let Some(python) = python(&["nats", "msgpack", "zstandard"]) else { return };
    let repository = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let options = NatsOptions::with_users_of(repository.join("nats/server.conf")).unwrap();
    let server = NatsServer::start(options).await.unwrap();
    let admin = connect_as(&server, "admin").await;
    small_topology().apply(&admin, false).await.unwrap();
    let nats = connect_as(&server, "evm").await;
    let mut chunk = ChunkWriter::default();
    for kind in [Kind::Erc20Transfer, Kind::Erc20Transfer, Kind::Block] {
        chunk.push(kind.as_str(), &samples::sample(kind).encode());
    }
    let chunk = OutMessage::new("history.local.chunk", chunk.finish().unwrap());
    nats.publish(chunk.schema(CHUNK_SCHEMA)).await.unwrap();
    let single = samples::sample(Kind::Erc20Transfer).encode();
    nats.publish(OutMessage::new("history.local.transfer.erc20", single)).await.unwrap();
    let script = repository.join("docs/clients/python_history.py");
    let program = python.program().to_owned();
    eventually(async || {
        // The account of outside teams holds copies, which come a moment later.
        let text = as_reader(&program, &[script.to_str().unwrap(), &server.url()]).await;
        text == "1 block\n3 transfer.erc20\n"
    })
    .await;
}
