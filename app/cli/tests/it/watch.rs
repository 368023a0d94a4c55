//! The watch-list, as an operator changes it while a producer runs.

use std::{io::Write as _, path::Path, process::Stdio};

use crypto_intel_nats::Bucket;
use crypto_intel_sandbox::{
    NatsOptions, NatsServer, NodeOptions, ScriptedNode,
    node::{Synthetic, SyntheticOptions},
};
use crypto_intel_testkit::{connect_as, eventually};
use serde_json::Value;

use crate::servers::{binary, small_streams};

const TOKEN: &str = "0x5fbdb2315678afecb367f032d93f642f64180aa3";

#[tokio::test(flavor = "multi_thread")]
async fn an_operator_watches_an_address_while_the_producer_runs_as_its_own_user() {
    let repository = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let options = NatsOptions::with_users_of(repository.join("nats/server.conf")).unwrap();
    let nats = NatsServer::start(options).await.unwrap();
    let node = ScriptedNode::start(NodeOptions::default()).await.unwrap();
    let mut blocks =
        Synthetic::new(SyntheticOptions { transfers_per_block: 3, ..SyntheticOptions::default() });
    let folder = tempfile::tempdir().unwrap();
    let config = |user: &str| {
        let path = folder.path().join(format!("{user}.toml"));
        let text = format!(
            "[nats]\nurl = \"{}\"\nuser = \"{user}\"\npassword = \"of-{user}\"\n[admin]\nlisten = \"127.0.0.1:0\"\n[streams.streams]\n{}\n[evm.chains.local]\nchain_id = 1\nstart = 1\nstale_seconds = 3600\nendpoints = [{{ url = \"{}\" }}]\n",
            nats.url(),
            small_streams(),
            node.ws_url(),
        );
        std::fs::write(&path, text).unwrap();
        path
    };
    let admin = config("admin");
    let run = |arguments: &[&str]| {
        let output = binary(&admin).args(arguments).output().unwrap();
        let error = String::from_utf8_lossy(&output.stderr).into_owned();
        (output.status.code(), String::from_utf8(output.stdout).unwrap(), error)
    };
    assert_eq!(run(&["streams", "apply"]).0, Some(0));
    node.push_block(blocks.next_block()).unwrap();
    let mut producer = binary(&config("evm")).args(["run", "evm"]).spawn().unwrap();

    let (code, text, error) = run(&[
        "watch",
        "add",
        TOKEN,
        "--chain",
        "local",
        "--label",
        "our token",
        "--tag",
        "hot",
        "--kind",
        "token",
    ]);
    assert_eq!(code, Some(0), "{error}");
    assert!(text.contains("is watched"), "{text}");
    let listed: Value = serde_json::from_str(&run(&["--json", "watch", "list"]).1).unwrap();
    assert_eq!(listed[0]["address"], TOKEN);
    assert_eq!(listed[0]["label"], "our token");
    assert_eq!(listed[0]["kind"], "token");

    let filter = format!("watch.local.{TOKEN}.transfer.>");
    let copy = eventually(async || {
        node.push_block(blocks.next_block()).unwrap();
        let last =
            connect_as(&nats, "admin").await.last_sequence_matching("EVM", &filter).await.unwrap();
        (last > 0).then(|| run(&["tail", &filter, "--since", "start", "--limit", "1"]).1)
    })
    .await;
    // Its past, too, through the history lane and beside live.
    for _ in 0..20 {
        node.push_block(blocks.next_block()).unwrap();
    }
    node.set_finalized(15);
    let add = ["--json", "watch", "add", TOKEN, "--chain", "local", "--label", "our token"];
    let (code, text, error) = run(&[&add[..], &["--tag", "hot", "--backfill=5"]].concat());
    assert_eq!(code, Some(0), "{error}");
    let report: Value = serde_json::from_str(&text).unwrap();
    assert_eq!(report["past"][0]["state"], "filled");
    assert_eq!((&report["past"][0]["from"], &report["past"][0]["to"]), (&5.into(), &15.into()));
    let past = "history.local.transfer.erc20";
    let past = run(&["tail", past, "--since", "start", "--limit", "33"]).1;
    let past: Vec<Value> = past.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(past.len(), 11 * 3, "each block of the range has three transfers of the token");
    assert!(past.iter().all(|event| event["watched"] == serde_json::json!(["our token", "#hot"])));
    let (code, text, error) = run(&["watch", "backfill", "--tag", "hot", "--from", "8"]);
    assert_eq!(code, Some(0), "{error}");
    assert!(text.contains("the past of 1 addresses is queued, blocks 8 to 15"), "{text}");
    let shown = eventually(async || {
        let shown: Value =
            serde_json::from_str(&run(&["--json", "watch", "show", TOKEN]).1).unwrap();
        (shown["chains"][0]["queued"] == serde_json::json!([])).then_some(shown)
    })
    .await;
    assert_eq!(
        shown["chains"][0]["logs"],
        serde_json::json!([{ "from": 5, "to": 15, "by": ["own_logs"] }]),
        "{shown}"
    );
    let (code, text, error) = run(&["watch", "show", TOKEN]);
    assert_eq!(code, Some(0), "{error}");
    assert!(text.contains("logs: complete from block 5 to 15, by own requests for logs"), "{text}");
    assert!(
        text.contains("payments: complete nowhere") && text.contains("live: everything"),
        "{text}"
    );
    let (code, _, error) = run(&["watch", "backfill", "--tag", "none"]);
    assert_eq!(code, Some(1));
    assert!(error.contains("nothing that is watched fits"), "{error}");
    let _ = producer.kill();
    let _ = producer.wait();
    let copy: Value = serde_json::from_str(copy.lines().next().unwrap()).unwrap();
    assert_eq!(copy["watched"], serde_json::json!(["our token", "#hot"]));
    assert_eq!(copy["kind"], "transfer.erc20");

    assert_eq!(run(&["watch", "remove", TOKEN, "--chain", "local"]).0, Some(0));
    let (code, _, error) = run(&["watch", "remove", TOKEN, "--chain", "local"]);
    assert_eq!(code, Some(1));
    assert!(error.contains("is not watched on local") && error.contains("watch list"), "{error}");
    assert!(run(&["watch", "list"]).1.contains("nothing is watched"));
    assert_eq!(run(&["watch", "add", "0x12"]).0, Some(2));
    assert_eq!(run(&["watch", "add", TOKEN, "--chain", "No Chain"]).0, Some(2));
    assert_eq!(run(&["watch", "add", TOKEN, "--label", ""]).0, Some(1));
    let (code, _, error) = run(&["watch", "add", TOKEN, "--chain", "nowhere", "--backfill"]);
    assert_eq!(code, Some(64));
    assert!(error.contains("nowhere") && error.contains("there is local"), "{error}");
    assert_eq!(run(&["watch", "add", TOKEN, "--every-block"]).0, Some(2));
}

