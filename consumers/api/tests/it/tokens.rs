//! Tokens, approvals, and what departs from the usual.

use crypto_intel_api::Config;
use crypto_intel_evm::ListedToken;
use crypto_intel_nats::Bucket;
use crypto_intel_schemas::{
    Address, ApiRole, Approval, AssetPrice, Decimal, Erc20Transfer, Event, Kind, TokenEntry,
    TokenStandard, U256, Uint256, log_event_id, samples,
};
use crypto_intel_service::now_us;
use crypto_intel_testkit::eventually;
use serde_json::{Value, json};

use crate::{
    harness::{Api, Servers},
    seed::{blocks, wallet, write},
};

const HOUR_US: i64 = 3_600_000_000;

fn listed(chain: &str) -> ListedToken {
    ListedToken {
        chain: chain.to_owned(),
        contract: wallet(9),
        asset: Some("usd-coin".into()),
        symbol: "USDC".into(),
        decimals: 6,
        verified: true,
    }
}

/// Open to everybody, with a list of one token on two chains.
async fn open_api(servers: &Servers) -> Api {
    let config = Config {
        anonymous_role: Some(ApiRole::Admin),
        anonymous_cost_per_minute: 1_000_000,
        tokens: vec![listed("base"), listed("ethereum")],
        ..Config::default()
    };
    servers.api(config).await
}

async fn put_token(servers: &Servers, chain: &str, token: Address, symbol: &str) {
    let bucket = servers.nats.kv(Bucket::Tokens).await.unwrap();
    let entry = TokenEntry {
        symbol: Some(symbol.to_owned()),
        name: Some(format!("A token called {symbol}")),
        decimals: Some(2),
        at_us: 1,
    };
    let value = serde_json::to_vec(&entry).unwrap();
    bucket.put(&TokenEntry::key(chain, &token), value).await.unwrap();
}

