//! The watch-list as a table, its groups, and names that mean addresses.

use std::path::{Path, PathBuf};

use crypto_intel_evm::EnsName;
use crypto_intel_sandbox::{AnvilOptions, NatsOptions, NatsServer};
use crypto_intel_schemas::Address;
use crypto_intel_testkit::anvil;
use serde_json::{Value, json};

use crate::servers::{binary, small_streams};

const ONE: &str = "0x5fbdb2315678afecb367f032d93f642f64180aa3";
const TWO: &str = "0x00000000219ab540356cbb839cbe05303d7705fa";
const REGISTRY: &str = "0x00000000000c2e074ec69a0dfb2997ba6c7d2e1e";
/// Answers every question about a node with the word that is stored under it.
const WORD_OF_NODE: &str = "0x60043554600052602060 00f3";
/// Answers with the text that is stored behind the node: its length, then its bytes.
const TEXT_OF_NODE: &str = "0x6020600052 6004356001015460205260043560020154604052 60606000f3";

/// Runs the binary; its exit code, standard output and standard error.
fn run(config: &Path, arguments: &[&str]) -> (Option<i32>, String, String) {
    let output = binary(config).args(arguments).output().unwrap();
    let text = |bytes: Vec<u8>| String::from_utf8_lossy(&bytes).into_owned();
    (output.status.code(), text(output.stdout), text(output.stderr))
}

fn json_of(config: &Path, arguments: &[&str]) -> Value {
    let (code, out, error) = run(config, &[&["--json"], arguments].concat());
    assert_eq!(code, Some(0), "{error}");
    serde_json::from_str(&out).unwrap()
}

