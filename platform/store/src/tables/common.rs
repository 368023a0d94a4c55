//! Columns that many tables share.

use crypto_intel_schemas::{B256, BlockFields, TransactionFields};

use crate::copy_format::row_sink::{RowSink, Unstorable};

/// Four bytes of a block's hash, as the function `block_tag` of the migrations takes them. Two blocks of one height, whose rows
/// may both be stored for a moment, differ by them; all else about a block is in `blocks`. From the end, because hashes of
/// some chains begin with zeros.
#[must_use]
pub fn block_tag(hash: &B256) -> i32 {
    let [.., a, b, c, d] = hash.0;
    i32::from_be_bytes([a, b, c, d])
}

/// The key of every table of chain events: block time, height and tag of the block, place in the block, chain. Time first, so
/// that it grows with the chain.
pub(super) fn put_chain_key(
    row: &mut impl RowSink,
    block: &BlockFields<'_>,
    places: &[(&'static str, u32)],
) -> Result<(), Unstorable> {
    row.time("block_time", block.block_time_us)?;
    row.int8_from("block_number", block.block_number)?;
    row.int4("block_tag", block_tag(&block.block_hash));
    for (column, place) in places {
        row.int4_from(column, *place)?;
    }
    row.text("chain", block.chain);
    row.end_key();
    Ok(())
}

/// What stays when its block leaves: chain, block hash, incarnation, block time as the key, then what follows it.
pub(super) fn put_lasting_key(
    row: &mut impl RowSink,
    block: &BlockFields<'_>,
    incarnation: u32,
    observed_at_us: i64,
) -> Result<(), Unstorable> {
    row.text("chain", block.chain);
    row.bytes("block_hash", block.block_hash);
    row.int4_from("incarnation", incarnation)?;
    row.time("block_time", block.block_time_us)?;
    row.end_key();
    row.time("observed_at", observed_at_us)?;
    row.int8_from("block_number", block.block_number)?;
    row.int8_from("chain_id", block.chain_id)
}

pub(super) fn put_transaction(row: &mut impl RowSink, transaction: &TransactionFields) {
    row.address_or_null("tx_from", transaction.tx_from);
    row.address_or_null("tx_to", transaction.tx_to);
    row.bytes_or_null("method", transaction.method);
}
