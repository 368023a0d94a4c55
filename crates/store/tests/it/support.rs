use crypto_intel_sandbox::{Postgres, TestDatabase};
use crypto_intel_schemas::{Address, B256, Block, Erc20Transfer, Event, U256, Uint256};
use crypto_intel_service::Secret;
use crypto_intel_store::{Store, StoreConfig};
use tokio_postgres::{Client, NoTls};
use tokio_util::sync::CancellationToken;

pub(crate) fn config(url: &str) -> StoreConfig {
    StoreConfig { url: Secret::new(url), ..StoreConfig::default() }
}

/// A migrated database, a store on it, and a plain client beside it.
pub(crate) async fn database() -> (TestDatabase, Store, Client) {
    let database = Postgres::test_database().await.unwrap();
    let store = Store::connect(&config(database.url()), &CancellationToken::new()).await.unwrap();
    store.migrate(false).await.unwrap();
    let (client, connection) = tokio_postgres::connect(database.url(), NoTls).await.unwrap();
    tokio::spawn(connection);
    (database, store, client)
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
