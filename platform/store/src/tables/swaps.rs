//! Trades in DEX pools.

use crypto_intel_schemas::{Event, Kind};

use crate::{
    copy_format::row_sink::{RowSink, Unstorable, refuse},
    tables::{
        common::{put_chain_key, put_transaction},
        retention_group::RetentionGroup,
        spec::TableSpec,
    },
};

pub(super) const SPEC: TableSpec = TableSpec {
    name: "swaps",
    key: &["block_time", "block_number", "block_tag", "log_index", "chain"],
    time_column: "block_time",
    partitioned: true,
    of_block: true,
    retention: RetentionGroup::Dex,
    kinds: &[Kind::Swap],
};

pub(super) fn put(row: &mut impl RowSink, event: &Event) -> Result<(), Unstorable> {
    let Event::Swap(body) = event else { return Err(refuse("kind", event.kind())) };
    let places = [("log_index", body.log_index)];
    put_chain_key(row, &body.block_fields(), &places)?;
    row.int8_or_null("fee", body.fee.map(u64::from))?;
    row.int4_from("tx_index", body.tx_index)?;
    row.int4_or_null("tick", body.tick);
    row.bytes("tx_hash", body.tx_hash);
    row.text("protocol", body.protocol.as_str());
    row.address("pool", body.address);
    row.bytes_or_null("pool_id", body.pool_id);
    row.address("sender", body.sender);
    row.address_or_null("recipient", body.recipient);
    row.int256("amount0", body.amount0);
    row.int256("amount1", body.amount1);
    row.uint256_or_null("sqrt_price_x96", body.sqrt_price_x96);
    row.uint256_or_null("liquidity", body.liquidity);
    row.uint256_or_null("protocol_fee0", body.protocol_fee0);
    row.uint256_or_null("protocol_fee1", body.protocol_fee1);
    put_transaction(row, &body.transaction_fields());
    row.texts_or_null("watched", &body.watched);
    Ok(())
}
