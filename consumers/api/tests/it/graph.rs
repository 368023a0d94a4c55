//! The graph of counterparties, as clients see it.

use crypto_intel_schemas::{
    ApiRole, Decimal, Event, U256, Uint256, WatchChain, WatchEntry, Watched,
};
use serde_json::{Value, json};

use crate::{
    harness::Servers,
    seed::{blocks, wallet, write},
};

/// Transfers of a token on a chain: from, to, dollars.
fn transfers(chain: &str, moves: &[(u8, u8, u32)]) -> Vec<Event> {
    let tokens = blocks(chain, moves.len() as u64).into_iter().filter_map(|event| match event {
        Event::Erc20Transfer(token) => Some(token),
        _ => None,
    });
    let made = tokens.zip(moves).map(|(mut token, (from, to, usd))| {
        (token.from, token.to) = (wallet(*from), wallet(*to));
        token.value = Uint256(U256::from(7));
        token.usd = Some(Decimal::parse(&usd.to_string()).unwrap());
        Event::from(token)
    });
    made.collect()
}

fn addresses(graph: &Value) -> Vec<(String, i64)> {
    let nodes = graph["nodes"].as_array().unwrap().iter();
    nodes
        .map(|node| {
            (node["address"].as_str().unwrap()[..4].to_owned(), node["level"].as_i64().unwrap())
        })
        .collect()
}

fn named(nodes: &[(&str, i64)]) -> Vec<(String, i64)> {
    nodes.iter().map(|(address, level)| ((*address).to_owned(), *level)).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_graph_shows_with_whom_an_address_dealt_and_with_whom_they_did() {
    let servers = Servers::start().await;
    let api = servers.open_api().await;
    let moves = [(1, 2, 100), (1, 2, 50), (2, 1, 30), (3, 1, 500), (2, 4, 9), (1, 1, 7), (5, 6, 1)];
    let events = [transfers("base", &moves), transfers("ethereum", &[(1, 2, 1_000)])].concat();
    write(&servers.store, "EVM", &events, 0).await;
    let entry = WatchEntry {
        label: Some("desk".into()),
        tags: vec!["own".into()],
        ..WatchEntry::default()
    };
    let watched = Watched { chain: WatchChain::All, address: wallet(3).into(), entry };
    servers.store.keep_wallets(&[watched]).await.unwrap();

    let place = format!("/api/v1/graph?address={:#x}", wallet(1));
    let near = api.get(&place).await;
    assert_eq!(near.status, 200, "{near:?}");
    assert_eq!(addresses(&near.body), named(&[("0x01", 0), ("0x02", 1), ("0x03", 1)]));
    assert_eq!((&near.body["found_nodes"], &near.body["truncated"]), (&json!(3), &json!([])));
    let edge = &near.body["edges"][0];
    assert_eq!(edge["from"], format!("{:#x}", wallet(1)));
    assert_eq!((&edge["usd"], &edge["transfers"]), (&json!("1150"), &json!(3)));
    assert_eq!((&edge["assets"], &edge["top_assets"][0]["chain"]), (&json!(2), &json!("ethereum")));
    let named_one = &near.body["nodes"][2];
    assert_eq!((&named_one["label"], &named_one["tags"]), (&json!("desk"), &json!(["own"])));
    assert_eq!(
        (&named_one["watched"], &near.body["nodes"][1]["watched"]),
        (&json!(true), &json!(false))
    );

    let far = api.get(&format!("{place}&depth=2&chain=base")).await;
    let expected = named(&[("0x01", 0), ("0x03", 1), ("0x02", 1), ("0x04", 2)]);
    assert_eq!(addresses(&far.body), expected, "largest first, and each once");
    assert_eq!(far.body["edges"].as_array().unwrap().len(), 4);
    let large = api.get(&format!("{place}&depth=2&chain=base&min_usd=200")).await;
    assert_eq!(addresses(&large.body), named(&[("0x01", 0), ("0x03", 1)]));
    let few = api.get(&format!("{place}&limit=2")).await;
    assert_eq!(addresses(&few.body), named(&[("0x01", 0), ("0x02", 1)]));
    assert_eq!(few.body["truncated"][0]["what"], "nodes");

    let missing = api.get("/api/v1/graph").await;
    assert_eq!((missing.status, missing.problem()), (400, "bad-parameter"));
    let key = servers.key(&api, ApiRole::Viewer, Some(&["base"])).await;
    let seen = api.get_as(&key, &place).await.body;
    assert_eq!(addresses(&seen), named(&[("0x01", 0), ("0x03", 1), ("0x02", 1)]));
    assert!(!seen.to_string().contains("ethereum"), "{seen}");
}
