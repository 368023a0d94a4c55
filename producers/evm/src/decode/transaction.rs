//! A transaction as an event of its own: what it was to do, whether it did, and what it cost.

use crypto_intel_schemas::{Decimal, Event, U256, Uint256};

use super::{Decoding, body};
use crate::{
    block::Transaction,
    config::transactions_mode::{L1FeeMode, TransactionsMode},
    details::{Lists, kind},
};

impl Decoding<'_> {
    /// Whether it is published.
    pub(super) fn wants(&self, transaction: &Transaction) -> bool {
        match self.decoder.transactions {
            TransactionsMode::None => false,
            TransactionsMode::All => transaction.details.is_whole,
            TransactionsMode::Watched => {
                transaction.details.is_whole && transaction.is_of(&self.context.watched)
            }
        }
    }

    pub(super) fn own_event(&self, index: u32, transaction: &Transaction) -> Event {
        let (details, native) = (&transaction.details, &self.decoder.native);
        let paid = &details.paid;
        let lists = details.lists.as_deref();
        let base_fee = self.block.header.base_fee_per_gas;
        let fee = self.fee(transaction);
        let price = self.price_of(&native.asset).zip(fee);
        let wei = |price: Option<u128>| price.map(|price| Uint256(U256::from(price)));
        let of_receipt = transaction.has_receipt;
        Event::Transaction(body!(tx between self, index, transaction, Transaction {
            nonce: details.nonce,
            tx_type: details.kind,
            contract: transaction.contract,
            value: Uint256(transaction.value),
            symbol: Some(native.symbol.clone()),
            decimals: Some(native.decimals),
            amount: Some(Decimal::from_units(transaction.value, native.decimals)),
            input_length: u32::try_from(transaction.input_length).unwrap_or(u32::MAX),
            gas_limit: details.gas_limit,
            gas_used: paid.gas_used,
            gas_used_for_l1: paid.gas_used_for_l1,
            effective_gas_price: wei(
                details.effective_gas_price(base_fee).filter(|_| of_receipt),
            ),
            max_fee_per_gas: wei(details.max_fee),
            max_priority_fee_per_gas: wei(details.max_tip),
            l1_fee: paid.l1_fee.map(Uint256),
            blob_count: lists.and_then(|lists| lists.blobs),
            blob_gas_used: details.blob_gas(),
            blob_gas_price: wei(paid.blob_gas_price).filter(|_| details.blob_gas().is_some()),
            fee: fee.map(Uint256),
            fee_amount: fee.map(|fee| Decimal::from_units(fee, native.decimals)),
            fee_usd: price.and_then(|(price, fee)| price.value_of(fee, native.decimals)),
            authorizations: lists.and_then(|lists| lists.authorizations),
            delegated_to: lists.map(texts).unwrap_or_default(),
            status: of_receipt.then_some(transaction.status),
        }))
    }

    fn fee(&self, transaction: &Transaction) -> Option<U256> {
        let begins_with_deposit = || {
            let first = self.block.transactions.first();
            first.is_some_and(|first| first.details.kind == Some(kind::DEPOSIT))
        };
        let details = &transaction.details;
        let has_l1_fee = details.paid.l1_fee.is_some_and(|fee| !fee.is_zero());
        let needs_l1_fee = match self.decoder.l1_fee {
            L1FeeMode::Required => true,
            L1FeeMode::Added => begins_with_deposit(),
            L1FeeMode::Unclear if has_l1_fee => return None,
            L1FeeMode::Unclear => false,
        };
        details.fee(self.block.header.base_fee_per_gas, needs_l1_fee)
    }
}

fn texts(lists: &Lists) -> Vec<String> {
    lists.delegated_to.iter().map(|address| format!("{address:#x}")).collect()
}
