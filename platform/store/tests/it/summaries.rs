use crypto_intel_schemas::{
    Address, B256, Decimal, Erc20Transfer, Event, InternalTransfer, Kind, NativeTransfer, Price,
    Uint256, WatchEntry, Watched, samples,
};
use crypto_intel_service::now_us;
use crypto_intel_store::block_tag;

use crate::support::{database, rows, step, write};

const MINUTE_US: i64 = 60_000_000;

fn address(byte: u8) -> Address {
    Address::repeat_byte(byte)
}

fn decimal(text: &str) -> Option<Decimal> {
    Some(Decimal::parse(text).unwrap())
}

/// An ERC-20 transfer that many minutes ago.
fn token(minutes: i64, index: u32, parties: (u8, u8), value: u64, usd: Option<&str>) -> Event {
    Event::from(Erc20Transfer {
        chain: "test".into(),
        block_hash: B256::repeat_byte(minutes as u8),
        block_time_us: now_us() - minutes * MINUTE_US,
        log_index: index,
        address: address(0xAA),
        from: address(parties.0),
        to: address(parties.1),
        value: Uint256::from(value),
        symbol: Some("TOK".into()),
        decimals: Some(0),
        usd: usd.and_then(decimal),
        token_verified: usd.is_some(),
        ..Erc20Transfer::empty()
    })
}

fn native(minutes: i64, parties: (u8, u8), value: u64, usd: &str) -> Event {
    Event::from(NativeTransfer {
        chain: "test".into(),
        block_hash: B256::repeat_byte(minutes as u8),
        block_time_us: now_us() - minutes * MINUTE_US,
        from: address(parties.0),
        to: address(parties.1),
        value: Uint256::from(value),
        symbol: Some("ETH".into()),
        usd: decimal(usd),
        ..NativeTransfer::empty()
    })
}

fn internal(minutes: i64, parties: (u8, u8), value: u64) -> Event {
    Event::from(InternalTransfer {
        chain: "test".into(),
        block_hash: B256::repeat_byte(minutes as u8),
        block_time_us: now_us() - minutes * MINUTE_US,
        from: address(parties.0),
        to: address(parties.1),
        value: Uint256::from(value),
        ..InternalTransfer::empty()
    })
}

#[tokio::test]
async fn a_wallets_flow_and_its_counterparties_are_those_of_its_transfers() {
    let (_database, store, client) = database().await;
    let events = [
        token(5, 0, (1, 2), 100, Some("10.5")),
        token(6, 0, (2, 1), 30, None),
        token(7, 0, (3, 1), 1, None),
        native(8, (1, 2), 7, "20"),
        internal(9, (4, 1), 50),
        // To itself, too old, and between others.
        token(10, 0, (1, 1), 2, None),
        token(90, 0, (1, 2), 1_000, None),
        token(5, 1, (2, 3), 500, None),
    ];
    write(&store, step(0, 1), &events).await.unwrap();
    let entry = WatchEntry { label: Some("desk".into()), ..WatchEntry::default() };
    let desk = Watched { chain: "all".parse().unwrap(), address: address(2).into(), entry };
    store.keep_wallets(&[desk]).await.unwrap();

    let one = format!("hex_bytes('{:#x}'), now() - interval '1 hour'", address(1));
    let flow = format!(
        "SELECT symbol, token IS NULL, transfers_in, transfers_out, value_in, value_out, value_net, usd_net \
         FROM wallet_flow({one})"
    );
    assert_eq!(
        rows(&client, &flow).await,
        ["ETH t 1 1 50 7 43 -20", "TOK f 3 2 33 102 -69 -10.5"],
        "the larger in dollars first; native value inside contracts counts"
    );
    let dealt = format!(
        "SELECT right(hex_text(counterparty), 2), label, transfers_in, transfers_out, usd_out, tokens, chains \
         FROM counterparties({one}, most => 3)"
    );
    assert_eq!(
        rows(&client, &dealt).await,
        ["02 desk 1 2 30.5 2 {test}", "01 - 1 1 0 1 {test}", "03 - 1 0 0 1 {test}"]
    );
    let earlier = format!(
        "SELECT value_out FROM wallet_flow(hex_bytes('{:#x}'), now() - interval '2 hours', now() - interval '1 hour')",
        address(1)
    );
    assert_eq!(rows(&client, &earlier).await, ["1000"]);
}

