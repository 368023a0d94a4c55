//! Transactions with their fees, failed ones included: of watched addresses, or all.

use crypto_intel_schemas::{Event, Kind, Transaction, TransactionStatus};

use crate::{
    copy_format::row_sink::{RowSink, Unstorable, refuse},
    tables::{common::put_chain_key, retention_group::RetentionGroup, spec::TableSpec},
};

pub(super) const SPEC: TableSpec = TableSpec {
    name: "transactions",
    key: &["block_time", "block_number", "block_tag", "tx_index", "chain"],
    time_column: "block_time",
    partitioned: true,
    of_block: true,
    retention: RetentionGroup::Transfers,
    kinds: &[Kind::Transaction],
};

pub(super) fn put(row: &mut impl RowSink, event: &Event) -> Result<(), Unstorable> {
    let Event::Transaction(body) = event else { return Err(refuse("kind", event.kind())) };
    let places = [("tx_index", body.tx_index)];
    put_chain_key(row, &body.block_fields(), &places)?;
    put_gas(row, body)?;
    row.int2_or_null("tx_type", body.tx_type.map(i16::from));
    row.int2_or_null("decimals", body.decimals.map(i16::from));
    row.boolean_or_null("succeeded", body.status.and_then(succeeded));
    row.bytes("tx_hash", body.tx_hash);
    row.address_or_null("sender", body.tx_from);
    row.address_or_null("recipient", body.tx_to);
    row.address_or_null("contract", body.contract);
    row.bytes_or_null("method", body.method);
    row.uint256("value", body.value);
    row.uint256_or_null("effective_gas_price", body.effective_gas_price);
    row.uint256_or_null("max_fee_per_gas", body.max_fee_per_gas);
    row.uint256_or_null("max_priority_fee_per_gas", body.max_priority_fee_per_gas);
    row.uint256_or_null("l1_fee", body.l1_fee);
    row.uint256_or_null("blob_gas_price", body.blob_gas_price);
    row.uint256_or_null("fee", body.fee);
    row.decimal_or_null("fee_usd", body.fee_usd.as_ref());
    row.text_or_null("symbol", body.symbol.as_deref());
    row.texts_or_null("delegated_to", &body.delegated_to);
    row.texts_or_null("watched", &body.watched);
    Ok(())
}

/// Columns of fixed length.
fn put_gas(row: &mut impl RowSink, body: &Transaction) -> Result<(), Unstorable> {
    row.int8_or_null("nonce", body.nonce)?;
    row.int8_or_null("gas_limit", body.gas_limit)?;
    row.int8_or_null("gas_used", body.gas_used)?;
    row.int8_or_null("gas_used_for_l1", body.gas_used_for_l1)?;
    row.int8("input_length", i64::from(body.input_length));
    row.int8_or_null("blob_gas_used", body.blob_gas_used)?;
    row.int8_or_null("blob_count", body.blob_count.map(u64::from))?;
    row.int8_or_null("authorizations", body.authorizations.map(u64::from))
}

/// `None` before Byzantium, when receipts did not say.
const fn succeeded(status: TransactionStatus) -> Option<bool> {
    match status {
        TransactionStatus::Success => Some(true),
        TransactionStatus::Failed => Some(false),
        TransactionStatus::Unknown => None,
    }
}
