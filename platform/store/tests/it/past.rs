//! Rows as the events that they were stored from.

use std::collections::{BTreeMap, BTreeSet};

use crypto_intel_schemas::{
    B256, Balance, Block, Erc20Transfer, Event, Kind, Price, polled_event_id, samples,
};
use crypto_intel_store::{
    PastEvents, PastReader, PastRequest, RowSet, Store, Table, fields_not_kept,
};
use serde_json::Value;

use crate::support::{database, step};

const SECOND_US: i64 = 1_000_000;
const DAY_US: i64 = 86_400 * SECOND_US;

fn everything() -> PastRequest {
    PastRequest {
        kinds: Kind::ALL.iter().copied().filter(|kind| kind.is_in_rules()).collect(),
        since_us: 0,
        until_us: i64::MAX,
        stream_begins_us: None,
        last_blocks: BTreeMap::new(),
    }
}

/// Stores events; markers with the time at which the stream had them.
async fn store_all(store: &Store, events: &[Event], markers: &[(Block, i64)]) {
    let mut rows = RowSet::default();
    for (event, message) in events.iter().zip(0..) {
        rows.add(event, 0, message).unwrap().expect("a row");
    }
    for (marker, revision) in markers {
        rows.add_block(marker, *revision, true, 0).unwrap();
    }
    rows.sort_and_reduce();
    store.position("EVM").await.unwrap();
    let (transaction, _) = store.begin(step(0, 1), &[]).await.unwrap();
    let parts = Table::ALL.map(|table| (table, rows.table(table)));
    transaction.copy_all(&parts, |_| true).await.map_err(|(_, error)| error).unwrap();
    transaction.commit().await.unwrap();
}

async fn all_of(mut reader: PastReader) -> Vec<PastEvents> {
    let mut all = Vec::new();
    while let Some(events) = reader.next().await.unwrap() {
        all.push(events);
    }
    assert_eq!(reader.counts().unreadable, 0);
    all
}

/// The fields of an event that tables have.
fn kept(event: &Event) -> Value {
    let mut json = event.to_json();
    let fields = json.as_object_mut().unwrap();
    fields.retain(|name, _| !fields_not_kept(event.kind()).contains(&name.as_str()));
    // Who moves the coin, or creates the contract, is who sent the transaction: the column has it once.
    if matches!(event.kind(), Kind::NativeTransfer | Kind::ContractCreation) {
        fields.remove("tx_from");
    }
    // One log is several events only where it is a transfer of several tokens, or is decoded as such.
    if event.log_fields().is_some() {
        let id = fields["id"].as_str().unwrap().trim_end_matches(".1").to_owned();
        fields.insert("id".to_owned(), id.into());
        if !matches!(Table::of_kind(event.kind()), Some(Table::TokenTransfers | Table::Events)) {
            fields.remove("sub_index");
        }
    }
    json
}

/// Samples of one table have one key: the transfers of the second and third standard go into logs of their own.
fn apart(event: Event) -> Event {
    match event {
        Event::Erc721Transfer(mut body) => {
            body.log_index += 1;
            body.id = body.id.replace(":42", ":43");
            Event::from(body)
        }
        Event::Erc1155Transfer(mut body) => {
            body.log_index += 2;
            body.id = body.id.replace(":42", ":44");
            Event::from(body)
        }
        other => other,
    }
}

fn sample_block() -> Block {
    match samples::sample(Kind::Block) {
        Event::Block(block) => block,
        _ => unreachable!("the sample of a kind is of this kind"),
    }
}

#[tokio::test]
async fn every_kind_comes_back_with_all_that_its_table_keeps() {
    for sample in [samples::sample, samples::sample_minimal] {
        let (_database, store, _) = database().await;
        let mut marker = match sample(Kind::Block) {
            Event::Block(block) => block,
            _ => unreachable!("the sample of a kind is of this kind"),
        };
        marker.incarnation = 1;
        let stored: Vec<Event> = Kind::ALL
            .iter()
            .filter(|kind| kind.is_in_rules() && Table::of_kind(**kind).is_some())
            .map(|kind| {
                let mut event = apart(sample(*kind));
                if kind.is_polled() || *kind == Kind::ProviderStatus {
                    let (key, at_us) = (event.key(), event.event_at_us());
                    event.set_id(polled_event_id(event.source(), *kind, &key, at_us));
                }
                if event.block_fields().is_some() {
                    event.set_incarnation(1, marker.observed_at_us);
                }
                event
            })
            .collect();
        store_all(&store, &stored, &[(marker.clone(), marker.observed_at_us)]).await;
        let read = all_of(store.past(everything()).await.unwrap()).await;
        let read: BTreeMap<Kind, Event> = read
            .into_iter()
            .flat_map(|past| past.events)
            .map(|event| (event.kind(), event))
            .collect();
        for event in stored.iter().chain([&Event::from(marker)]) {
            let found = read.get(&event.kind()).unwrap_or_else(|| panic!("no {}", event.kind()));
            let (expected, found) = (kept(event), kept(found));
            assert_eq!(found, expected, "{}", event.kind());
        }
        let full = samples::sample(Kind::Transaction);
        if sample(Kind::Transaction) == full {
            // What is said to be lost is: else the report of a test would name it for nothing.
            for event in &stored {
                for field in fields_not_kept(event.kind()) {
                    let of_stored = event.to_json().get(*field).cloned();
                    let of_read = read[&event.kind()].to_json().get(*field).cloned();
                    assert_ne!(of_stored, of_read, "{} keeps {field}", event.kind());
                }
            }
        }
    }
}

