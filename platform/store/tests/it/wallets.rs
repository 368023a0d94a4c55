use crypto_intel_schemas::{
    Address, B256, Erc20Transfer, Event, InternalTransfer, NativeTransfer, WatchChain, WatchEntry,
    WatchKind, Watched,
};
use crypto_intel_store::DroppedBlock;
use tokio_postgres::Client;

use crate::support::{database, rows, step, write};

const HOUR_US: i64 = 3_600_000_000;

fn watched(chain: &str, address: Address) -> Watched {
    let entry = WatchEntry {
        label: Some(format!("label of {address:#x}")),
        tags: vec!["hot".into(), "own \"one\"".into()],
        kind: WatchKind::Contract,
        group: Some("desk".into()),
        owner: Some("Alice".into()),
        notes: Some("two\nlines".into()),
        added_at_us: 1_700_000_000_000_001,
    };
    Watched { chain: chain.parse().unwrap(), address: address.into(), entry }
}

#[tokio::test]
async fn the_table_follows_the_watch_list() {
    let (_database, store, client) = database().await;
    let (one, two) = (Address::repeat_byte(1), Address::repeat_byte(2));
    let entries = [watched("base", one), watched("all", one), watched("all", two)];
    assert_eq!(store.keep_wallets(&entries).await.unwrap(), 3);
    let row = client
        .query_one(
            "SELECT kind, label, tags, added_at::text, group_name || owner || notes FROM wallets WHERE chain = 'base'",
            &[],
        )
        .await
        .unwrap();
    assert_eq!((row.get(0), row.get(1)), ("contract", &*format!("label of {one:#x}")));
    assert_eq!(row.get::<_, Vec<&str>>(2), ["hot", "own \"one\""]);
    assert_eq!(row.get::<_, &str>(3), "2023-11-14 22:13:20.000001+00");
    assert_eq!(row.get::<_, &str>(4), "deskAlicetwo\nlines");

    store.remove_wallets(&[(WatchChain::All, one.into(), 1_700_000_000_000_000)]).await.unwrap();
    store.remove_other_wallets(&[watched("base", one)]).await.unwrap();
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

fn numbered(number: u64) -> Address {
    let mut bytes = [0; 20];
    bytes[12..].copy_from_slice(&number.to_be_bytes());
    Address::from(bytes)
}

#[tokio::test]
async fn unchanged_rows_are_not_even_locked() {
    let (_database, store, client) = database().await;
    let entries: Vec<Watched> =
        (0..12_000_u64).map(|number| watched("all", numbered(number))).collect();
    assert_eq!(store.keep_wallets(&entries).await.unwrap(), 12_000, "more than one statement");
    // Another session locks every row: only a changed row would wait for it.
    client.batch_execute("BEGIN; SELECT FROM wallets FOR UPDATE").await.unwrap();
    assert_eq!(store.keep_wallets(&entries).await.unwrap(), 0);
    store.remove_other_wallets(&entries).await.unwrap();
    client.batch_execute("COMMIT").await.unwrap();
    store.remove_other_wallets(&entries[..11_000]).await.unwrap();
    let removed = "SELECT count(removed_at), count(*) FROM wallets";
    assert_eq!(rows(&client, removed).await, ["1000 12000"]);
    assert_eq!(store.keep_wallets(&entries).await.unwrap(), 1_000);
    assert_eq!(rows(&client, removed).await, ["0 12000"]);
}

/// An event on a chain, in a block of its own that many hours after the beginning of a fixed day; watched or not.
fn placed(mut event: Event, chain: &str, hour: i64, is_watched: bool) -> Event {
    macro_rules! place {
        ($($kind:ident)*) => {
            match &mut event {
                $(Event::$kind(body) => {
                    body.chain = chain.into();
                    body.block_hash = B256::repeat_byte(hour as u8);
                    body.block_time_us = 1_699_920_000_000_000 + hour * HOUR_US + 1_234_567_890;
                    body.watched = if is_watched { vec!["x".into()] } else { Vec::new() };
                })*
                _ => {}
            }
        };
    }
    place!(Erc20Transfer NativeTransfer InternalTransfer);
    event
}

/// Which wallets were seen when, within a range of hours of that day: `chain byte first last`, in hours of the day.
async fn seen(client: &Client, since: &str, until: &str) -> Vec<String> {
    let sql = format!(
        "SELECT chain, get_byte(address, 0), extract(hour FROM first_seen)::int, \
         extract(hour FROM last_seen)::int \
         FROM wallets_seen('2023-11-14 {since}+00', '2023-11-14 {until}+00') ORDER BY 1, 2"
    );
    rows(client, &sql).await
}

#[tokio::test]
async fn wallets_are_seen_in_the_hours_of_their_labelled_transfers() {
    let (_database, store, client) = database().await;
    let address = Address::repeat_byte;
    let token = |from, to| {
        let body = Erc20Transfer { address: address(9), from, to, ..Erc20Transfer::empty() };
        Event::from(body)
    };
    let native = |from, to| Event::from(NativeTransfer { from, to, ..NativeTransfer::empty() });
    let internal =
        |from, to| Event::from(InternalTransfer { from, to, ..InternalTransfer::empty() });
    let events = [
        placed(token(address(1), address(2)), "base", 1, true),
        placed(native(address(3), address(1)), "base", 5, true),
        placed(internal(address(1), address(3)), "other", 7, true),
        // No wallet was watched yet.
        placed(token(address(1), address(2)), "base", 0, false),
    ];
    write(&store, step(0, 1), &events).await.unwrap();
    let entries = [
        watched("base", address(1)),
        watched("all", address(1)),
        watched("all", address(2)),
        watched("other", address(3)),
        watched("base", address(9)),
        watched("all", address(4)),
        watched("all", address(5)),
    ];
    store.keep_wallets(&entries).await.unwrap();
    store.remove_wallets(&[(WatchChain::All, address(5).into(), 1)]).await.unwrap();
    assert_eq!(
        seen(&client, "00:00", "23:00").await,
        ["all 1 1 7", "all 2 1 1", "all 4 - -", "base 1 1 5", "base 9 1 1", "other 3 7 7"]
    );
    assert_eq!(
        seen(&client, "02:30", "06:00").await,
        ["all 1 5 5", "all 2 - -", "all 4 - -", "base 1 5 5", "base 9 - -", "other 3 - -"]
    );
}

#[tokio::test]
async fn a_block_that_leaves_no_longer_counts_as_seen() {
    let (_database, store, client) = database().await;
    let wallet = Address::repeat_byte(1);
    let transfer = |hour| {
        let body = NativeTransfer { from: wallet, ..NativeTransfer::empty() };
        placed(Event::from(body), "base", hour, true)
    };
    write(&store, step(0, 1), &[transfer(1), transfer(2), transfer(3)]).await.unwrap();
    store.keep_wallets(&[watched("base", wallet)]).await.unwrap();
    assert_eq!(seen(&client, "00:00", "23:00").await, ["base 1 1 3"]);
    for (sequence, gone, left) in [(1, 3, "1 2"), (2, 1, "2 2"), (3, 2, "- -")] {
        let fields = transfer(gone);
        let fields = fields.block_fields().unwrap();
        let block = DroppedBlock {
            chain: "base",
            number: fields.block_number,
            hash: fields.block_hash,
            time_us: fields.block_time_us,
        };
        let (transaction, _) = store.begin(step(sequence, sequence + 1), &[]).await.unwrap();
        assert_eq!(transaction.delete_rows(&[block]).await.unwrap(), 1);
        transaction.commit().await.unwrap();
        assert_eq!(seen(&client, "00:00", "23:00").await, [format!("base 1 {left}")]);
    }
}
