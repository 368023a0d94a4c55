//! Approvals: which spender may move an owner's tokens.

use crypto_intel_schemas::{Event, Kind, TokenStandard};

use crate::{
    copy_format::row_sink::{RowSink, Unstorable, refuse},
    tables::{common::put_chain_key, retention_group::RetentionGroup, spec::TableSpec},
};

pub(super) const SPEC: TableSpec = TableSpec {
    name: "approvals",
    key: &["block_time", "block_number", "block_tag", "log_index", "chain"],
    time_column: "block_time",
    partitioned: true,
    of_block: true,
    retention: RetentionGroup::Contracts,
    kinds: &[Kind::Approval],
};

pub(super) fn put(row: &mut impl RowSink, event: &Event) -> Result<(), Unstorable> {
    let Event::Approval(body) = event else { return Err(refuse("kind", event.kind())) };
    let places = [("log_index", body.log_index)];
    put_chain_key(row, &body.block_fields(), &places)?;
    row.int4_from("tx_index", body.tx_index)?;
    row.int2_or_null("erc", erc(body.standard));
    row.boolean_or_null("approved", body.approved);
    row.bytes("tx_hash", body.tx_hash);
    row.address("token", body.address);
    row.address("owner", body.owner);
    row.address("spender", body.spender);
    row.uint256_or_null("value", body.value);
    row.uint256_or_null("token_id", body.token_id);
    row.address_or_null("tx_from", body.tx_from);
    row.texts_or_null("watched", &body.watched);
    Ok(())
}

/// `None` for `ApprovalForAll`, which two standards share.
const fn erc(standard: TokenStandard) -> Option<i16> {
    match standard {
        TokenStandard::Erc20 => Some(20),
        TokenStandard::Erc721 => Some(721),
        TokenStandard::Erc1155 => Some(1_155),
        TokenStandard::Unknown => None,
    }
}
