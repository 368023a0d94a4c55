//! Pools and gas.

use crypto_intel_schemas::{
    Address, ApiRole, Block, DexProtocol, Erc20Transfer, Event, Int256, Kind, Swap, U256, Uint256,
    log_event_id,
};
use crypto_intel_service::now_us;
use serde_json::{Value, json};

use crate::{
    harness::Servers,
    seed::{blocks, wallet, write, write_blocks},
};

const POOL: u8 = 40;
const HOUR_US: i64 = 3_600_000_000;

/// A swap in each of some blocks, and in the last one the transfers that it was made of.
fn swaps(count: u64) -> Vec<Event> {
    let transfers = blocks("base", count);
    let of_blocks = transfers.iter().filter_map(|event| match event {
        Event::Erc20Transfer(transfer) => Some(transfer),
        _ => None,
    });
    let mut events = Vec::new();
    for transfer in of_blocks {
        let place = |log_index: u32, token: Address, sides: [Address; 2]| {
            let id =
                log_event_id("base", &transfer.block_hash, Kind::Erc20Transfer, log_index, None);
            let [from, to] = sides;
            Event::from(Erc20Transfer {
                id,
                log_index,
                address: token,
                from,
                to,
                ..transfer.clone()
            })
        };
        if transfer.block_number + 1 == count {
            events.push(place(5, wallet(9), [wallet(1), wallet(POOL)]));
            events.push(place(6, wallet(8), [wallet(POOL), wallet(1)]));
        }
        events.push(Event::from(Swap {
            id: log_event_id("base", &transfer.block_hash, Kind::Swap, 7, None),
            event_at_us: transfer.event_at_us,
            observed_at_us: transfer.observed_at_us,
            chain: "base".into(),
            chain_id: 7,
            block_number: transfer.block_number,
            block_hash: transfer.block_hash,
            block_time_us: transfer.block_time_us,
            tx_hash: transfer.tx_hash,
            tx_index: transfer.tx_index,
            log_index: 7,
            address: wallet(POOL),
            protocol: DexProtocol::UniswapV3,
            sender: wallet(1),
            recipient: Some(wallet(2)),
            amount0: Int256::from(100),
            amount1: Int256::from(-30),
            sqrt_price_x96: Some(Uint256(U256::from(5))),
            liquidity: Some(Uint256(U256::from(7))),
            tick: Some(-12),
            ..Swap::empty()
        }));
    }
    events
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_pool_tells_its_tokens_its_volume_and_its_swaps_page_by_page() {
    let servers = Servers::start().await;
    let api = servers.open_api().await;
    let events = swaps(5);
    write(&servers.store, "EVM", &events, 0).await;
    let place = format!("/api/v1/pools/base/{:#x}", wallet(POOL));
    let pool = api.get(&place).await.body;
    assert_eq!((&pool["protocol"], &pool["tick"]), (&json!("uniswap-v3"), &json!(-12)), "{pool}");
    let tokens: Vec<&Value> =
        pool["tokens"].as_array().unwrap().iter().map(|token| &token["address"]).collect();
    assert_eq!(tokens, [&json!(format!("{:#x}", wallet(8))), &json!(format!("{:#x}", wallet(9)))]);

    let of_pool: Vec<&Event> = events.iter().filter(|event| event.kind() == Kind::Swap).collect();
    let mut found = Vec::new();
    let mut next = String::new();
    loop {
        let page = api.get(&format!("{place}/swaps?limit=2{next}")).await;
        found.extend(page.body["items"].as_array().unwrap().clone());
        let Some(cursor) = page.body["next"].as_str() else { break };
        next = format!("&cursor={cursor}");
    }
    let mut expected: Vec<Value> = of_pool.iter().rev().map(|event| event.to_json()).collect();
    expected.iter_mut().for_each(|event| event["finality"] = "latest".into());
    // Block 0 is final.
    expected.last_mut().unwrap()["finality"] = "final".into();
    assert_eq!(found, expected, "the shape of the wire");

    let volume = api.get(&format!("{place}/volume?since=-2h")).await.body;
    let steps = volume["items"].as_array().unwrap();
    let sum = |field: &str| -> i64 {
        steps.iter().map(|step| step[field].as_str().unwrap().parse::<i64>().unwrap()).sum()
    };
    assert_eq!((sum("volume0"), sum("volume1"), sum("net1")), (500, 150, -150));
    assert_eq!(steps.iter().map(|step| step["swaps"].as_u64().unwrap()).sum::<u64>(), 5);

    let none = format!("/api/v1/pools/base/0x{}", "ab".repeat(32));
    assert_eq!(api.get(&none).await.problem(), "not-found");
    assert_eq!(api.get("/api/v1/pools/base/0x12").await.problem(), "bad-parameter");
    let key = servers.key(&api, ApiRole::Viewer, Some(&["ethereum"])).await;
    assert_eq!(api.get_as(&key, &place).await.problem(), "not-found");
    for list in ["swaps", "volume"] {
        let page = api.get_as(&key, &format!("{place}/{list}")).await;
        assert_eq!(page.body["items"], json!([]), "{list}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn gas_is_told_by_minute_hour_and_day() {
    let servers = Servers::start().await;
    let api = servers.open_api().await;
    let begin_us = now_us().div_euclid(HOUR_US) * HOUR_US - 2 * HOUR_US;
    let markers: Vec<Block> = (0..10_u64)
        .map(|number| {
            let mut block_hash = [9; 32];
            block_hash[24..].copy_from_slice(&number.to_be_bytes());
            Block {
                chain: "base".into(),
                chain_id: 7,
                block_number: number,
                block_hash: block_hash.into(),
                block_time_us: begin_us + number as i64 * 12_000_000,
                observed_at_us: begin_us + number as i64 * 12_000_000,
                base_fee_per_gas: Some(Uint256::from(100 + number)),
                gas_used: 10,
                gas_limit: 30,
                transactions: 3,
                ..Block::empty()
            }
        })
        .collect();
    write_blocks(&servers.store, "EVM", &markers).await;
    let page = api.get("/api/v1/gas/base").await.body;
    let [hour] = page["items"].as_array().unwrap().as_slice() else { panic!("{page}") };
    let expected = json!({
        "bucket_us": begin_us, "p10": "100", "p50": "104", "p90": "108", "min": "100", "max": "109",
        "blocks": 10, "transactions": 30, "gas_used": "100", "gas_limit": "300",
    });
    assert_eq!(*hour, expected);
    let minutes = api.get("/api/v1/gas/base?step=minute").await.body;
    let blocks: Vec<&Value> =
        minutes["items"].as_array().unwrap().iter().map(|step| &step["blocks"]).collect();
    assert_eq!(blocks, [&json!(5), &json!(5)]);
    assert_eq!(api.get("/api/v1/gas/base?step=day").await.body["items"][0]["blocks"], 10);
    let long = api.get("/api/v1/gas/base?step=minute&since=-2d").await;
    assert_eq!(long.problem(), "bad-parameter");
    let key = servers.key(&api, ApiRole::Viewer, Some(&["ethereum"])).await;
    assert_eq!(api.get_as(&key, "/api/v1/gas/base").await.body["items"], json!([]));
}
