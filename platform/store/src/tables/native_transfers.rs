//! Value moved by transactions themselves.

use crypto_intel_schemas::{Event, Kind, TransactionStatus};

use crate::{
    copy_format::row_sink::{RowSink, Unstorable, refuse},
    tables::{common::put_chain_key, retention_group::RetentionGroup, spec::TableSpec},
};

pub(super) const SPEC: TableSpec = TableSpec {
    name: "native_transfers",
    key: &["block_time", "block_number", "block_tag", "tx_index", "chain"],
    time_column: "block_time",
    partitioned: true,
    of_block: true,
    retention: RetentionGroup::Transfers,
    kinds: &[Kind::NativeTransfer],
};

pub(super) fn put(row: &mut impl RowSink, event: &Event) -> Result<(), Unstorable> {
    let Event::NativeTransfer(body) = event else { return Err(refuse("kind", event.kind())) };
    let places = [("tx_index", body.tx_index)];
    put_chain_key(row, &body.block_fields(), &places)?;
    row.boolean_or_null("succeeded", succeeded(body.status));
    row.bytes("tx_hash", body.tx_hash);
    row.address("sender", body.from);
    row.address("recipient", body.to);
    row.uint256("value", body.value);
    row.text_or_null("symbol", body.symbol.as_deref());
    row.decimal_or_null("amount", body.amount.as_ref());
    row.decimal_or_null("usd", body.usd.as_ref());
    row.bytes_or_null("method", body.method);
    row.texts_or_null("watched", &body.watched);
    Ok(())
}

/// `None` before Byzantium, when receipts did not say.
const fn succeeded(status: TransactionStatus) -> Option<bool> {
    match status {
        TransactionStatus::Success => Some(true),
        TransactionStatus::Failed => Some(false),
        TransactionStatus::Unknown => None,
    }
}
