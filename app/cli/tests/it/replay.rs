//! Replays by the real binary: into tables, onto subjects and as lines, killed and resumed.

use std::{collections::BTreeSet, path::Path, process::Stdio};

use crypto_intel_sandbox::{
    NodeOptions, ScriptedNode,
    node::{Synthetic, SyntheticOptions},
};
use crypto_intel_testkit::{TestProcess, assert_same_set, eventually, python, sql_client};
use serde_json::Value;

use crate::servers::{LogKey, Servers, binary};

const BLOCKS: usize = 250;
const TRANSFERS: usize = 20;

/// Runs the roles until `BLOCKS` blocks are stored; the chain grows no further.
pub(crate) async fn stored(
    servers: &Servers,
    node: &ScriptedNode,
) -> (TestProcess, BTreeSet<LogKey>) {
    let options =
        SyntheticOptions { transfers_per_block: TRANSFERS, ..SyntheticOptions::default() };
    let mut blocks = Synthetic::new(options);
    for _ in 0..BLOCKS {
        node.push_block(blocks.next_block()).unwrap();
    }
    servers.configure(&format!(
        "[evm.chains.local]\nchain_id = 1\nstart = 1\nstale_seconds = 3600\nendpoints = [{{ url = \"{}\" }}]\n",
        node.ws_url()
    ));
    let process = servers.run(&["evm", "persist"]);
    eventually(async || {
        servers.try_stored_transfers().await.is_ok_and(|rows| rows.len() == BLOCKS * TRANSFERS)
    })
    .await;
    (process, servers.stored_transfers().await.into_iter().collect())
}

/// Starts a command in the background; it is killed on drop.
pub(crate) fn start(servers: &Servers, arguments: &[&str]) -> TestProcess {
    let mut command = binary(&servers.config());
    TestProcess::of(
        command.args(arguments).stdin(Stdio::null()).stdout(Stdio::null()).spawn().unwrap(),
    )
}

pub(crate) async fn sql(servers: &Servers, statement: &str) -> u64 {
    let client = sql_client(&servers.database_url).await;
    client.execute(statement, &[]).await.unwrap()
}

fn json(text: &str) -> Value {
    serde_json::from_str(text).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn deleted_rows_come_back_although_the_replay_is_killed() {
    let servers = Servers::start("").await;
    let node = ScriptedNode::start(NodeOptions::default()).await.unwrap();
    let (mut process, rows) = stored(&servers, &node).await;
    assert_eq!(sql(&servers, "DELETE FROM token_transfers").await, rows.len() as u64);
    let replay = [
        "replay",
        "--stream",
        "EVM",
        "--subject",
        "evm.local.transfer.>",
        "--to",
        "persist",
        "--json",
    ];
    let mut killed = start(&servers, &[&replay[..], &["--rate", "1000"]].concat());
    eventually(async || !servers.stored_transfers().await.is_empty()).await;
    killed.kill();
    let some = servers.stored_transfers().await.len();
    assert!((1..rows.len()).contains(&some), "{some} rows are back");

    let report = json(&servers.succeed(&replay));
    assert_eq!((&report["resumed"], &report["complete"]), (&true.into(), &true.into()));
    let markers_added = report["filters"].as_array().unwrap().contains(&"evm.local.block".into());
    assert!(markers_added, "{report}");
    assert_same_set(rows, servers.stored_transfers().await);
    assert!(!process.has_ended());
    let status = json(&servers.succeed(&["status", "--json"]));
    let positions = status["positions"].as_array().unwrap();
    assert!(positions.iter().all(|one| !one["stream"].as_str().unwrap().starts_with("replay")));
    process.kill();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_replay_onto_subjects_is_exactly_once_although_killed() {
    let Some(python) = python(&["nats"]) else { return };
    let servers = Servers::start("").await;
    let node = ScriptedNode::start(NodeOptions::default()).await.unwrap();
    let (mut process, _) = stored(&servers, &node).await;
    process.kill();
    let nats = async_nats::connect(servers.nats.url()).await.unwrap();
    let jetstream = async_nats::jetstream::new(nats);
    let messages = async |stream: &str| match jetstream.get_stream(stream).await {
        Ok(mut stream) => stream.info().await.unwrap().state.messages,
        Err(_) => 0,
    };
    let all = messages("EVM").await;
    let replay = ["replay", "--stream", "EVM", "--to", "subject", "sandbox", "--json"];
    for stop_at in [all / 5, all / 2] {
        let mut killed = start(&servers, &[&replay[..], &["--rate", "2000"]].concat());
        eventually(async || messages("REPLAY_sandbox").await >= stop_at).await;
        killed.kill();
    }
    let report = json(&servers.succeed(&replay));
    assert_eq!((&report["resumed"], &report["complete"]), (&true.into(), &true.into()));
    let again = json(&servers.succeed(&replay));
    assert_eq!(again["events"], 0, "there is nothing left to do");

    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/it/replayed.py");
    let url = servers.nats.url();
    let compared = python.run_async(&script, &[&*url, "EVM", "sandbox"]).await.unwrap();
    assert_eq!(compared.trim(), all.to_string());
}

#[tokio::test(flavor = "multi_thread")]
async fn lines_are_those_of_tail_and_errors_say_what_to_correct() {
    let servers = Servers::start("").await;
    let node = ScriptedNode::start(NodeOptions::default()).await.unwrap();
    let (mut process, _) = stored(&servers, &node).await;
    process.kill();
    let subject = "evm.local.transfer.erc20";
    let tail = servers.succeed(&["tail", subject, "--since", "start", "--limit", "100"]);
    let replayed =
        servers.succeed(&["replay", "--stream", "EVM", "--subject", subject, "--to", "stdout"]);
    assert!(replayed.starts_with(&tail), "{tail}");
    assert_eq!(replayed.lines().count(), BLOCKS * TRANSFERS);

    let stdout = ["--to", "stdout"];
    let refused: [(&[&str], &str); 7] = [
        (&["--stream", "EVMM", "--to", "stdout"], "no stream EVMM: there are ALERT"),
        (&["--stream", "EVM", "--subject", "market.>", "--to", "stdout"], "MARKET has"),
        (&["--stream", "EVM", "--since", "yesterday", "--to", "stdout"], "--since \"yesterday\""),
        (&["--stream", "EVM", "--from-sequence", "9999999", "--to", "stdout"], "begin earlier"),
        (
            &["--stream", "EVM", "--until", "2001-01-01T00:00:00Z", "--to", "stdout"],
            "from sequence 1 (",
        ),
        (&["--stream", "EVM", "--to", "subject", "watch"], "our stream EVM"),
        (
            &["--stream", "EVM", "--subject", "watch.>", "--to", "persist"],
            "persist stores balance.>, evm.> of stream EVM",
        ),
    ];
    for (arguments, part) in refused {
        let output = servers.command(&[&["replay"], arguments].concat());
        let text = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(1), "{arguments:?}: {text}");
        assert!(text.contains(part), "{part:?} is missing in {text}");
    }
    for arguments in [&stdout[..], &["--stream", "EVM", "--to", "table"]] {
        let output = servers.command(&[&["replay"], arguments].concat());
        assert_eq!(output.status.code(), Some(2), "{arguments:?}");
    }
    let help = servers.succeed(&["replay", "--help"]);
    assert!(help.contains("Nothing of a replay reaches alert rules or chats"), "{help}");
}
