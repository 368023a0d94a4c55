use crypto_intel_schemas::{Address, Decimal, Event, TransactionStatus, Uint256};

use super::{Decoding, body};
use crate::block::Transaction;

impl Decoding<'_> {
    pub(super) fn transaction(
        &self,
        index: u32,
        transaction: &Transaction,
        sink: &mut impl FnMut(Event),
    ) {
        // Without a receipt the outcome is unknown.
        if transaction.status == TransactionStatus::Failed || !transaction.has_receipt {
            return;
        }
        // What is sent along with a creation belongs to the new contract.
        if let Some(to) = transaction.to.or(transaction.contract)
            && !transaction.value.is_zero()
        {
            sink(self.native_transfer(index, transaction, to));
        }
        // By the receipt and not by a missing receiver: on some chains contracts are created by a call to a system
        // contract, and a transaction without receiver may have calls instead.
        if let Some(contract) = transaction.contract {
            sink(self.contract_creation(index, transaction, contract));
        }
    }

    fn native_transfer(&self, index: u32, transaction: &Transaction, to: Address) -> Event {
        let native = &self.decoder.native;
        let price = self.price_of(&native.asset);
        let value = transaction.value;
        Event::NativeTransfer(body!(tx between self, index, transaction, NativeTransfer {
            from: transaction.from.unwrap_or_default(),
            to,
            value: Uint256(value),
            symbol: Some(native.symbol.clone()),
            amount: Some(Decimal::from_units(value, native.decimals)),
            usd: price.and_then(|price| price.value_of(value, native.decimals)),
            status: transaction.status,
        }))
    }

    fn contract_creation(&self, index: u32, transaction: &Transaction, contract: Address) -> Event {
        Event::ContractCreation(body!(tx self, index, transaction, ContractCreation {
            contract,
            creator: transaction.from.unwrap_or_default(),
            code_length: u32::try_from(transaction.input_length).unwrap_or(u32::MAX),
            status: transaction.status,
        }))
    }
}
