use crypto_intel_schemas::{Decimal, Event, Kind, Uint256, transaction_event_id};

use super::{Decoding, body};
use crate::block::{InternalPayment, Transaction};

impl Decoding<'_> {
    /// A payment inside a transaction's contracts.
    pub(super) fn internal_transfer(
        &self,
        transaction: &Transaction,
        payment: &InternalPayment,
    ) -> Event {
        let native = &self.decoder.native;
        let price = self.price_of(&native.asset);
        let value = payment.value;
        let mut event = body!(tx between self, payment.tx_index, transaction, InternalTransfer {
            sub_index: payment.sub_index,
            from: payment.from,
            to: payment.to,
            value: Uint256(value),
            call_type: payment.call_type,
            trace_address: payment.trace_address.clone(),
            symbol: Some(native.symbol.clone()),
            amount: Some(Decimal::from_units(value, native.decimals)),
            usd: price.and_then(|price| price.value_of(value, native.decimals)),
        });
        event.id = transaction_event_id(
            &self.decoder.chain,
            &self.block.header.hash,
            Kind::InternalTransfer,
            payment.tx_index,
            Some(payment.sub_index),
        );
        Event::InternalTransfer(event)
    }
}
