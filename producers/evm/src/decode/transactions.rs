use crypto_intel_schemas::{Address, Decimal, Event, TransactionStatus, Uint256};

use super::{Scope, body};
use crate::block::Transaction;

impl Scope<'_> {
    pub(super) fn transaction(
        &self,
        index: u32,
        transaction: &Transaction,
        sink: &mut impl FnMut(Event),
    ) {
        // Whether it took effect is not guessed.
        if transaction.status == TransactionStatus::Failed || !transaction.has_receipt {
            return;
        }
        if let Some(to) = transaction.to
            && !transaction.value.is_zero()
        {
            sink(self.native_transfer(index, transaction, to));
        }
        // Not by the receiver: chains with system contracts make contracts by calling one, and what has no receiver may
        // have calls in its place.
        if let Some(contract) = transaction.contract {
            sink(self.contract_creation(index, transaction, contract));
        }
    }

    fn native_transfer(&self, index: u32, transaction: &Transaction, to: Address) -> Event {
        let native = &self.decoder.native;
        let price = self.price_of(&native.asset);
        let value = transaction.value;
        Event::NativeTransfer(body!(tx self, index, transaction, NativeTransfer {
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
