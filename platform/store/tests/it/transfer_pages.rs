//! Pages of transfers: every row once, in one order, whatever the filter, and as the event that it was made of.

use crypto_intel_schemas::{
    Address, B256, Block, Erc20Transfer, Erc721Transfer, Erc1155Transfer, Event, InternalTransfer,
    Kind, NativeTransfer, U256, Uint256, log_event_id, samples, transaction_event_id,
};
use crypto_intel_store::{
    PageRequest, RowSet, Side, Store, Table, Towards, TransferFilter, TransferKey, TransferKind,
    WalkBudget,
};
use crypto_intel_testkit::{SeededRandom, assert_same_set};
use rand::RngExt as _;

use crate::support::{database, rows, step};

const START_US: i64 = 1_700_000_000_000_000;
const HOUR_US: i64 = 3_600_000_000;

/// Writes events with the rows of their blocks.
async fn write(store: &Store, number: u64, events: &[Event]) {
    let mut set = RowSet::default();
    let mut blocks: Vec<(String, u64, B256)> = Vec::new();
    for (message, event) in events.iter().enumerate() {
        let block = event.block_fields().unwrap();
        let name = (block.chain.to_owned(), block.block_number, block.block_hash);
        if !blocks.contains(&name) {
            let marker = Block {
                chain: block.chain.to_owned(),
                chain_id: block.chain_id,
                block_number: block.block_number,
                block_hash: block.block_hash,
                block_time_us: block.block_time_us,
                observed_at_us: event.observed_at_us(),
                incarnation: block.incarnation,
                ..Block::empty()
            };
            set.add_block(&marker, 1, true, message as u32).unwrap();
            blocks.push(name);
        }
        set.add(event, 0, message as u32).unwrap().expect("a row");
    }
    set.sort_and_reduce();
    store.position("EVM").await.unwrap();
    let (transaction, _) = store.begin(step(number - 1, number), &[]).await.unwrap();
    let parts = Table::ALL.map(|table| (table, set.table(table)));
    transaction.copy_all(&parts, |_| true).await.map_err(|(_, error)| error).unwrap();
    transaction.commit().await.unwrap();
}

fn everything() -> TransferFilter {
    TransferFilter::between(0, i64::MAX / 2)
}

const KINDS: [(Kind, TransferKind); 5] = [
    (Kind::NativeTransfer, TransferKind::Native),
    (Kind::InternalTransfer, TransferKind::Internal),
    (Kind::Erc20Transfer, TransferKind::Erc20),
    (Kind::Erc721Transfer, TransferKind::Erc721),
    (Kind::Erc1155Transfer, TransferKind::Erc1155),
];

/// What rows do not keep: labels, which change after the event, and the whole of what a payment says of its transaction.
fn as_stored(mut event: Event) -> Event {
    if let Some(labels) = event.party_labels_mut() {
        *labels.from_label = None;
        *labels.to_label = None;
        labels.from_tags.clear();
        labels.to_tags.clear();
    }
    if let Event::NativeTransfer(body) = &mut event {
        body.tx_from = Some(body.from);
        body.tx_to = Some(body.to);
    }
    event
}

/// One of each kind, of one transaction, each in a place of its own.
fn one_of_each() -> [Event; 5] {
    let mut events = KINDS.map(|(kind, _)| samples::sample(kind));
    for (place, event) in events.iter_mut().enumerate() {
        let (chain, hash, kind) = {
            let block = event.block_fields().unwrap();
            (block.chain.to_owned(), block.block_hash, event.kind())
        };
        let place = place as u32;
        let sub_index = match event {
            Event::Erc20Transfer(body) => {
                (body.log_index, body.sub_index) = (place, None);
                None
            }
            Event::Erc721Transfer(body) => {
                (body.log_index, body.sub_index) = (place, None);
                None
            }
            Event::Erc1155Transfer(body) => {
                (body.log_index, body.sub_index) = (place, Some(2));
                Some(2)
            }
            _ => continue,
        };
        event.set_id(log_event_id(&chain, &hash, kind, place, sub_index));
    }
    events
}

#[tokio::test]
async fn a_row_is_read_back_as_the_event_that_it_was() {
    let (_database, store, _client) = database().await;
    let full = one_of_each();
    write(&store, 1, &full).await;
    for (sample, (kind, own)) in full.into_iter().zip(KINDS) {
        let filter = TransferFilter { kinds: vec![own], ..everything() };
        let page = PageRequest { limit: 10, beside: None };
        let found = store.transfers(&filter, &page).await.unwrap();
        let [one] = found.rows.as_slice() else { panic!("{kind}: {found:?}") };
        assert_eq!(one.event.clone(), Some(as_stored(sample)), "{kind}");
    }
}

