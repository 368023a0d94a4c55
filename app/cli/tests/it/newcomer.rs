//! The first half hour without the demo: each step says what comes next.

use std::path::{Path, PathBuf};

use crypto_intel_sandbox::{NatsOptions, NatsServer, NodeOptions, ScriptedNode, free_port};
use crypto_intel_testkit::{TestProcess, eventually};
use tempfile::TempDir;

use crate::servers::{binary, small_streams};

/// A NATS server and a configuration without a database.
struct Newcomer {
    nats: NatsServer,
    folder: TempDir,
}

impl Newcomer {
    async fn start(settings: &str) -> Self {
        let nats = NatsServer::start(NatsOptions::default()).await.unwrap();
        let newcomer = Self { nats, folder: tempfile::tempdir().unwrap() };
        let text = format!(
            "[nats]\nurl = \"{}\"\n[admin]\nlisten = \"127.0.0.1:0\"\n[streams.streams]\n{}\n{settings}\n",
            newcomer.nats.url(),
            small_streams(),
        );
        std::fs::write(newcomer.config(), text).unwrap();
        newcomer
    }

    fn config(&self) -> PathBuf {
        self.folder.path().join("crypto-intel.toml")
    }

    /// Runs a command: its exit code and output.
    fn run(&self, arguments: &[&str]) -> (i32, String) {
        ended(&self.config(), arguments)
    }
}

fn ended(config: &Path, arguments: &[&str]) -> (i32, String) {
    let output = binary(config).args(arguments).output().unwrap();
    let text = [output.stdout, output.stderr].map(|text| String::from_utf8(text).unwrap()).concat();
    (output.status.code().unwrap(), text)
}

fn contains(text: &str, parts: &[&str]) {
    for part in parts {
        assert!(text.contains(part), "{part:?} is missing in:\n{text}");
    }
}

#[test]
fn init_lists_the_steps_in_an_order_in_which_each_succeeds() {
    let folder = tempfile::tempdir().unwrap();
    let (code, text) =
        ended(&folder.path().join("none.toml"), &["init", folder.path().to_str().unwrap()]);
    assert_eq!(code, 0, "{text}");
    let place = |word: &str| text.find(word).unwrap_or_else(|| panic!("no {word} in:\n{text}"));
    assert!(place("streams apply") < place("migrate"), "{text}");
    assert!(place("migrate") < place("crypto-intel check"), "{text}");
    assert!(place("crypto-intel check") < place("crypto-intel run"), "{text}");
}