/// A block of a chain with a transfer at each of these places.
fn block(chain: &str, number: u64, at_us: i64, logs: &[u32]) -> (Block, Vec<Event>) {
    let mut hash = B256::repeat_byte(7);
    hash.0[24..].copy_from_slice(&number.to_be_bytes());
    let marker = Block {
        chain: chain.into(),
        event_at_us: at_us,
        observed_at_us: at_us + SECOND_US,
        block_time_us: at_us,
        block_number: number,
        block_hash: hash,
        incarnation: 1,
        finalized_number: number.saturating_sub(number % 2),
        ..Block::empty()
    };
    let transfers = logs.iter().map(|log_index| {
        Event::from(Erc20Transfer {
            chain: chain.into(),
            block_time_us: at_us,
            block_number: number,
            block_hash: hash,
            incarnation: 1,
            tx_index: log_index / 10,
            log_index: *log_index,
            ..Erc20Transfer::empty()
        })
    });
    (marker, transfers.collect())
}

#[tokio::test]
async fn blocks_come_whole_in_the_order_in_which_the_stream_had_them() {
    let (_database, store, _) = database().await;
    let start_us = 1_767_650_400 * SECOND_US;
    let mut events = Vec::new();
    let mut markers = Vec::new();
    // Base was told at once, Ethereum ten seconds after its time, one block of it long after.
    for (chain, number, seconds, lag) in [
        ("ethereum", 1, 0, 10),
        ("base", 1, 2, 1),
        ("base", 2, 4, 1),
        ("ethereum", 2, 12, 10),
        ("base", 3, 14, 1),
        ("ethereum", 3, 24, 90 * 86_400),
        ("ethereum", 4, 36, 10),
    ] {
        let at_us = start_us + seconds * SECOND_US;
        // A hash of two chains at one height differs by its chain only here.
        let (marker, transfers) = block(chain, number, at_us, &[21, 3, 4]);
        events.extend(transfers);
        markers.push((marker, at_us + lag * SECOND_US));
    }
    let price = |seconds: i64, late_us: i64| {
        let at_us = start_us + seconds * SECOND_US;
        Event::from(Price {
            asset: "bitcoin".into(),
            ..Price::at("test", at_us, at_us + SECOND_US + late_us)
        })
    };
    events.extend([price(20, 0), price(5, 40 * DAY_US), price(6, 30 * SECOND_US)]);
    store_all(&store, &events, &markers).await;
    let request = PastRequest {
        kinds: BTreeSet::from([Kind::Erc20Transfer, Kind::Finalized, Kind::Price]),
        ..everything()
    };
    let told = async |request: PastRequest| {
        let read = all_of(store.past(request).await.unwrap()).await;
        assert!(read.is_sorted_by_key(|past| past.at_us));
        let shown = read.iter().map(|past| {
            let seconds = (past.at_us - start_us) / SECOND_US;
            let of_one = past.events.iter().map(|event| match event {
                Event::Block(block) => format!("{} {}", block.chain, block.block_number),
                Event::Erc20Transfer(transfer) => transfer.log_index.to_string(),
                Event::Finalized(_) => "final".to_owned(),
                other => other.kind().to_string(),
            });
            format!("{seconds}: {}", of_one.collect::<Vec<_>>().join(" "))
        });
        shown.collect::<Vec<_>>()
    };
    let all = [
        "3: 3 4 21 base 1",
        "5: final 3 4 21 base 2",
        "5: price",
        "10: 3 4 21 ethereum 1",
        "15: 3 4 21 base 3",
        "21: price",
        "22: final 3 4 21 ethereum 2",
        "24: 3 4 21 ethereum 3",
        "37: price",
        "46: final 3 4 21 ethereum 4",
    ];
    assert_eq!(told(request.clone()).await, all);
    // The stream has Base from its third block on, and Ethereum from the moment when its fourth was seen.
    let before = PastRequest {
        stream_begins_us: Some(start_us + 37 * SECOND_US),
        until_us: start_us + 37 * SECOND_US,
        last_blocks: BTreeMap::from([("base".to_owned(), 2)]),
        ..request
    };
    let of_tables: Vec<&str> = all
        .iter()
        .filter(|line| !["base 3", "ethereum 4", "37:"].iter().any(|gone| line.contains(gone)))
        .copied()
        .collect();
    assert_eq!(told(before).await, of_tables);
}

#[tokio::test]
async fn a_balance_knows_its_block_by_its_tag() {
    let (_database, store, _) = database().await;
    let marker = sample_block();
    let Event::Balance(sample) = samples::sample(Kind::Balance) else { unreachable!() };
    let native = Balance { asset: Balance::NATIVE.into(), ..sample };
    store_all(&store, &[Event::from(native)], &[(marker.clone(), marker.observed_at_us)]).await;
    let read = all_of(store.past(everything()).await.unwrap()).await;
    let balances = read.iter().flat_map(|past| &past.events).filter_map(|event| match event {
        Event::Balance(balance) => Some((balance.asset.as_str(), balance.block_hash)),
        _ => None,
    });
    assert_eq!(balances.collect::<Vec<_>>(), [(Balance::NATIVE, marker.block_hash)]);
}