/// Transfers of some chains and wallets, many of one block and one place.
fn random_events(random: &mut SeededRandom, blocks: u64) -> Vec<Event> {
    let mut events = Vec::new();
    for number in 0..blocks {
        let chain = ["base", "ethereum"][random.random_range(0..2_u64) as usize].to_owned();
        // Several blocks of one time, on both chains.
        let block_time_us = START_US + (number / 3) as i64 * HOUR_US / 2;
        let block_hash = B256::repeat_byte(number as u8 + 1);
        for place in 0..random.random_range(0..8_u64) as u32 {
            let mut wallet = || Address::repeat_byte(random.random_range(0..4_u64) as u8);
            let (from, to, address) = (wallet(), wallet(), wallet());
            let value = Uint256(U256::from(random.random_range(0..1_000_u64)));
            macro_rules! body {
                ($Body:ident, $id:expr, { $($field:ident: $value:expr),* }) => {
                    Event::from($Body {
                        id: $id,
                        event_at_us: block_time_us,
                        observed_at_us: block_time_us,
                        chain: chain.clone(),
                        chain_id: 7,
                        block_number: number,
                        block_hash,
                        block_time_us,
                        tx_hash: B256::with_last_byte(place as u8),
                        tx_index: place,
                        from,
                        to,
                        $($field: $value,)*
                        ..$Body::empty()
                    })
                };
            }
            let log = |kind, sub| log_event_id(&chain, &block_hash, kind, place, sub);
            let payment = |kind, sub| transaction_event_id(&chain, &block_hash, kind, place, sub);
            events.push(match random.random_range(0..5_u64) {
                0 => body!(NativeTransfer, payment(Kind::NativeTransfer, None), {
                    value: value,
                    tx_from: Some(from),
                    tx_to: Some(to)
                }),
                1 => body!(InternalTransfer, payment(Kind::InternalTransfer, Some(place)), {
                    value: value,
                    sub_index: place
                }),
                2 => body!(Erc20Transfer, log(Kind::Erc20Transfer, None), {
                    log_index: place,
                    address: address,
                    value: value
                }),
                3 => body!(Erc721Transfer, log(Kind::Erc721Transfer, None), {
                    log_index: place,
                    address: address,
                    token_id: value
                }),
                _ => body!(Erc1155Transfer, log(Kind::Erc1155Transfer, None), {
                    log_index: place,
                    address: address,
                    token_id: value,
                    value: Uint256(U256::from(1))
                }),
            });
        }
    }
    events
}

/// All ids of a list, page by page from its begin, and the same way back.
async fn walk(store: &Store, filter: &TransferFilter, limit: u32) -> Vec<String> {
    let mut ids = Vec::new();
    let mut keys: Vec<TransferKey> = Vec::new();
    let mut beside = None;
    loop {
        let page = PageRequest { limit, beside };
        let found = store.transfers(filter, &page).await.unwrap();
        assert!(found.rows.len() <= limit as usize);
        for one in &found.rows {
            ids.push(one.event.as_ref().expect("its block is known").id().to_owned());
            keys.push(one.key.clone());
        }
        if !found.more {
            break;
        }
        beside = keys.last().cloned().map(|key| (key, Towards::Older));
    }
    let mut back = Vec::new();
    let mut beside = keys.last().cloned().map(|key| (key, Towards::Newer));
    while let Some(from) = beside.take() {
        let page = PageRequest { limit, beside: Some(from) };
        let found = store.transfers(filter, &page).await.unwrap();
        let page: Vec<TransferKey> = found.rows.into_iter().map(|one| one.key).collect();
        if found.more {
            beside = page.first().cloned().map(|key| (key, Towards::Newer));
        }
        back.splice(0..0, page);
    }
    back.extend(keys.last().cloned());
    assert_eq!(back, keys, "the way back is the way");
    ids
}

/// All ids of a list with a budget for each page, and how many pages ended before they were full.
async fn walk_in_pieces(
    store: &Store,
    filter: &TransferFilter,
    limit: u32,
    rows: u32,
) -> (Vec<String>, usize) {
    let budget = WalkBudget { rows, time: std::time::Duration::ZERO };
    let (mut ids, mut unfinished) = (Vec::new(), 0);
    let mut beside = None;
    loop {
        let page = PageRequest { limit, beside };
        let walked = store.walk_transfers(filter, &page, budget).await.unwrap();
        let last = walked.page.rows.last().map(|one| one.key.clone());
        ids.extend(walked.page.rows.iter().map(|one| one.event.as_ref().unwrap().id().to_owned()));
        unfinished += usize::from(walked.go_on.is_some());
        let Some(key) = walked.go_on.or(last.filter(|_| walked.page.more)) else {
            return (ids, unfinished);
        };
        beside = Some((key, Towards::Older));
    }
}