#[tokio::test(flavor = "multi_thread")]
async fn check_reports_missing_streams_and_after_apply_that_nats_stores() {
    let newcomer = Newcomer::start("[poll]\nenabled = false").await;
    let (code, text) = newcomer.run(&["check"]);
    assert_eq!(code, 1, "{text}");
    contains(&text, &["FAILED  NATS", "nothing is there yet: run `crypto-intel streams apply`"]);
    contains(&text, &["ok      database", "nothing is stored, everything else works"]);
    assert_eq!(newcomer.run(&["streams", "apply"]).0, 0);
    let (code, text) = newcomer.run(&["check"]);
    assert_eq!(code, 0, "{text}");
    contains(&text, &["ok      NATS", "a key was written and deleted"]);
    newcomer.run(&["streams", "remove", "EVM", "--yes"]);
    contains(&newcomer.run(&["check"]).1, &["EVM is missing: run `crypto-intel streams apply`"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn without_a_database_the_subjects_work_and_migrate_says_what_is_missing() {
    let node = ScriptedNode::start(NodeOptions { chain_id: 5, ..NodeOptions::default() }).await;
    let node = node.unwrap();
    let settings = format!(
        "[poll]\nenabled = false\n[evm.chains.local]\nchain_id = 5\nendpoints = [{{ url = \"{}\" }}]\n",
        node.ws_url()
    );
    let newcomer = Newcomer::start(&settings).await;
    newcomer.run(&["streams", "apply"]);
    let (code, text) = newcomer.run(&["migrate"]);
    assert_eq!(code, 64, "{text}");
    contains(&text, &["set database.url"]);
    contains(&newcomer.run(&["run", "persist"]).1, &["role persist", "database.url"]);
    let log = std::fs::File::create(newcomer.folder.path().join("log")).unwrap();
    let child = binary(&newcomer.config()).arg("run").stderr(log).spawn().unwrap();
    let mut process = TestProcess::of(child);
    let status = eventually(async || {
        let (_, text) = newcomer.run(&["status"]);
        text.contains("evm.local").then_some(text)
    })
    .await;
    contains(&status, &["local", "led by", "database: none is configured"]);
    assert!(!process.has_ended(), "a missing database does not end the process");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_missing_database_fails_persist_and_not_the_process() {
    let port = free_port().unwrap();
    let settings = format!(
        "[poll]\nenabled = false\n[database]\nurl = \"postgres://x:hunter2@127.0.0.1:{port}/x\"\nstart_timeout_seconds = 1\n"
    );
    let newcomer = Newcomer::start(&settings).await;
    newcomer.run(&["streams", "apply"]);
    let path = newcomer.folder.path().join("log");
    let log = std::fs::File::create(&path).unwrap();
    let child = binary(&newcomer.config()).args(["run", "persist"]).stderr(log).spawn().unwrap();
    let mut process = TestProcess::of(child);
    let log = eventually(async || {
        let text = std::fs::read_to_string(&path).unwrap();
        (text.matches("role failed").count() >= 2).then_some(text)
    })
    .await;
    assert!(!process.has_ended(), "{log}");
    assert!(!log.contains("hunter2"), "{log}");
}

#[tokio::test(flavor = "multi_thread")]
async fn status_shows_what_exists_what_is_missing_and_why_a_chain_never_published() {
    let newcomer = Newcomer::start(
        "[poll]\nenabled = false\n[evm.chains.local]\nchain_id = 5\nendpoints = [{ url = \"ws://127.0.0.1:9\" }]\n",
    )
    .await;
    newcomer.run(&["streams", "apply"]);
    newcomer.run(&["streams", "remove", "ALERT", "--yes"]);
    let (code, text) = newcomer.run(&["status"]);
    assert_eq!(code, 0, "{text}");
    contains(
        &text,
        &["nothing published; nobody follows it", "could not be read", "no stream ALERT"],
    );
    contains(&text, &["EVM", "missing: `crypto-intel streams apply`", "nobody holds a lease"]);
    let (_, json) = newcomer.run(&["--json", "status"]);
    let json: serde_json::Value = serde_json::from_str(&json).unwrap();
    assert_eq!(json["chains"][0]["chain"], "local");
}

#[test]
fn configuration_that_cannot_work_ends_run_at_once() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("crypto-intel.toml");
    for (settings, parts) in [
        ("[poll.providers.coingekco]\nenabled = true\n", ["coingekco", "coingecko"]),
        (
            "[poll]\nenabled = false\n[evm]\nassets = \"nowhere.toml\"\n[evm.chains.local]\nchain_id = 5\n\
             endpoints = [{ url = \"ws://127.0.0.1:9\" }]\n",
            ["evm.assets", "nowhere.toml"],
        ),
    ] {
        std::fs::write(&path, settings).unwrap();
        let (code, text) = ended(&path, &["run"]);
        assert_eq!(code, 64, "{text}");
        contains(&text, &parts);
    }
}

#[test]
fn the_printed_configuration_is_the_one_that_run_uses() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("crypto-intel.toml");
    std::fs::write(&path, "[nats]\nurl = \"nats://alice:hunter2@127.0.0.1:4222\"\n").unwrap();
    let (code, text) = ended(&path, &["check", "--print"]);
    assert_eq!(code, 0, "{text}");
    contains(&text, &["log = \"info\"", "start_timeout_seconds = 30", "***@127.0.0.1:4222"]);
    assert!(!text.contains("hunter2") && !text.contains("alice"), "{text}");
}

#[test]
fn a_nats_password_is_in_no_error_and_no_log() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("crypto-intel.toml");
    let port = free_port().unwrap();
    for user_info in ["alice:hunter2", "hunter2", "alice:hun#ter2", "alice:hun@ter2"] {
        let settings = format!(
            "[poll]\nenabled = false\n[nats]\nurl = \"nats://{user_info}@127.0.0.1:{port}\"\nstart_timeout_seconds = 1\n\
             [evm.chains.local]\nchain_id = 5\nendpoints = [{{ url = \"ws://127.0.0.1:9\" }}]\n"
        );
        std::fs::write(&path, settings).unwrap();
        for command in ["check", "status", "run"] {
            let (code, text) = ended(&path, &[command]);
            assert_ne!(code, 0, "{text}");
            contains(&text, &["127.0.0.1"]);
            for secret in ["hunter2", "ter2", "hun#", "hun@"] {
                assert!(!text.contains(secret), "{user_info} by {command}:\n{text}");
            }
        }
    }
}
