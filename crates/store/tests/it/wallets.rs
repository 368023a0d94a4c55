use crypto_intel_schemas::{
    Address, Approval, B256, ContractCreation, ContractEvent, Erc20Transfer, Event, EventFields,
    InternalTransfer, Kind, Liquidity, Log, NativeTransfer, Swap, WatchChain, WatchEntry,
    WatchKind, Watched, samples,
};
use crypto_intel_store::{Sight, Store};
use tokio_postgres::Client;

use crate::support::{at, database, step, write};

const DAY_US: i64 = 86_400_000_000;

fn watched(chain: &str, address: Address) -> Watched {
    let entry = WatchEntry {
        label: Some(format!("label of {address:#x}")),
        tags: vec!["hot".into(), "own \"one\"".into()],
        kind: WatchKind::Contract,
        added_at_us: 1_700_000_000_000_001,
    };
    Watched { chain: chain.parse().unwrap(), address, entry }
}

fn sight(chain: &str, byte: u8, first_us: i64, last_us: i64) -> Sight {
    Sight { chain: chain.into(), address: Address::repeat_byte(byte), first_us, last_us }
}

/// First and last sight of a wallet, microseconds since 1970.
async fn sights(client: &Client, chain: &str, byte: u8) -> (Option<i64>, Option<i64>) {
    let row = client
        .query_one(
            "SELECT (extract(epoch FROM first_seen) * 1000000)::bigint, \
             (extract(epoch FROM last_seen) * 1000000)::bigint \
             FROM wallets WHERE chain = $1 AND address = $2",
            &[&chain, &Address::repeat_byte(byte).as_slice()],
        )
        .await
        .unwrap();
    (row.get(0), row.get(1))
}

async fn look_up_all(store: &Store) -> u64 {
    let unsure = store.unsure_wallets(1_000).await.unwrap();
    store.look_up_wallets(&unsure).await.unwrap()
}

#[tokio::test]
async fn the_table_follows_the_watch_list() {
    let (_database, store, client) = database().await;
    let (one, two) = (Address::repeat_byte(1), Address::repeat_byte(2));
    store
        .replace_wallets(&[watched("base", one), watched("all", one), watched("all", two)])
        .await
        .unwrap();
    let row = client
        .query_one(
            "SELECT kind, label, tags, added_at::text FROM wallets WHERE chain = 'base'",
            &[],
        )
        .await
        .unwrap();
    assert_eq!((row.get(0), row.get(1)), ("contract", &*format!("label of {one:#x}")));
    assert_eq!(row.get::<_, Vec<&str>>(2), ["hot", "own \"one\""]);
    assert_eq!(row.get::<_, &str>(3), "2023-11-14 22:13:20.000001+00");

    store.remove_wallet(&WatchChain::All, &one, 1_700_000_000_000_000).await.unwrap();
    store.replace_wallets(&[watched("base", one)]).await.unwrap();
    let sql = "SELECT count(*), count(removed_at) FROM wallets";
    let row = client.query_one(sql, &[]).await.unwrap();
    assert_eq!((row.get::<_, i64>(0), row.get::<_, i64>(1)), (3, 2), "names stay");

    let mut renamed = watched("all", two);
    renamed.entry = WatchEntry::default();
    store.keep_wallets(&[renamed.clone(), renamed]).await.unwrap();
    let row = client
        .query_one(
            "SELECT kind, label, tags, removed_at IS NULL FROM wallets WHERE address = $1",
            &[&two.as_slice()],
        )
        .await
        .unwrap();
    assert_eq!((row.get(0), row.get::<_, Option<&str>>(1)), ("wallet", None));
    assert_eq!((row.get::<_, Option<Vec<&str>>>(2), row.get::<_, bool>(3)), (None, true));
}

