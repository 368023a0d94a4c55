//! ERC-20, ERC-721 and ERC-1155 transfers.

use crypto_intel_schemas::{Erc20Transfer, Erc721Transfer, Erc1155Transfer, Event, Kind, Uint256};

use crate::{
    copy_format::row_sink::{RowSink, Unstorable, refuse},
    tables::{
        common::{put_chain_key, put_transaction},
        retention_group::RetentionGroup,
        spec::TableSpec,
    },
};

pub(super) const SPEC: TableSpec = TableSpec {
    name: "token_transfers",
    key: &["block_time", "block_number", "block_tag", "log_index", "sub_index", "chain"],
    time_column: "block_time",
    partitioned: true,
    of_block: true,
    retention: RetentionGroup::Transfers,
    kinds: &[Kind::Erc20Transfer, Kind::Erc721Transfer, Kind::Erc1155Transfer],
};

pub(super) fn put(row: &mut impl RowSink, event: &Event) -> Result<(), Unstorable> {
    match event {
        Event::Erc20Transfer(body) => put_erc20(row, body),
        Event::Erc721Transfer(body) => put_erc721(row, body),
        Event::Erc1155Transfer(body) => put_erc1155(row, body),
        other => Err(refuse("kind", other.kind())),
    }
}

fn put_erc20(row: &mut impl RowSink, body: &Erc20Transfer) -> Result<(), Unstorable> {
    let places = [("log_index", body.log_index), ("sub_index", body.sub_index.unwrap_or(0))];
    put_chain_key(row, &body.block_fields(), &places)?;
    row.int4_from("tx_index", body.tx_index)?;
    row.int2("erc", 20);
    row.int2_or_null("decimals", body.decimals.map(i16::from));
    row.boolean("token_verified", body.token_verified);
    row.bytes("tx_hash", body.tx_hash);
    row.address("token", body.address);
    row.address("sender", body.from);
    row.address("recipient", body.to);
    row.address_or_null("operator", None);
    row.uint256_or_null("token_id", None);
    row.uint256("value", body.value);
    row.text_or_null("symbol", body.symbol.as_deref());
    row.decimal_or_null("usd", body.usd.as_ref());
    put_transaction(row, &body.transaction_fields());
    row.texts_or_null("watched", &body.watched);
    Ok(())
}

fn put_erc721(row: &mut impl RowSink, body: &Erc721Transfer) -> Result<(), Unstorable> {
    let places = [("log_index", body.log_index), ("sub_index", body.sub_index.unwrap_or(0))];
    put_chain_key(row, &body.block_fields(), &places)?;
    row.int4_from("tx_index", body.tx_index)?;
    row.int2("erc", 721);
    row.int2_or_null("decimals", None);
    row.boolean("token_verified", false);
    row.bytes("tx_hash", body.tx_hash);
    row.address("token", body.address);
    row.address("sender", body.from);
    row.address("recipient", body.to);
    row.address_or_null("operator", None);
    row.uint256("token_id", body.token_id);
    row.uint256("value", Uint256::from(1));
    row.text_or_null("symbol", None);
    row.decimal_or_null("usd", None);
    put_transaction(row, &body.transaction_fields());
    row.texts_or_null("watched", &body.watched);
    Ok(())
}

fn put_erc1155(row: &mut impl RowSink, body: &Erc1155Transfer) -> Result<(), Unstorable> {
    let places = [("log_index", body.log_index), ("sub_index", body.sub_index.unwrap_or(0))];
    put_chain_key(row, &body.block_fields(), &places)?;
    row.int4_from("tx_index", body.tx_index)?;
    row.int2("erc", 1_155);
    row.int2_or_null("decimals", None);
    row.boolean("token_verified", false);
    row.bytes("tx_hash", body.tx_hash);
    row.address("token", body.address);
    row.address("sender", body.from);
    row.address("recipient", body.to);
    row.address("operator", body.operator);
    row.uint256("token_id", body.token_id);
    row.uint256("value", body.value);
    row.text_or_null("symbol", None);
    row.decimal_or_null("usd", None);
    put_transaction(row, &body.transaction_fields());
    row.texts_or_null("watched", &body.watched);
    Ok(())
}
