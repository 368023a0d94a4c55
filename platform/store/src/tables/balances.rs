//! Balances of watched wallets. A row stays when its block leaves: queries look whether the block is canonical.

use crypto_intel_schemas::{Address, Balance, Event, Kind};

use crate::{
    copy_format::row_sink::{RowSink, Unstorable, refuse},
    tables::{common::block_tag, retention_group::RetentionGroup, spec::TableSpec},
};

pub(super) const SPEC: TableSpec = TableSpec {
    name: "balances",
    key: &["address", "token", "chain", "block_time", "block_number", "block_tag"],
    time_column: "block_time",
    partitioned: true,
    of_block: false,
    retention: RetentionGroup::Transfers,
    kinds: &[Kind::Balance],
};

/// The `token` of the chain's own currency.
const NATIVE: Address = Address::ZERO;

pub(super) fn put(row: &mut impl RowSink, event: &Event) -> Result<(), Unstorable> {
    let Event::Balance(body) = event else { return Err(refuse("kind", event.kind())) };
    let token = match body.asset.as_str() {
        Balance::NATIVE => NATIVE,
        text => text.parse().map_err(|_| refuse("asset", text))?,
    };
    row.address("address", body.address);
    row.address("token", token);
    row.text("chain", &body.chain);
    row.time("block_time", body.block_time_us)?;
    row.int8_from("block_number", body.block_number)?;
    row.int4("block_tag", block_tag(&body.block_hash));
    row.end_key();
    row.time("observed_at", body.observed_at_us)?;
    row.time_or_null("price_at", body.price_at_us)?;
    row.int2_or_null("decimals", body.decimals.map(i16::from));
    row.boolean("token_verified", body.token_verified);
    row.uint256_or_null("raw", body.raw);
    row.decimal_or_null("usd", body.usd.as_ref());
    row.text_or_null("symbol", body.symbol.as_deref());
    row.text("reason", body.reason.as_str());
    row.text_or_null("problem", body.problem.as_deref());
    row.texts_or_null("watched", &body.watched);
    Ok(())
}