#[tokio::test]
async fn sights_widen_and_twice_is_once() {
    let (_database, store, client) = database().await;
    let entries = [
        watched("base", Address::repeat_byte(1)),
        watched("all", Address::repeat_byte(1)),
        watched("all", Address::repeat_byte(2)),
    ];
    store.replace_wallets(&entries).await.unwrap();
    assert_eq!(look_up_all(&store).await, 3);
    assert_eq!(sights(&client, "base", 1).await, (None, None));
    store.position("EVM").await.unwrap();
    let batches = [
        vec![sight("base", 1, 50, 60), sight("other", 1, 40, 70), sight("base", 9, 1, 1)],
        vec![sight("base", 1, 50, 60), sight("other", 1, 40, 70), sight("base", 9, 1, 1)],
        vec![sight("base", 1, 55, 58)],
    ];
    for (sequence, batch) in (0..).zip(&batches) {
        let (transaction, _) = store.begin(step(sequence, sequence + 1), &[]).await.unwrap();
        transaction.see(batch).await.unwrap();
        transaction.commit().await.unwrap();
        assert_eq!(sights(&client, "base", 1).await, (Some(50), Some(60)));
        assert_eq!(sights(&client, "all", 1).await, (Some(40), Some(70)));
        assert_eq!(sights(&client, "all", 2).await, (None, None));
    }
    assert!(store.unsure_wallets(10).await.unwrap().is_empty());
}

/// An event of block time `day`, on chain `test`, in a block of its own.
fn placed(mut event: Event, day: i64) -> Event {
    macro_rules! place {
        ($($kind:ident)*) => {
            match &mut event {
                $(Event::$kind(body) => {
                    body.chain = "test".into();
                    body.block_hash = B256::repeat_byte(day as u8);
                    body.block_time_us = 1_700_000_000_000_000 + day * DAY_US;
                })*
                _ => {}
            }
        };
    }
    place!(Erc20Transfer Erc1155Transfer NativeTransfer InternalTransfer Approval ContractCreation
        Swap Liquidity ContractEvent Log);
    event
}

fn day(day: i64) -> Option<i64> {
    Some(1_700_000_000_000_000 + day * DAY_US)
}

#[tokio::test]
async fn a_wallet_that_comes_later_is_found_by_every_indexed_column() {
    let (_database, store, client) = database().await;
    let address = |byte| Address::repeat_byte(byte);
    let events = [
        Event::from(Erc20Transfer {
            address: address(1),
            from: address(2),
            to: address(3),
            ..Erc20Transfer::empty()
        }),
        Event::from(NativeTransfer { from: address(4), to: address(5), ..NativeTransfer::empty() }),
        Event::from(InternalTransfer {
            from: address(6),
            to: address(7),
            ..InternalTransfer::empty()
        }),
        Event::from(Approval { owner: address(8), spender: address(9), ..Approval::empty() }),
        Event::from(ContractCreation { contract: address(10), ..ContractCreation::empty() }),
        Event::from(Swap { address: address(11), tx_from: Some(address(12)), ..Swap::empty() }),
        Event::from(Liquidity {
            address: address(13),
            token0: Some(address(14)),
            token1: Some(address(15)),
            ..Liquidity::empty()
        }),
        Event::from(ContractEvent { address: address(16), ..ContractEvent::empty() }),
        Event::from(Log { address: address(17), ..Log::empty() }),
    ];
    let rows: Vec<Event> = [3, 40, 70]
        .into_iter()
        .flat_map(|day| events.iter().map(move |event| placed(event.clone(), day)))
        .collect();
    write(&store, step(0, 1), &rows).await.unwrap();
    let chains = ["test", "all", "other"];
    let entries: Vec<Watched> =
        (1..=17).flat_map(|byte| chains.map(|chain| watched(chain, address(byte)))).collect();
    store.replace_wallets(&entries).await.unwrap();
    assert_eq!(look_up_all(&store).await, 17 * 3);
    for byte in 1..=17 {
        for chain in ["test", "all"] {
            assert_eq!(sights(&client, chain, byte).await, (day(3), day(70)), "{byte} on {chain}");
        }
        assert_eq!(sights(&client, "other", byte).await, (None, None), "{byte}");
    }
    assert_eq!(look_up_all(&store).await, 0);
}