#[tokio::test]
async fn the_largest_transfers_are_found_whether_they_are_large_or_not() {
    let (_database, store, client) = database().await;
    let mut events: Vec<Event> = (0..20)
        .map(|index| token(1, index, (1, 2), 1, Some(&format!("{}", 9_990 + index))))
        .collect();
    events.push(native(2, (1, 2), 1, "50000"));
    // An unknown token may claim anything.
    let mut forged = token(3, 0, (1, 2), 1, Some("99999999"));
    if let Event::Erc20Transfer(body) = &mut forged {
        body.token_verified = false;
    }
    events.push(forged);
    write(&store, step(0, 1), &events).await.unwrap();
    let largest = |arguments: &str| {
        format!("SELECT standard, usd FROM largest_transfers(now() - interval '1 hour'{arguments})")
    };
    let three = ["native 50000", "erc20 10009", "erc20 10008"];
    assert_eq!(rows(&client, &largest(", most => 3")).await, three);
    let all = rows(&client, &largest(", most => 30")).await;
    assert_eq!((all.len(), all[20].as_str()), (21, "erc20 9990"), "small ones fill the list");
    assert!(rows(&client, &largest(", chains => ARRAY['other']")).await.is_empty());
    assert_eq!(rows(&client, &largest(", chains => ARRAY['test', 'other']")).await.len(), 21);
}

#[tokio::test]
async fn movers_are_ordered_by_how_far_they_moved() {
    let (_database, store, client) = database().await;
    let tick = |asset: &str, minutes: i64, price: &str, volume: Option<&str>| {
        Event::from(Price {
            asset: asset.into(),
            quote: "usd".into(),
            price: Decimal::parse(price).unwrap(),
            volume_24h: volume.and_then(decimal),
            ..Price::at("p", now_us() - minutes * MINUTE_US, 0)
        })
    };
    let events = [
        tick("up", 50, "100", None),
        tick("up", 30, "90", None),
        tick("up", 1, "101", None),
        tick("down", 50, "100", Some("7")),
        tick("down", 2, "50", None),
        tick("zero", 50, "0", None),
        tick("zero", 2, "1", None),
        tick("silent", 120, "1", None),
        tick("up", 120, "1", None),
    ];
    write(&store, step(0, 1), &events).await.unwrap();
    let movers = "SELECT asset, price_before, price, change_percent, low, high, volume_24h FROM top_movers('1 hour')";
    assert_eq!(
        rows(&client, movers).await,
        ["down 100 50 -50.00 50 100 7", "up 100 101 1.00 90 101 -", "zero 0 1 - 0 1 -"]
    );
    let day = rows(&client, "SELECT asset, change_percent FROM top_movers()").await;
    assert_eq!(day[0], "up 10000.00", "since two hours ago");
}

#[tokio::test]
async fn volume_stands_out_against_its_day() {
    let (_database, store, client) = database().await;
    let mut events: Vec<Event> =
        (2..22).map(|hours| token(hours * 60 + 61, 0, (1, 2), 12, Some("1"))).collect();
    events.extend((0..3).map(|index| token(10, index, (1, 2), 20, Some("2"))));
    let volume = |minutes: i64, volume: &str| {
        Event::from(Price {
            asset: "bitcoin".into(),
            quote: "usd".into(),
            price: Decimal::parse("1").unwrap(),
            volume_24h: decimal(volume),
            ..Price::at("p", now_us() - minutes * MINUTE_US, 0)
        })
    };
    events.extend([volume(600, "10"), volume(300, "20"), volume(5, "60")]);
    write(&store, step(0, 1), &events).await.unwrap();
    let ratios = "SELECT what, name, source, transfers, transfers_mean, volume, trim_scale(volume_mean), usd, ratio \
         FROM volume_against_baseline() ORDER BY what";
    // 20 transfers of 12 in the 24 hours before are 10 an hour.
    assert_eq!(
        rows(&client, ratios).await,
        ["asset bitcoin/usd p - - 60.000000 30 - 2.000", "token TOK - 3 0.83 60 10 6 6.000"]
    );
}