async fn configured(folder: &Path, chains: &str) -> (NatsServer, PathBuf) {
    let nats = NatsServer::start(NatsOptions::default()).await.unwrap();
    let config = folder.join("crypto-intel.toml");
    let streams = small_streams();
    let url = nats.url();
    let text = format!("[nats]\nurl = \"{url}\"\n[streams.streams]\n{streams}\n{chains}");
    std::fs::write(&config, text).unwrap();
    assert_eq!(run(&config, &["streams", "apply"]).0, Some(0));
    (nats, config)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_table_goes_in_and_comes_out_the_same() {
    let folder = tempfile::tempdir().unwrap();
    let (_nats, config) = configured(folder.path(), "").await;
    let file = folder.path().join("wallets.csv");
    let table = format!(
        "address,chains,label,kind,group,owner,tags,notes\n{TWO},all,,wallet,,,,\n{ONE},base|ethereum,\"Desk, one\",token,treasury,Alice,cold|hot,'=1+1\n"
    );
    std::fs::write(&file, &table).unwrap();
    let file = file.to_str().unwrap();
    let added = json_of(&config, &["watch", "import", file]);
    assert_eq!(added, json!({ "new": 3, "changed": 0, "unchanged": 0 }));
    assert_eq!(json_of(&config, &["watch", "import", file])["unchanged"], 3);
    assert_eq!(run(&config, &["watch", "export"]).1, table);

    let listed = json_of(&config, &["watch", "list", "--group", "treasury"]);
    assert_eq!(listed.as_array().unwrap().len(), 2);
    assert_eq!((&listed[0]["notes"], &listed[0]["owner"]), (&json!("=1+1"), &json!("Alice")));
    let add = ["watch", "add", TWO, "--group", "desk", "--notes", "x", "--owner", "Bob"];
    assert_eq!(json_of(&config, &add)["new"], false);
    assert!(run(&config, &["watch", "export", "--group", "desk"]).1.contains(",desk,Bob,,x"));
    assert_eq!(run(&config, &["watch", "remove", "--group", "treasury"]).0, Some(0));
    let (code, _, error) = run(&config, &["watch", "remove", "--group", "treasury"]);
    assert!(code == Some(1) && error.contains("the group \"treasury\""), "{error}");
    std::fs::write(folder.path().join("wallets.csv"), "address\nhello\n").unwrap();
    let (code, _, error) = run(&config, &["watch", "import", file]);
    assert!(code == Some(1) && error.contains("line 2: \"hello\" is no address"), "{error}");
    assert_eq!(json_of(&config, &["watch", "list"]).as_array().unwrap().len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_name_means_an_address_and_an_address_has_only_names_that_mean_it() {
    let Some(node) = anvil(AnvilOptions::default()).await else { return };
    let folder = tempfile::tempdir().unwrap();
    let chains = format!(
        "[evm.chains.ethereum]\nchain_id = 31337\npreset = \"none\"\nendpoints = [{{ url = \"{}\" }}]\n",
        node.ws_url()
    );
    let (_nats, config) = configured(folder.path(), &chains).await;
    let rpc = node.rpc();
    let code = async |address: Address, code: &str| {
        let code = code.replace(' ', "");
        rpc.call("anvil_setCode", json!([address, code])).await.unwrap();
    };
    let (forward, reverse) = (Address::repeat_byte(0xf0), Address::repeat_byte(0xbe));
    let registry: Address = REGISTRY.parse().unwrap();
    code(registry, WORD_OF_NODE).await;
    code(forward, WORD_OF_NODE).await;
    code(reverse, TEXT_OF_NODE).await;
    let node_of = |name: &str| name.parse::<EnsName>().unwrap().node();
    let after = |node: alloy_primitives::B256, number: u64| {
        let slot = alloy_primitives::U256::from_be_bytes(node.0)
            .wrapping_add(alloy_primitives::U256::from(number));
        alloy_primitives::B256::from(slot)
    };
    let store =
        async |contract: Address, slot: alloy_primitives::B256, word: alloy_primitives::B256| {
            rpc.call("anvil_setStorageAt", json!([contract, slot, word])).await.unwrap();
        };
    let named = async |name: &str, address: Address| {
        store(registry, node_of(name), forward.into_word()).await;
        store(forward, node_of(name), address.into_word()).await;
    };
    let calls_itself = async |address: Address, name: &str| {
        let node = node_of(&format!("{address:x}.addr.reverse"));
        store(registry, node, reverse.into_word()).await;
        let length = alloy_primitives::B256::left_padding_from(&[name.len() as u8]);
        store(reverse, after(node, 1), length).await;
        let text = alloy_primitives::B256::right_padding_from(name.as_bytes());
        store(reverse, after(node, 2), text).await;
    };
    let (one, two): (Address, Address) = (ONE.parse().unwrap(), TWO.parse().unwrap());
    named("desk.eth", one).await;
    calls_itself(one, "desk.eth").await;
    // Another address claims the name.
    calls_itself(two, "desk.eth").await;

    let added = json_of(&config, &["watch", "add", "Desk.eth", "--chain", "ethereum"]);
    assert_eq!(added["address"], ONE);
    assert_eq!(run(&config, &["watch", "add", TWO, "--chain", "ethereum"]).0, Some(0));
    let listed = json_of(&config, &["watch", "list", "--names"]);
    let names: Vec<(&str, &Value, &Value)> = listed
        .as_array()
        .unwrap()
        .iter()
        .map(|one| (one["address"].as_str().unwrap(), &one["name"], &one["label"]))
        .collect();
    let desk = json!("desk.eth");
    assert!(names.contains(&(ONE, &desk, &desk)), "{names:?}");
    assert!(names.contains(&(TWO, &Value::Null, &Value::Null)), "{names:?}");
    // Answers are kept for a day.
    store(forward, node_of("desk.eth"), two.into_word()).await;
    assert_eq!(
        json_of(&config, &["watch", "add", "desk.eth", "--chain", "ethereum"])["address"],
        ONE
    );

    named("other.eth", two).await;
    let (code, _, error) = run(&config, &["watch", "add", "other.eth"]);
    assert_eq!(code, Some(0), "{error}");
    assert!(error.contains("does not call itself so"), "{error}");
    let (code, _, error) = run(&config, &["watch", "add", "nobody.eth"]);
    assert!(code == Some(1) && error.contains("means no address"), "{error}");
    let (code, _, error) = run(&config, &["watch", "add", "bücher.eth"]);
    assert!(code == Some(2) && error.contains("give the address"), "{error}");
}