fn places(page: &Value) -> Vec<(String, String)> {
    let text = |item: &Value, field: &str| item[field].as_str().unwrap_or_default().to_owned();
    let items = page["items"].as_array().unwrap().iter();
    items.map(|item| (text(item, "chain"), text(item, "address"))).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_token_is_found_by_name_and_address_verified_ones_first() {
    let servers = Servers::start().await;
    put_token(&servers, "base", wallet(7), "USDC").await;
    put_token(&servers, "solo", wallet(8), "USDC").await;
    let api = open_api(&servers).await;
    write(&servers.store, "EVM", &[blocks("base", 3), blocks("ethereum", 1)].concat(), 0).await;
    let place = |chain: &str, number| (chain.to_owned(), format!("{:#x}", wallet(number)));
    let of_usdc = [place("base", 9), place("ethereum", 9), place("base", 7)];
    eventually(async || places(&api.get("/api/v1/tokens?query=usdc").await.body) == of_usdc).await;
    let verified = api.get("/api/v1/tokens?query=usd-coin&verified=true&chain=base").await;
    assert_eq!(places(&verified.body), [place("base", 9)]);
    assert_eq!(
        places(&api.get("/api/v1/tokens?query=called&chain=solo").await.body),
        [place("solo", 8)]
    );
    let cut = api.get("/api/v1/tokens?query=USDC&limit=1").await;
    assert_eq!(places(&cut.body).len(), 1);
    assert!(cut.body["warnings"][0].as_str().unwrap().contains("more"));
    let by_address = api.get(&format!("/api/v1/tokens?query={:#x}", wallet(9))).await;
    assert_eq!(places(&by_address.body), [place("base", 9), place("ethereum", 9)]);

    let key = servers.key(&api, ApiRole::Viewer, Some(&["base"])).await;
    let seen = api.get_as(&key, "/api/v1/tokens?query=usdc").await;
    assert_eq!(places(&seen.body), [place("base", 9), place("base", 7)]);
    let other = format!("/api/v1/tokens/ethereum/{:#x}", wallet(9));
    assert_eq!(api.get_as(&key, &other).await.problem(), "not-found");
    assert_eq!(api.get_as(&key, &format!("{other}/volume")).await.body["items"], json!([]));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_token_says_who_calls_it_so_what_it_is_worth_and_what_moved() {
    let servers = Servers::start().await;
    put_token(&servers, "base", wallet(7), "<b>EVIL</b>").await;
    let prices = servers.nats.kv(Bucket::Prices).await.unwrap();
    let price = AssetPrice {
        price: Decimal::parse("0.9998").unwrap(),
        at_us: now_us() - 5_000_000,
        source: "somewhere".into(),
        ..AssetPrice::default()
    };
    prices.put(&AssetPrice::key("usd-coin"), serde_json::to_vec(&price).unwrap()).await.unwrap();
    let api = open_api(&servers).await;
    let events = blocks("base", 4);
    write(&servers.store, "EVM", &events, 0).await;

    let place = format!("/api/v1/tokens/base/{:#x}", wallet(9));
    let token = api.get(&place).await.body;
    assert_eq!((&token["symbol"], &token["decimals"]), (&json!("USDC"), &json!(6)));
    assert_eq!((&token["verified"], &token["said_by"]), (&json!(true), &json!("list")));
    assert_eq!((&token["price"]["usd"], &token["standard"]), (&json!("0.9998"), &json!("erc20")));
    let last = events.iter().rfind(|event| event.kind() == Kind::Erc20Transfer).unwrap();
    assert_eq!(token["last_transfer_at_us"], last.block_fields().unwrap().block_time_us);

    // 0 + 1 + 2 + 3, in one hour or two.
    let volume = api.get(&format!("{place}/volume?since=-2h")).await.body;
    let sum = |field: &str| -> f64 {
        let items = volume["items"].as_array().unwrap().iter();
        items.map(|item| item[field].as_str().unwrap().parse::<f64>().unwrap()).sum()
    };
    assert_eq!((sum("value"), sum("amount"), sum("usd")), (6_000_000.0, 6.0, 6_000.0));
    let transfers = volume["items"].as_array().unwrap().iter().map(|it| it["transfers"].as_u64());
    assert_eq!(transfers.flatten().sum::<u64>(), 4);
    assert_eq!(volume["items"][0]["bucket_us"].as_i64().unwrap() % HOUR_US, 0);
    let days = api.get(&format!("{place}/volume?step=day")).await.body;
    assert_eq!(
        days["items"].as_array().unwrap().last().unwrap()["bucket_us"].as_i64().unwrap()
            % (24 * HOUR_US),
        0
    );
    assert_eq!(api.get(&format!("{place}/volume?step=minute")).await.problem(), "bad-parameter");

    let said = format!("/api/v1/tokens/base/{:#x}", wallet(7));
    let said = eventually(async || {
        let answer = api.get(&said).await;
        (answer.status == 200).then_some(answer.body)
    })
    .await;
    assert_eq!((&said["symbol"], &said["said_by"]), (&json!("<b>EVIL</b>"), &json!("contract")));
    assert_eq!((&said["verified"], &said["price"]), (&json!(false), &Value::Null));
    let nothing = api.get(&format!("/api/v1/tokens/base/{:#x}", wallet(77))).await;
    assert_eq!((nothing.status, nothing.problem()), (404, "not-found"));
}

/// An approval of wallet 1, in a block of its own.
fn approval(number: u64, more: impl FnOnce(&mut Approval)) -> Event {
    let Event::Erc20Transfer(place) = &blocks("base", number + 1)[number as usize * 2] else {
        panic!()
    };
    let mut one = Approval {
        id: log_event_id("base", &place.block_hash, Kind::Approval, 4, None),
        event_at_us: place.event_at_us,
        observed_at_us: place.observed_at_us,
        chain: "base".into(),
        chain_id: 7,
        block_number: number,
        block_hash: place.block_hash,
        block_time_us: place.block_time_us - 60_000_000 + number as i64 * 1_000_000,
        tx_hash: place.tx_hash,
        log_index: 4,
        address: wallet(9),
        standard: TokenStandard::Erc20,
        owner: wallet(1),
        spender: wallet(20),
        ..Approval::empty()
    };
    more(&mut one);
    Event::from(one)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn approvals_that_no_later_one_withdrew_are_open() {
    let servers = Servers::start().await;
    let api = open_api(&servers).await;
    let amount = |spender: u8, value: U256| {
        move |one: &mut Approval| {
            one.spender = wallet(spender);
            one.value = Some(Uint256(value));
        }
    };
    let nft = |spender: Address, id: u64| {
        move |one: &mut Approval| {
            one.standard = TokenStandard::Erc721;
            (one.address, one.spender) = (wallet(11), spender);
            one.token_id = Some(Uint256::from(id));
        }
    };
    let all = |spender: u8, approved: bool| {
        move |one: &mut Approval| {
            one.standard = TokenStandard::Unknown;
            (one.address, one.spender) = (wallet(11), wallet(spender));
            one.approved = Some(approved);
        }
    };
    let events = [
        approval(0, amount(20, U256::MAX)),
        approval(1, amount(21, U256::from(1_500_000))),
        approval(2, amount(22, U256::from(7))),
        approval(3, amount(22, U256::ZERO)),
        approval(4, nft(wallet(23), 1)),
        approval(5, nft(wallet(24), 1)),
        approval(6, nft(wallet(23), 2)),
        approval(7, nft(Address::ZERO, 2)),
        approval(8, all(25, true)),
        approval(9, all(26, true)),
        approval(10, all(26, false)),
        approval(11, |one| {
            one.owner = wallet(2);
            one.value = Some(Uint256::from(9));
        }),
    ];
    write(&servers.store, "EVM", &events, 0).await;
    let path = format!("/api/v1/wallets/{:#x}/approvals", wallet(1));
    let page = api.get(&path).await;
    let lines = page.body["items"].as_array().unwrap();
    let told: Vec<(String, &str, bool)> = lines
        .iter()
        .map(|line| {
            let spender = line["spender"].as_str().unwrap().to_owned();
            (spender, line["kind"].as_str().unwrap(), line["unlimited"].as_bool().unwrap())
        })
        .collect();
    let spender = |number: u8| format!("{:#x}", wallet(number));
    assert_eq!(
        told,
        [
            (spender(25), "collection", true),
            (spender(24), "nft", false),
            (spender(21), "allowance", false),
            (spender(20), "allowance", true),
        ]
    );
    assert_eq!((&lines[2]["amount"], &lines[2]["symbol"]), (&json!("1.5"), &json!("USDC")));
    assert_eq!(lines[1]["token_id"], "1");
    let unlimited = api.get(&format!("{path}?unlimited=true&token={:#x}", wallet(9))).await;
    assert_eq!(unlimited.body["items"], json!([lines[3]]));
    assert_eq!(api.get(&format!("{path}?chain=ethereum")).await.body["items"], json!([]));
    let key = servers.key(&api, ApiRole::Viewer, Some(&["ethereum"])).await;
    assert_eq!(api.get_as(&key, &path).await.body["items"], json!([]));
}

/// A transfer of the listed token in the middle of an hour before this one.
fn hour(ago: i64, value: u64) -> Event {
    let this_hour_us = now_us().div_euclid(HOUR_US) * HOUR_US;
    let at_us = this_hour_us - ago * HOUR_US + HOUR_US / 2;
    let Event::Erc20Transfer(sample) = blocks("base", 1).remove(0) else { panic!() };
    let number = 1_000 - ago.unsigned_abs();
    let mut block_hash = sample.block_hash;
    block_hash[..8].copy_from_slice(&number.to_be_bytes());
    block_hash[28..].copy_from_slice(&(number as u32).to_be_bytes());
    Event::from(Erc20Transfer {
        id: log_event_id("base", &block_hash, Kind::Erc20Transfer, 3, None),
        block_number: number,
        block_hash,
        block_time_us: at_us,
        event_at_us: at_us,
        value: Uint256(U256::from(value)),
        ..sample
    })
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_departs_from_its_hours_is_told_with_what_was_usual_and_since_when() {
    let servers = Servers::start().await;
    let api = open_api(&servers).await;
    let usual = (3..=26).map(|ago| hour(ago, 1_000_000 + ago as u64 % 5 * 100_000));
    let events: Vec<Event> = usual.chain([hour(2, 9_000_000), hour(1, 8_000_000)]).collect();
    write(&servers.store, "EVM", &events, 0).await;
    let Event::Price(sample) = samples::sample(Kind::Price) else { panic!() };
    let price = |ago: i64, asset: &str, price: String| {
        let at_us = now_us() - ago * HOUR_US;
        Event::from(crypto_intel_schemas::Price {
            id: format!("{asset}{ago}"),
            event_at_us: at_us,
            asset: asset.into(),
            quote: "usd".into(),
            price: Decimal::parse(&price).unwrap(),
            volume_24h: None,
            ..sample.clone()
        })
    };
    let mut ticks: Vec<Event> =
        (1..24).flat_map(|ago| ["dollar", "calm"].map(|it| price(ago, it, "1".into()))).collect();
    ticks.extend([price(0, "dollar", "0.9".into()), price(0, "calm", "1.001".into())]);
    write(&servers.store, "MARKET", &ticks, 0).await;

    let page = api.get("/api/v1/analysis/anomalies").await;
    let items = page.body["items"].as_array().unwrap();
    let of = |what: &str| items.iter().find(|item| item["what"] == what).unwrap();
    assert_eq!(items.len(), 2, "{page:?}");
    let volume = of("token_volume");
    let this_hour_us = now_us().div_euclid(HOUR_US) * HOUR_US;
    assert_eq!((&volume["value"], &volume["symbol"]), (&json!("8"), &json!("USDC")));
    assert_eq!(volume["expected"], "1.2");
    assert_eq!(volume["hour_us"], this_hour_us - HOUR_US);
    assert_eq!(volume["since_us"], this_hour_us - 2 * HOUR_US, "for two hours");
    let high: f64 = volume["high"].as_str().unwrap().parse().unwrap();
    assert!(high > 1.4 && high < 8.0 && volume["z"].as_f64().unwrap() > 5.0, "{volume}");
    let fall = of("price");
    assert_eq!((&fall["asset"], &fall["expected"]), (&json!("dollar"), &json!("1")));
    assert!(fall["z"].as_f64().unwrap() < -5.0, "{fall}");

    let prices = api.get("/api/v1/analysis/anomalies?what=price&sensitivity=2&hours=12").await;
    assert_eq!(prices.body["items"].as_array().unwrap().len(), 1, "a tenth of a percent is usual");
    let key = servers.key(&api, ApiRole::Viewer, Some(&["ethereum"])).await;
    let seen = api.get_as(&key, "/api/v1/analysis/anomalies").await;
    assert!(!seen.body.to_string().contains("token_volume"), "{seen:?}");
    let busiest = api.get("/api/v1/analysis/anomalies?what=token_volume&verified=false").await;
    assert_eq!(busiest.body["items"].as_array().unwrap().len(), 1);
}