#[tokio::test]
async fn rows_of_watched_addresses_are_found_by_every_address_in_them() {
    let (_database, store, client) = database().await;
    let mut expected = Vec::new();
    let mut rows = Vec::new();
    for kind in Kind::ALL {
        let sample = samples::sample(*kind);
        if sample.transaction_fields().is_none() {
            continue;
        }
        // What has no column of its own in the table cannot be found there.
        let unkept = match &sample {
            Event::NativeTransfer(body) => vec![body.tx_from, body.tx_to],
            Event::Approval(body) => vec![body.tx_to],
            Event::ContractCreation(body) => vec![body.tx_from, body.tx_to],
            Event::Log(body) => vec![body.tx_to],
            _ => Vec::new(),
        };
        let kept = sample.touched();
        expected.extend(kept.iter().filter(|one| !unkept.contains(&Some(**one))).copied());
        rows.push(placed(sample, 30));
    }
    rows.push(placed(
        Event::from(ContractEvent {
            log_index: 99,
            watched: vec!["x".into()],
            fields: EventFields::from([(
                "who",
                format!("{:#x}", Address::repeat_byte(0xEE)).as_str().into(),
            )]),
            ..ContractEvent::empty()
        }),
        30,
    ));
    expected.push(Address::repeat_byte(0xEE));
    expected.sort_unstable();
    expected.dedup();
    assert!(expected.len() >= 9, "{}", expected.len());
    write(&store, step(0, 1), &rows).await.unwrap();
    let entries: Vec<Watched> = expected.iter().map(|address| watched("all", *address)).collect();
    store.replace_wallets(&entries).await.unwrap();
    assert_eq!(look_up_all(&store).await, expected.len() as u64);
    let missed = client
        .query("SELECT encode(address, 'hex') FROM wallets WHERE last_seen IS NULL", &[])
        .await
        .unwrap();
    let missed: Vec<&str> = missed.iter().map(|row| row.get(0)).collect();
    assert!(missed.is_empty(), "{missed:?}");
}

#[tokio::test]
async fn a_block_that_leaves_takes_its_sight_along() {
    let (_database, store, client) = database().await;
    let (wallet, token) = (Address::repeat_byte(2), Address::repeat_byte(1));
    let transfer = |on: i64| {
        placed(
            Event::from(Erc20Transfer { address: token, from: wallet, ..Erc20Transfer::empty() }),
            on,
        )
    };
    write(&store, step(0, 1), &[transfer(1), transfer(2), transfer(3)]).await.unwrap();
    store.replace_wallets(&[watched("test", wallet), watched("all", token)]).await.unwrap();
    assert_eq!(look_up_all(&store).await, 2);
    assert_eq!(sights(&client, "test", 2).await, (day(1), day(3)));

    for (sequence, gone, left) in
        [(1, 3, (day(1), day(2))), (2, 1, (day(2), day(2))), (3, 2, (None, None))]
    {
        let hash = B256::repeat_byte(gone as u8);
        let time_us = day(gone).unwrap();
        let (transaction, _) = store.begin(step(sequence, sequence + 1), &[]).await.unwrap();
        assert_eq!(transaction.delete_rows(&[("test", hash, time_us)]).await.unwrap(), 1);
        transaction.forget_sights(&[("test", time_us)]).await.unwrap();
        transaction.commit().await.unwrap();
        assert_eq!(store.unsure_wallets(10).await.unwrap().len(), 2);
        assert_eq!(look_up_all(&store).await, 2);
        for (chain, byte) in [("test", 2), ("all", 1)] {
            assert_eq!(sights(&client, chain, byte).await, left, "without block {gone}");
        }
    }
    let (transaction, _) = store.begin(step(4, 5), &[]).await.unwrap();
    transaction.forget_sights(&[("other", day(2).unwrap())]).await.unwrap();
    transaction.commit().await.unwrap();
    assert!(store.unsure_wallets(10).await.unwrap().is_empty());
}

#[tokio::test]
async fn a_look_up_waits_for_the_batch_that_is_under_way() {
    let (_database, store, client) = database().await;
    let wallet = Address::repeat_byte(2);
    store.position("EVM").await.unwrap();
    let (batch, _) = store.begin(step(0, 1), &[]).await.unwrap();
    // The batch has looked for its wallets already when this one comes.
    batch.see(&[sight("test", 2, 5, 5)]).await.unwrap();
    store.replace_wallets(&[watched("all", wallet)]).await.unwrap();
    let unsure = store.unsure_wallets(10).await.unwrap();
    let other = store.clone();
    let look_up = tokio::spawn(async move { other.look_up_wallets(&unsure).await });
    let mut rows = crypto_intel_store::RowSet::default();
    let event = placed(Event::from(NativeTransfer { to: wallet, ..NativeTransfer::empty() }), 9);
    let table = rows.add(&event, 0, 0).unwrap().unwrap();
    batch.copy(table, rows.table(table).copy_body(|_| true).0).await.unwrap();
    batch.commit().await.unwrap();
    assert_eq!(look_up.await.unwrap().unwrap(), 1);
    assert_eq!(sights(&client, "all", 2).await, (day(9), day(9)));
    assert_eq!(store.position("EVM").await.unwrap(), at(1));
}