/// The lines of a file of addresses.
fn lines(count: u32) -> String {
    let line =
        |number: u32| format!("{:#042x},desk {number},desk,team {}\n", number + 1, number % 3);
    (0..count).map(line).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn many_addresses_come_from_a_file_and_go_by_their_tag() {
    let nats = NatsServer::start(NatsOptions::default()).await.unwrap();
    let folder = tempfile::tempdir().unwrap();
    let config = folder.path().join("ci.toml");
    let text = format!(
        "[nats]\nurl = \"{}\"\n[streams.streams]\n{}\n[evm.chains.local]\nchain_id = 1\nstart = 1\nendpoints = [{{ url = \"ws://127.0.0.1:9\" }}]\n",
        nats.url(),
        small_streams(),
    );
    std::fs::write(&config, text).unwrap();
    let run = |arguments: &[&str], input: &str| {
        let mut command = binary(&config);
        command.args(["--json"]).args(arguments);
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().unwrap();
        child.stdin.take().unwrap().write_all(input.as_bytes()).unwrap();
        let output = child.wait_with_output().unwrap();
        let error = String::from_utf8_lossy(&output.stderr).into_owned();
        let told: Value = serde_json::from_slice(&output.stdout).unwrap_or_default();
        (output.status.code(), told, error)
    };
    assert_eq!(run(&["streams", "apply"], "").0, Some(0));

    let (code, _, error) = run(&["watch", "add", TOKEN, "--chain", "nope"], "");
    assert_eq!(code, Some(64), "{error}");
    assert!(error.contains("--chain nope") && error.contains("there is local"), "{error}");
    let add = ["watch", "add", "--file", "-", "--chain", "local", "--tag", "mine"];
    let (code, _, error) = run(&add, &format!("{TOKEN}\nnonsense\n"));
    assert_eq!(code, Some(1));
    assert!(error.contains("line 2: \"nonsense\" is no address"), "{error}");
    assert_eq!(run(&["watch", "list"], "").1, serde_json::json!([]), "nothing was changed");

    let (code, told, error) = run(&add, &lines(3_000));
    assert_eq!(code, Some(0), "{error}");
    assert_eq!(told, serde_json::json!({ "new": 3000, "changed": 0, "unchanged": 0 }));
    let bucket = connect_as(&nats, "admin").await.kv(Bucket::Watchlist).await.unwrap();
    let entry = bucket.get(&format!("local.{:#042x}", 8)).await.unwrap().unwrap();
    let entry: Value = serde_json::from_slice(&entry.value).unwrap();
    assert_eq!(entry["label"], "desk 7");
    assert_eq!(entry["tags"], serde_json::json!(["mine", "desk", "team 1"]));
    let (_, told, _) = run(&add, &lines(3_001).replace("desk 9,", "desk nine,"));
    assert_eq!(told, serde_json::json!({ "new": 1, "changed": 1, "unchanged": 2999 }));

    let remove = ["watch", "remove", "--tag", "team 1"];
    let (_, told, _) = run(&[&remove[..], &["--chain", "all"]].concat(), "");
    assert_eq!(told, Value::Null, "none on that chain");
    let (code, told, error) = run(&remove, "");
    assert_eq!((code, told.as_array().map(Vec::len)), (Some(0), Some(1_000)), "{error}");
    assert_eq!(run(&["watch", "list"], "").1.as_array().map(Vec::len), Some(2_001));
    assert_eq!(run(&["watch", "add", TOKEN, "--chain", "nope", "--force"], "").0, Some(0));
}