#[tokio::test]
async fn every_page_goes_on_where_the_one_before_ended() {
    let (_database, store, _client) = database().await;
    let mut random = SeededRandom::from_environment();
    let events = random_events(&mut random, 120);
    write(&store, 1, &events).await;
    let wallet = Address::repeat_byte(1);
    let of = |side| Some((wallet, side));
    let base = || Some(vec!["base".to_owned()]);
    let filters = [
        everything(),
        TransferFilter { chains: base(), ..everything() },
        TransferFilter { kinds: vec![TransferKind::Erc721, TransferKind::Erc1155], ..everything() },
        TransferFilter { kinds: vec![TransferKind::Erc20, TransferKind::Native], ..everything() },
        TransferFilter { address: of(Side::Either), ..everything() },
        TransferFilter { address: of(Side::Out), chains: base(), ..everything() },
        TransferFilter { address: of(Side::In), token: Some(wallet), ..everything() },
        TransferFilter { token: Some(wallet), ..everything() },
        TransferFilter {
            since_us: START_US + 2 * HOUR_US,
            until_us: START_US + 5 * HOUR_US,
            ..everything()
        },
    ];
    for filter in &filters {
        let expected = events.iter().filter(|event| fits(event, filter)).map(Event::id);
        let expected: Vec<String> = expected.map(ToOwned::to_owned).collect();
        assert!(!expected.is_empty(), "{filter:?}");
        let whole = walk(&store, filter, 1_000).await;
        assert_same_set(expected, whole.clone());
        for limit in [1, 2, 7] {
            assert_eq!(walk(&store, filter, limit).await, whole, "{limit} {filter:?}");
        }
        for (rows, limit) in [(1, 7), (5, 2), (5, 1_000), (1_000, 7)] {
            let (found, unfinished) = walk_in_pieces(&store, filter, limit, rows).await;
            assert_eq!(found, whole, "{rows} rows at once, {limit} {filter:?}");
            let is_rare = filter.address.is_none() && filter.token.is_none();
            let has_filter = filter.chains.is_some() || filter.kinds.len() < KINDS.len();
            if rows == 1 && is_rare && has_filter {
                assert!(unfinished > 0, "{filter:?}");
            }
            if rows == 1_000 || !is_rare {
                assert_eq!(unfinished, 0, "{filter:?}");
            }
        }
    }
}

/// The filter again, in another way.
fn fits(event: &Event, filter: &TransferFilter) -> bool {
    let block = event.block_fields().unwrap();
    let parties = event.parties().unwrap();
    let kind = KINDS.iter().find(|(kind, _)| *kind == event.kind()).unwrap().1;
    let token = event.log_fields().map(|log| log.address);
    filter.kinds.contains(&kind)
        && filter.chains.as_ref().is_none_or(|chains| chains.iter().any(|one| one == block.chain))
        && filter.token.is_none_or(|wanted| token == Some(wanted))
        && (filter.since_us..=filter.until_us).contains(&block.block_time_us)
        && filter.address.is_none_or(|(wanted, side)| match side {
            Side::Out => parties.from == Some(wanted),
            Side::In => parties.to == Some(wanted),
            Side::Either => [parties.from, parties.to].contains(&Some(wanted)),
        })
}

#[tokio::test]
async fn a_transaction_is_found_by_its_hash_with_and_without_its_block() {
    let (_database, store, client) = database().await;
    let events = one_of_each();
    write(&store, 1, &events).await;
    let transaction = events[0].transaction_fields().unwrap();
    let block = events[0].block_fields().unwrap();
    for hint in [None, Some(block.block_number)] {
        let found = store.transfers_of(block.chain, transaction.tx_hash, hint).await.unwrap();
        assert_eq!(found.len(), 5, "{hint:?}");
    }
    let elsewhere = store.transfers_of(block.chain, transaction.tx_hash, Some(1)).await.unwrap();
    assert!(elsewhere.is_empty());
    let other = store.transfers_of("other", transaction.tx_hash, None).await.unwrap();
    assert!(other.is_empty());
    // A row whose block is not known yet is no event yet.
    rows(&client, "DELETE FROM blocks").await;
    let page = PageRequest { limit: 10, beside: None };
    let found = store.transfers(&everything(), &page).await.unwrap();
    assert!(found.rows.len() == 5 && found.rows.iter().all(|one| one.event.is_none()));
}
