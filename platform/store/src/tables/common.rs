//! Columns that many tables share.

use crypto_intel_schemas::{BlockFields, TransactionFields};

use crate::copy_format::row_sink::{RowSink, Unstorable};

/// Chain, block hash, place in the block, block time: the key. Then what follows it in every table of chain events.
pub(super) fn put_chain_key(
    row: &mut impl RowSink,
    block: &BlockFields<'_>,
    places: &[(&'static str, u32)],
    observed_at_us: i64,
) -> Result<(), Unstorable> {
    row.text("chain", block.chain);
    row.bytes("block_hash", block.block_hash);
    for (column, place) in places {
        row.int4_from(column, *place)?;
    }
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
