use crypto_intel_sandbox::TestDatabase;
use crypto_intel_schemas::{Address, B256, Block, Erc20Transfer, Event, U256, Uint256};
use crypto_intel_service::Secret;
use crypto_intel_store::{
    Advance, DroppedBlock, RowSet, Store, StoreConfig, StoreError, StreamPosition, Table,
};
use crypto_intel_testkit::sql_client;
use tokio_postgres::{Client, SimpleQueryMessage, SimpleQueryRow};
use tokio_util::sync::CancellationToken;

pub(crate) fn config(url: &str) -> StoreConfig {
    StoreConfig { url: Secret::new(url), ..StoreConfig::default() }
}

pub(crate) async fn store(url: &str) -> Store {
    Store::connect(&config(url), &CancellationToken::new()).await.unwrap()
}

/// A migrated database, a store on it, and a plain client beside it.
pub(crate) async fn database() -> (TestDatabase, Store, Client) {
    let database = crate::server().await;
    let store = store(database.url()).await;
    store.migrate(false).await.unwrap();
    let client = sql_client(database.url()).await;
    (database, store, client)
}

pub(crate) fn at(sequence: u64) -> StreamPosition {
    StreamPosition { sequence, stored_at_us: sequence as i64 * 10, revision: 0 }
}

pub(crate) fn step(from: u64, to: u64) -> Advance<'static> {
    let from = if from == 0 { StreamPosition::default() } else { at(from) };
    Advance { stream: "EVM", from, to: at(to) }
}

/// Writes events in a transaction of their own.
pub(crate) async fn write(
    store: &Store,
    advance: Advance<'_>,
    events: &[Event],
) -> Result<(), StoreError> {
    let mut rows = RowSet::default();
    for (message, event) in events.iter().enumerate() {
        rows.add(event, 0, message as u32).unwrap().expect("a row");
    }
    rows.sort_and_reduce();
    store.position("EVM").await?;
    let (transaction, _) = store.begin(advance, &[]).await?;
    let parts = Table::ALL.map(|table| (table, rows.table(table)));
    transaction.copy_all(&parts, |_| true).await.map_err(|(_, error)| error)?;
    transaction.commit().await
}

/// The rows of a query as text, columns separated by a space, NULL as `-`.
pub(crate) async fn rows(client: &Client, sql: &str) -> Vec<String> {
    let rows = client.simple_query(sql).await.unwrap();
    let text = |row: SimpleQueryRow| {
        let fields = (0..row.len()).map(|column| row.get(column).unwrap_or("-").to_owned());
        fields.collect::<Vec<_>>().join(" ")
    };
    rows.into_iter()
        .filter_map(|message| match message {
            SimpleQueryMessage::Row(row) => Some(text(row)),
            _ => None,
        })
        .collect()
}

pub(crate) fn transfer(hash: u8, log_index: u32, value: U256) -> Event {
    Event::from(Erc20Transfer {
        chain: "test".into(),
        chain_id: 7,
        block_number: 1,
        block_hash: B256::repeat_byte(hash),
        block_time_us: 1_700_000_000_123_456,
        observed_at_us: 1_700_000_001_000_000,
        log_index,
        address: Address::repeat_byte(9),
        value: Uint256(value),
        ..Erc20Transfer::empty()
    })
}

pub(crate) fn block(number: u64, hash: u8) -> Block {
    Block {
        chain: "test".into(),
        chain_id: 7,
        block_number: number,
        block_hash: B256::repeat_byte(hash),
        block_time_us: 1_700_000_000_123_456,
        observed_at_us: 1_700_000_001_000_000,
        ..Block::empty()
    }
}

/// A block of `test` whose rows are deleted.
pub(crate) fn dropped(number: u64, hash: u8, time_us: i64) -> DroppedBlock<'static> {
    DroppedBlock { chain: "test", number, hash: B256::repeat_byte(hash), time_us }
}