#[tokio::test]
async fn the_last_transfers_are_the_newest_of_all_tables_and_both_sides() {
    let (_database, store, client) = database().await;
    let events = [
        token(5, 0, (1, 2), 100, None),
        token(200, 0, (2, 1), 30, None),
        native(8, (1, 2), 7, "20"),
        internal(9, (4, 1), 50),
        // Between others, one of them with the same key as the wallet's.
        token(6, 0, (2, 3), 9, None),
        token(7, 0, (3, 3), 8, None),
    ];
    write(&store, step(0, 1), &events).await.unwrap();
    let same_key =
        "UPDATE token_transfers SET sender = address_key(hex_bytes($1)) || sender WHERE value = 9";
    let wallet = format!("{:#x}", address(1));
    client.execute(same_key, &[&wallet]).await.unwrap();
    let last = |more: &str| {
        format!(
            "SELECT standard, direction, amount, value FROM last_transfers(hex_bytes('{wallet}'){more})"
        )
    };
    let all = ["erc20 out 100 100", "native out - 7", "internal in - 50", "erc20 in 30 30"];
    assert_eq!(rows(&client, &last("")).await, all);
    assert_eq!(rows(&client, &last(", 2")).await, all[..2]);
    let earlier = last(", until => now() - interval '1 hour'");
    assert_eq!(rows(&client, &earlier).await, all[3..]);
    let of_token = format!("SELECT value FROM last_of_token(hex_bytes('{:#x}'), 3)", address(0xAA));
    assert_eq!(rows(&client, &of_token).await, ["100", "9", "8"]);
    assert!(rows(&client, &of_token.replace("aa", "ab")).await.is_empty());
}

#[tokio::test]
async fn questions_for_an_address_are_answered_by_its_index() {
    let (_database, store, client) = database().await;
    let kinds = [
        Kind::Erc20Transfer,
        Kind::NativeTransfer,
        Kind::InternalTransfer,
        Kind::Swap,
        Kind::ContractEvent,
    ];
    write(&store, step(0, 1), &kinds.map(samples::sample)).await.unwrap();
    // Small tables are read as a whole, whatever indexes there are.
    client.batch_execute("SET enable_seqscan = off").await.unwrap();
    let x = format!("hex_bytes('{:#x}')", address(1));
    let swaps = format!("address_key(coalesce(pool_id, pool)) = address_key({x}) AND pool = {x}");
    for (question, index) in [
        (format!("last_transfers({x})"), "token_transfers_sender"),
        (format!("last_transfers({x})"), "internal_transfers_recipient"),
        (format!("last_of_token({x})"), "token_transfers_token"),
        (format!("swaps WHERE {swaps}"), "swaps_pool"),
        (format!("events WHERE address_key(address) = address_key({x})"), "events_address"),
    ] {
        let plan = rows(&client, &format!("EXPLAIN SELECT * FROM {question}")).await.join("\n");
        assert!(plan.contains(index), "{index} is missing in the plan of {question}:\n{plan}");
    }
}

#[tokio::test]
async fn amounts_are_exact_for_every_number_of_decimals() {
    let (_database, _store, client) = database().await;
    let wrong = "SELECT count(*) FROM generate_series(0, 77) AS d CROSS JOIN (VALUES (0), (1), (2 ^ 256::numeric - 1)) AS v (value) \
                 WHERE whole_units(value, d::smallint) IS DISTINCT FROM value * ('1e-' || d)::numeric";
    assert_eq!(rows(&client, wrong).await, ["0"]);
    let unknown = "SELECT whole_units(5, NULL)";
    assert_eq!(rows(&client, unknown).await, ["-"]);
}

#[tokio::test]
async fn the_database_takes_the_same_tag_of_a_hash() {
    let (_database, _store, client) = database().await;
    for byte in [0, 1, 0x7F, 0x80, 0xFF] {
        let mut hash = B256::repeat_byte(byte);
        hash.0[31] = 3;
        let row = client.query_one("SELECT block_tag($1)", &[&hash.as_slice()]).await.unwrap();
        assert_eq!(row.get::<_, i32>(0), block_tag(&hash));
    }
}
