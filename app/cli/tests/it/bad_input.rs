//! Invalid input of users and other programs: each error names what is wrong, where it is and how to correct it.

use std::process::Output;

use crypto_intel_sandbox::{ChatOptions, ChatServer, NodeOptions, ScriptedNode, free_port};
use crypto_intel_testkit::{eventually, sql_client};

use crate::servers::{Servers, binary};

/// Runs the binary with a configuration of its own and no servers.
fn alone(settings: &str, arguments: &[&str]) -> Output {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("crypto-intel.toml");
    std::fs::write(&path, settings).unwrap();
    binary(&path).args(arguments).output().unwrap()
}

fn says(output: &Output, code: i32, parts: &[&str]) {
    let text = format!(
        "{}{}",
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    );
    assert_eq!(output.status.code(), Some(code), "{text}");
    for part in parts {
        assert!(text.contains(part), "{part:?} is missing in:\n{text}");
    }
}

#[test]
fn an_unknown_key_is_named_with_its_file_and_neighbour() {
    let output = alone("[nats]\nurll = \"nats://127.0.0.1:4222\"\n", &["check", "--print"]);
    says(&output, 64, &["nats.urll", "crypto-intel.toml", "did you mean url?"]);
}

#[test]
fn a_bad_endpoint_address_is_named() {
    let settings = "[evm.chains.local]\nchain_id = 1\nendpoints = [{ url = \"htp://nowhere\" }]\n";
    says(&alone(settings, &["check", "--print"]), 64, &["evm.chains.local.endpoints[0]", "ws://"]);
}

#[test]
fn a_role_without_anything_to_do_says_what_to_configure() {
    says(&alone("", &["run", "evm"]), 64, &["role evm", "[evm.chains.NAME]"]);
}

#[test]
fn secrets_are_not_shown() {
    let settings =
        "[nats]\npassword = \"hunter2\"\n[database]\nurl = \"postgres://me:hunter2@db/x\"\n";
    let output = alone(settings, &["check", "--print"]);
    says(&output, 0, &["***"]);
    assert!(!String::from_utf8_lossy(&output.stdout).contains("hunter2"));
}

#[test]
fn missing_rule_files_and_rules_without_routes_are_named() {
    let folder = tempfile::tempdir().unwrap();
    let rule = "[[rule]]\nid = \"quiet-one\"\non = \"evm.*.transfer.erc20\"\ntitle = \"x\"\n";
    std::fs::write(folder.path().join("rules.toml"), rule).unwrap();
    let path = folder.path().join("crypto-intel.toml");
    let check = |settings: &str| {
        std::fs::write(&path, settings).unwrap();
        binary(&path).args(["rules", "check"]).output().unwrap()
    };
    let wrong = check("[alerts]\nrules = [\"ruls/*.toml\", \"rules.toml\"]\n");
    says(&wrong, 1, &["ruls/*.toml: no file has such a name", "alerts.rules"]);
    let silent = check("[alerts]\nrules = [\"rules.toml\"]\n");
    says(&silent, 0, &["1 rule in 1 file is sound; 1 tells no one, give it routes: quiet-one"]);
    let placed = "[alerts]\nrules = [\"rules.toml\"]\n[notify]\nunrouted = \"ops\"\n\
        [notify.destinations.ops]\nchannel = \"telegram\"\ntoken = \"100:test\"\nchat_id = 42\n";
    let output = check(placed);
    says(&output, 0, &["1 rule in 1 file is sound"]);
    assert!(!String::from_utf8_lossy(&output.stdout).contains("tells no one"));
    says(&check(""), 0, &["no rule is enabled, in 0 files"]);
}

