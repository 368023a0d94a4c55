//! Rows as persist writes them.

use crypto_intel_schemas::{
    Address, B256, Block, Decimal, Erc20Transfer, Event, Kind, NativeTransfer, U256, Uint256,
    log_event_id, transaction_event_id,
};
use crypto_intel_service::now_us;
use crypto_intel_store::{Advance, RowSet, Store, StreamPosition, Table};

/// Writes events behind a position of a stream; those of chains with their blocks, of which the first `final_until` are final.
pub(crate) async fn write(store: &Store, stream: &str, events: &[Event], final_until: u64) {
    let mut set = RowSet::default();
    let mut known = Vec::new();
    for (message, event) in events.iter().enumerate() {
        let message = u32::try_from(message).unwrap();
        if let Some(block) = event.block_fields()
            && !known.contains(&block.block_hash)
        {
            known.push(block.block_hash);
            let marker = Block {
                chain: block.chain.to_owned(),
                chain_id: block.chain_id,
                block_number: block.block_number,
                block_hash: block.block_hash,
                block_time_us: block.block_time_us,
                observed_at_us: event.observed_at_us(),
                finalized_number: final_until,
                ..Block::empty()
            };
            set.add_block(&marker, 1, true, message).unwrap();
        }
        set.add(event, 0, message).unwrap().expect("a row");
    }
    put(store, stream, set, events.len() as u64).await;
}

/// Writes blocks without events, with their gas.
pub(crate) async fn write_blocks(store: &Store, stream: &str, markers: &[Block]) {
    let mut set = RowSet::default();
    for (message, marker) in markers.iter().enumerate() {
        let message = u32::try_from(message).unwrap();
        set.add_block(marker, 1, true, message).unwrap();
        set.add_block_gas(marker, 0, message).unwrap();
    }
    put(store, stream, set, markers.len() as u64).await;
}

async fn put(store: &Store, stream: &str, mut set: RowSet, messages: u64) {
    set.sort_and_reduce();
    let from = store.position(stream).await.unwrap();
    let sequence = from.sequence + messages;
    let to = StreamPosition { sequence, stored_at_us: now_us(), revision: 0 };
    let (transaction, _) = store.begin(Advance { stream, from, to }, &[]).await.unwrap();
    let parts = Table::ALL.map(|table| (table, set.table(table)));
    transaction.copy_all(&parts, |_| true).await.map_err(|(_, error)| error).unwrap();
    transaction.commit().await.unwrap();
}

/// The address of a number.
pub(crate) fn wallet(number: u8) -> Address {
    Address::repeat_byte(number)
}

/// Two transfers in each of some blocks, a second apart, the last one now: a token's from wallet 1 to 2, and a payment back.
pub(crate) fn blocks(chain: &str, count: u64) -> Vec<Event> {
    let now = now_us() / 1_000_000 * 1_000_000;
    (0..count)
        .flat_map(|number| block(chain, number, now - (count - 1 - number) as i64 * 1_000_000))
        .collect()
}

fn block(chain: &str, number: u64, block_time_us: i64) -> [Event; 2] {
    let mut hash = [chain.len() as u8; 32];
    hash[24..].copy_from_slice(&(number + 1).to_be_bytes());
    let block_hash = B256::from(hash);
    let usd = Decimal::parse(&(number * 1_000).to_string()).unwrap();
    let token = Erc20Transfer {
        id: log_event_id(chain, &block_hash, Kind::Erc20Transfer, 3, None),
        event_at_us: block_time_us,
        observed_at_us: block_time_us + 1_000,
        chain: chain.to_owned(),
        chain_id: 7,
        block_number: number,
        block_hash,
        block_time_us,
        tx_hash: block_hash,
        tx_index: 1,
        log_index: 3,
        address: wallet(9),
        from: wallet(1),
        to: wallet(2),
        value: Uint256(U256::from(number) * U256::from(1_000_000)),
        symbol: Some("USDC".to_owned()),
        decimals: Some(6),
        amount: Some(Decimal::from_units(U256::from(number), 0)),
        usd: Some(usd),
        token_verified: true,
        ..Erc20Transfer::empty()
    };
    let payment = NativeTransfer {
        id: transaction_event_id(chain, &block_hash, Kind::NativeTransfer, 2, None),
        event_at_us: block_time_us,
        observed_at_us: block_time_us + 1_000,
        chain: chain.to_owned(),
        chain_id: 7,
        block_number: number,
        block_hash,
        block_time_us,
        tx_hash: B256::from(wallet(number as u8).into_word()),
        tx_index: 2,
        tx_from: Some(wallet(2)),
        tx_to: Some(wallet(1)),
        from: wallet(2),
        to: wallet(1),
        value: Uint256(U256::from(5)),
        ..NativeTransfer::empty()
    };
    [Event::from(token), Event::from(payment)]
}
