//! Pools created, and changes of their liquidity.

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
    name: "liquidity",
    key: &["block_time", "block_number", "block_tag", "log_index", "chain"],
    time_column: "block_time",
    partitioned: true,
    of_block: true,
    retention: RetentionGroup::Dex,
    kinds: &[Kind::Liquidity],
};

pub(super) fn put(row: &mut impl RowSink, event: &Event) -> Result<(), Unstorable> {
    let Event::Liquidity(body) = event else { return Err(refuse("kind", event.kind())) };
    let places = [("log_index", body.log_index)];
    put_chain_key(row, &body.block_fields(), &places)?;
    row.int8_or_null("fee", body.fee.map(u64::from))?;
    row.int4_from("tx_index", body.tx_index)?;
    row.int4_or_null("tick_spacing", body.tick_spacing);
    row.int4_or_null("tick_lower", body.tick_lower);
    row.int4_or_null("tick_upper", body.tick_upper);
    row.int4_or_null("tick", body.tick);
    row.bytes("tx_hash", body.tx_hash);
    row.text("protocol", body.protocol.as_str());
    row.text("action", body.action.as_str());
    row.address("address", body.address);
    row.address_or_null("pool", body.pool);
    row.bytes_or_null("pool_id", body.pool_id);
    row.address_or_null("token0", body.token0);
    row.address_or_null("token1", body.token1);
    row.address_or_null("sender", body.sender);
    row.address_or_null("owner", body.owner);
    row.address_or_null("recipient", body.recipient);
    row.uint256_or_null("amount0", body.amount0);
    row.uint256_or_null("amount1", body.amount1);
    row.int256_or_null("liquidity_delta", body.liquidity_delta);
    row.uint256_or_null("reserve0", body.reserve0);
    row.uint256_or_null("reserve1", body.reserve1);
    row.uint256_or_null("sqrt_price_x96", body.sqrt_price_x96);
    row.address_or_null("hooks", body.hooks);
    put_transaction(row, &body.transaction_fields());
    row.texts_or_null("watched", &body.watched);
    Ok(())
}
