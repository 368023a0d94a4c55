//! Address poisoning on a real node: who imitates a counterparty of a watched wallet is called so, also after a restart.

use crypto_intel_evm::{Start, Watchlist};
use crypto_intel_sandbox::{Anvil, AnvilOptions};
use crypto_intel_schemas::{Address, Event, NativeTransfer, WatchChain, WatchEntry};
use crypto_intel_testkit::{Broker, anvil, eventually};
use serde_json::json;

use crate::harness::{Replay as _, chain_config, start_evm};

/// A tenth of a millionth of a coin.
const DUST: &str = "0x174876e800";

async fn transfer_to(broker: &Broker, from: Address, to: Address, times: usize) -> NativeTransfer {
    let found = |event: &Event| match event {
        Event::NativeTransfer(body) if body.from == from && body.to == to => Some(body.clone()),
        _ => None,
    };
    eventually(async || {
        let replayed = broker.replay().await;
        let all: Vec<NativeTransfer> = replayed.live().filter_map(found).collect();
        let last = all.iter().max_by_key(|body| body.block_number);
        (all.len() == times).then(|| last.cloned()).flatten()
    })
    .await
}

/// An account whose address begins and ends as another one's.
async fn imitator(node: &Anvil, of: Address, middle: u8) -> Address {
    let mut bytes = [middle; 20];
    bytes[..2].copy_from_slice(&of[..2]);
    bytes[18..].copy_from_slice(&of[18..]);
    let address = Address::from(bytes);
    let rpc = node.rpc();
    rpc.call("anvil_setBalance", json!([address, "0xde0b6b3a7640000"])).await.unwrap();
    rpc.call("anvil_impersonateAccount", json!([address])).await.unwrap();
    address
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_imitates_a_counterparty_of_a_watched_wallet_is_called_so() {
    let Some(node) = anvil(AnvilOptions::default()).await else { return };
    let broker = Broker::start().await;
    let accounts: Vec<Address> =
        node.accounts().await.unwrap().iter().map(|text| text.parse().unwrap()).collect();
    let (alice, bob) = (accounts[0], accounts[1]);
    let list = Watchlist::open(&broker.nats).await.unwrap();
    let entry = WatchEntry { label: Some("alice".into()), ..WatchEntry::default() };
    list.add(&WatchChain::All, &alice.into(), entry).await.unwrap();
    let (one, two) = (imitator(&node, bob, 0x11).await, imitator(&node, bob, 0x22).await);
    let mut config = chain_config(&[node.ws_url()]);
    config.start = Start::Number(0);
    let producer = start_evm(&broker.nats, config.clone());
    let pay = async |from: Address, to: Address, value: &str| {
        node.send(&json!({ "from": from, "to": to, "value": value })).await.unwrap();
    };

    pay(one, alice, DUST).await;
    let before = transfer_to(&broker, one, alice, 1).await;
    assert_eq!(before.from_tags, [] as [&str; 0], "alice dealt with nobody yet");
    pay(alice, bob, "0x2386f26fc10000").await;
    pay(one, alice, DUST).await;
    let poison = transfer_to(&broker, one, alice, 2).await;
    assert_eq!(poison.from_tags, ["look_alike"]);
    let told = poison.from_label.unwrap();
    assert!(told.starts_with(&format!("imitates {}", &format!("{bob:#x}")[..6])), "{told}");
    assert_eq!(poison.to_tags, ["watched"], "alice is on the list");
    pay(bob, alice, DUST).await;
    assert!(transfer_to(&broker, bob, alice, 1).await.from_tags.is_empty(), "bob is bob");

    // Another process knows it from the stream, and alice falls for the second one.
    producer.stop().await;
    let producer = start_evm(&broker.nats, config);
    pay(two, alice, DUST).await;
    assert_eq!(transfer_to(&broker, two, alice, 1).await.from_tags, ["look_alike"]);
    pay(alice, two, "0x2386f26fc10000").await;
    assert_eq!(transfer_to(&broker, alice, two, 1).await.to_tags, ["look_alike"]);
    producer.stop().await;
}