#[test]
fn a_rule_that_does_not_compile_is_refused_with_its_place() {
    let folder = tempfile::tempdir().unwrap();
    let rule = "[[rule]]\nid = \"r\"\non = \"evm.*.transfer.erc20\"\nwhen = \"amout > 5.0\"\nseverity = \"info\"\ntitle = \"{{ symbl }}\"\n";
    std::fs::write(folder.path().join("rules.toml"), rule).unwrap();
    let path = folder.path().join("crypto-intel.toml");
    std::fs::write(&path, "[alerts]\nrules = [\"rules.toml\"]\n").unwrap();
    let output = binary(&path).args(["rules", "check"]).output().unwrap();
    says(&output, 1, &["rules.toml", "amout", "amount", "symbl", "symbol"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn unreachable_servers_are_tried_visibly_until_the_start_timeout() {
    let port = free_port().unwrap();
    let settings = format!(
        "[nats]\nurl = \"nats://127.0.0.1:{port}\"\n[admin]\nlisten = \"127.0.0.1:0\"\n[database]\nurl = \"postgres://x@127.0.0.1:{port}/x\"\n"
    );
    let output = alone(&settings, &["run", "persist", "--start-timeout", "2s"]);
    says(&output, 1, &["connect to NATS", &port.to_string()]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_read_only_database_is_reported_by_check() {
    let servers = Servers::start("").await;
    says(&servers.command(&["check"]), 0, &["rows can be written"]);
    let client = sql_client(&servers.database_url).await;
    let set = "ALTER DATABASE pipeline SET default_transaction_read_only = on";
    client.batch_execute(set).await.unwrap();
    says(&servers.command(&["check"]), 1, &["FAILED  database", "the database is read-only"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_endpoint_of_another_chain_is_refused_by_check() {
    let node =
        ScriptedNode::start(NodeOptions { chain_id: 5, ..NodeOptions::default() }).await.unwrap();
    let settings = format!(
        "[evm.chains.local]\nchain_id = 1\nendpoints = [{{ url = \"{}/?key=hunter2\" }}]\n",
        node.ws_url()
    );
    let servers = Servers::start(&settings).await;
    let output = servers.command(&["check"]);
    says(&output, 1, &["chain local", "5", "1", "ok      NATS", "ok      database"]);
    assert!(!String::from_utf8_lossy(&output.stdout).contains("hunter2"));
}

#[tokio::test(flavor = "multi_thread")]
async fn undecodable_messages_are_dead_lettered_and_can_be_removed() {
    let servers = Servers::start("").await;
    let client = async_nats::connect(servers.nats.url()).await.unwrap();
    let jetstream = async_nats::jetstream::new(client);
    for body in [&b"not MessagePack"[..], &[0x80]] {
        jetstream
            .publish("evm.local.transfer.erc20", body.to_vec().into())
            .await
            .unwrap()
            .await
            .unwrap();
    }
    let _process = servers.run(&["persist"]);
    let listed = eventually(async || {
        let text = servers.succeed(&["dlq", "list", "--json"]);
        let letters: Vec<serde_json::Value> = serde_json::from_str(&text).unwrap();
        (letters.len() == 2).then_some(letters)
    })
    .await;
    assert!(
        listed.iter().all(|letter| letter["subject"] == "evm.local.transfer.erc20"),
        "{listed:?}"
    );
    let sequence = listed[0]["sequence"].to_string();
    let shown = servers.succeed(&["dlq", "show", &sequence]);
    assert!(shown.contains("undecodable"), "{shown}");
    assert!(listed[0]["sequence"].as_u64() > listed[1]["sequence"].as_u64(), "newest first");
    let refused = servers.command(&["dlq", "retry", &sequence]);
    says(&refused, 1, &["only those of notify can be handed back"]);
    servers.succeed(&["dlq", "remove", &sequence]);
    let text = servers.succeed(&["dlq", "list", "--json"]);
    let left: Vec<serde_json::Value> = serde_json::from_str(&text).unwrap();
    assert_eq!(left.len(), 1);
    says(&servers.command(&["dlq", "remove", &sequence]), 1, &["no dead letter has the sequence"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_test_message_is_sent_and_the_error_of_a_service_is_shown_once() {
    let chat = ChatServer::start(ChatOptions::default()).await.unwrap();
    let servers = Servers::start(&Servers::destinations(&chat)).await;
    let said = servers.succeed(&["notify", "test", "ops"]);
    assert!(said.contains("ops took a test message, id 1"), "{said}");
    assert!(chat.messages()[0].text.contains("Test message"));
    says(&servers.command(&["notify", "test", "opps"]), 1, &["known: desk, ops"]);
    drop(chat);
    let output = servers.command(&["check"]);
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let line = text.lines().find(|line| line.contains("destination desk")).unwrap();
    assert_eq!(line.matches("desk").count(), 1, "{line}");
    assert!(line.contains("127.0.0.1:") && !line.contains("secret"), "{line}");
}
