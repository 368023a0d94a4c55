//! Labels, as an operator imports them while a producer runs.

use std::path::Path;

use crypto_intel_sandbox::{
    NatsOptions, NatsServer, NodeOptions, ScriptedNode,
    node::{Synthetic, SyntheticOptions},
};
use crypto_intel_testkit::eventually;
use serde_json::{Value, json};

use crate::servers::{binary, small_streams};

/// What a run of the binary says.
struct Said {
    code: Option<i32>,
    out: String,
    error: String,
}

impl Said {
    fn json(&self) -> Value {
        assert_eq!(self.code, Some(0), "{}", self.error);
        serde_json::from_str(&self.out).unwrap()
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn imported_labels_are_in_events_while_the_producer_runs_as_its_own_user() {
    let repository = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let options = NatsOptions::with_users_of(repository.join("nats/server.conf")).unwrap();
    let nats = NatsServer::start(options).await.unwrap();
    let node = ScriptedNode::start(NodeOptions::default()).await.unwrap();
    let mut blocks = Synthetic::new(SyntheticOptions {
        transfers_per_block: 3,
        accounts: 6,
        ..SyntheticOptions::default()
    });
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
        Said {
            code: output.status.code(),
            out: String::from_utf8(output.stdout).unwrap(),
            error: String::from_utf8_lossy(&output.stderr).into_owned(),
        }
    };
    assert_eq!(run(&["streams", "apply"]).code, Some(0));
    node.push_block(blocks.next_block()).unwrap();
    let mut producer = binary(&config("evm")).args(["run", "evm"]).spawn().unwrap();

    // Everybody of the first block.
    let transfers = "evm.local.transfer.erc20";
    let events = |limit: &str| -> Vec<Value> {
        let said = run(&["tail", transfers, "--since", "start", "--limit", limit]);
        said.out.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    };
    let first = events("3");
    assert!(first.iter().all(|event| event.get("from_label").is_none()), "nobody is known yet");
    let file = folder.path().join("labels.csv");
    let mut text = "address,label,tags,chain\n".to_owned();
    for event in &first {
        text += &format!("{},\"Desk, one\",customer|vip,local\n", event["from"].as_str().unwrap());
        text += &format!("{},Nobody's,customer,elsewhere\n", event["to"].as_str().unwrap());
    }
    std::fs::write(&file, format!("{text}hello,x,y,\n")).unwrap();
    let file = file.to_str().unwrap();
    let import = ["--json", "labels", "import", file, "--source", "desk", "--licence", "our own"];
    let refused = run(&import);
    assert_eq!(refused.code, Some(1));
    assert!(
        refused.error.contains("line 8: \"hello\" is no address")
            && refused.error.contains("nothing is changed"),
        "{}",
        refused.error
    );
    let imported = run(&[&import[..], &["--skip-wrong"]].concat()).json();
    assert_eq!(imported["wrong"].as_array().unwrap().len(), 1);
    let again = run(&[&import[..], &["--skip-wrong"]].concat()).json();
    assert_eq!((&again["added"], &again["removed"]), (&0.into(), &0.into()), "{again}");

    // The generator takes the same people again and again.
    let senders: Vec<&Value> = first.iter().map(|event| &event["from"]).collect();
    let labelled = eventually(async || {
        node.push_block(blocks.next_block()).unwrap();
        let count = (node.chain().head()?.number * 3).to_string();
        events(&count).into_iter().find(|event| event.get("from_label").is_some())
    })
    .await;
    assert_eq!(labelled["from_label"], "Desk, one");
    assert_eq!(labelled["from_tags"], json!(["customer", "vip"]));
    assert!(senders.contains(&&labelled["from"]));
    assert!(labelled["to_label"] != "Nobody's", "a label of another chain: {labelled}");
    let _ = producer.kill();
    let _ = producer.wait();

    let address = labelled["from"].as_str().unwrap();
    let shown = run(&["--json", "labels", "show", address]).json();
    assert_eq!(shown["in_events"][0]["tags"], json!(["customer", "vip"]), "{shown}");
    assert_eq!(shown["labels"][0]["licence"], "our own");
    let listed = run(&["labels", "list"]);
    for source in ["desk", "ofac", "mixers", "exchanges", "explorers"] {
        assert!(listed.out.contains(source), "{}", listed.out);
    }
    assert_eq!(run(&["labels", "remove", "--source", "desk"]).code, Some(0));
    let (code, error) = {
        let said = run(&["labels", "remove", "--source", "desk"]);
        (said.code, said.error)
    };
    assert!(code == Some(1) && error.contains("labels list"), "{error}");
    assert_eq!(run(&["--json", "labels", "show", address]).json()["labels"], json!([]));
}

#[tokio::test(flavor = "multi_thread")]
async fn the_list_of_sanctions_is_renewed_from_a_file() {
    let nats = NatsServer::start(NatsOptions::default()).await.unwrap();
    let folder = tempfile::tempdir().unwrap();
    let config = folder.path().join("admin.toml");
    let text =
        format!("[nats]\nurl = \"{}\"\n[streams.streams]\n{}\n", nats.url(), small_streams());
    std::fs::write(&config, text).unwrap();
    let run = |arguments: &[&str]| {
        let output = binary(&config).args(arguments).output().unwrap();
        Said {
            code: output.status.code(),
            out: String::from_utf8(output.stdout).unwrap(),
            error: String::from_utf8_lossy(&output.stderr).into_owned(),
        }
    };
    assert_eq!(run(&["streams", "apply"]).code, Some(0));
    let listed = "0x098b716b8aaf21512996dc57eb0615e2383e2f96";
    let shown = run(&["--json", "labels", "show", listed]).json();
    assert_eq!(shown["in_events"][0]["tags"][0], "sanctioned");
    let one = "0x5fbdb2315678afecb367f032d93f642f64180aa3";
    let list = folder.path().join("list.json");
    let text = json!({
        "metadata": { "sdnListDate": "11/20/2026" },
        "addresses": {
            one: { "entries": [{ "entity": "SOMEBODY", "program": "CYBER2", "type": "Digital Currency Address - ETH", "uid": "1" }] },
            "tniq9axbp9ejuqhdhrwrfvaa8u3guqzh81": { "entries": [] },
        },
    });
    std::fs::write(&list, text.to_string()).unwrap();
    let renewed = run(&["--json", "labels", "renew-sanctions", list.to_str().unwrap()]).json();
    assert_eq!(renewed["date"], "2026-11-20");
    assert_eq!((&renewed["labels"], &renewed["left_out"]), (&1.into(), &1.into()));
    assert!(renewed["removed"].as_u64().unwrap() > 100, "{renewed}");
    let shown = run(&["--json", "labels", "show", one]).json();
    assert_eq!(
        shown["in_events"][0],
        json!({ "chain": "all", "label": "SOMEBODY", "tags": ["sanctioned"] })
    );
    let shown = run(&["--json", "labels", "show", listed]).json();
    assert!(!shown.to_string().contains("sanctioned"), "withdrawn: {shown}");
    // A list that is none changes nothing.
    std::fs::write(&list, format!("{one},a,phishing\n")).unwrap();
    let refused =
        run(&["labels", "renew-sanctions", list.to_str().unwrap(), "--date", "2026-11-21"]);
    assert!(
        refused.code == Some(1) && refused.error.contains("no list of sanctions"),
        "{}",
        refused.error
    );
    let refused = run(&["labels", "renew-sanctions", "http://127.0.0.1:1/list"]);
    assert!(refused.error.contains("https"), "{}", refused.error);
}
