use crypto_intel_schemas::{B256, TransactionStatus};

use crate::block::Outcome;

use super::{InvalidResponse, details::paid_of, parse, raw::RawReceipt};

/// The result of a transaction, by its receipt. `is_old`: from before Byzantium, when receipts had a state root; some
/// nodes add an invented status there.
pub(super) fn outcome_of(receipt: &RawReceipt<'_>, is_old: bool) -> Outcome {
    let status = match receipt.status.0 {
        _ if is_old => TransactionStatus::Unknown,
        Some(0) => TransactionStatus::Failed,
        Some(_) => TransactionStatus::Success,
        None => TransactionStatus::Unknown,
    };
    // Some nodes write the zero address if nothing was created.
    let contract = receipt.contract_address.get().filter(|contract| !contract.is_zero());
    Outcome { status, contract, paid: paid_of(receipt) }
}

/// Reads an answer of `eth_getTransactionReceipt`; `None` where the endpoint has no receipt.
///
/// # Errors
/// When it cannot be that of the transaction in that block.
pub(crate) fn read_outcome(
    text: &str,
    transaction: B256,
    (number, hash): (u64, B256),
    byzantium: u64,
) -> Result<Option<Outcome>, InvalidResponse> {
    let receipt: Option<RawReceipt<'_>> = parse("receipt", text)?;
    let Some(receipt) = receipt else { return Ok(None) };
    let is_elsewhere = receipt.block_hash.get().is_some_and(|found| found != hash);
    if is_elsewhere || receipt.transaction_hash.0 != transaction {
        return Err(InvalidResponse::OtherBlock { what: "receipts", number });
    }
    Ok(Some(outcome_of(&receipt, number < byzantium)))
}

/// The first block of a chain whose receipts have a status; on chains that are not listed, all have one.
pub(super) const fn byzantium(chain_id: u64) -> u64 {
    match chain_id {
        1 => 4_370_000,
        // Ropsten and Ethereum Classic.
        3 => 1_700_000,
        61 => 8_772_000,
        _ => 0,
    }
}
