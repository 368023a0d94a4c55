//! Events that are decoded without a configured ABI: wrapped native tokens and Chainlink's price feeds.

use crypto_intel_schemas::{Event, EventFields, EventValue};

use super::{Decoding, abi, body, logs::Odd};
use crate::block::LogRecord;

fn text(value: impl ToString) -> EventValue {
    EventValue::Text(value.to_string())
}

impl Decoding<'_> {
    pub(super) fn deposit(&self, log: &LogRecord) -> Result<Event, Odd> {
        const FORM: Odd = Odd("deposit with other topics or data");
        let [_, account] = log.topics() else { return Err(FORM) };
        let [amount] = abi::exactly(self.block.log_data(log)).ok_or(FORM)?;
        let account = format!("{:#x}", abi::address(account));
        let fields = [("dst", EventValue::Text(account)), ("wad", text(amount))];
        Ok(self.known_event(log, "weth", "Deposit", "Deposit(address,uint256)", fields.into()))
    }

    pub(super) fn withdrawal(&self, log: &LogRecord) -> Result<Event, Odd> {
        const FORM: Odd = Odd("withdrawal with other topics or data");
        let [_, account] = log.topics() else { return Err(FORM) };
        let [amount] = abi::exactly(self.block.log_data(log)).ok_or(FORM)?;
        let account = format!("{:#x}", abi::address(account));
        let fields = [("src", EventValue::Text(account)), ("wad", text(amount))];
        Ok(self.known_event(
            log,
            "weth",
            "Withdrawal",
            "Withdrawal(address,uint256)",
            fields.into(),
        ))
    }

    pub(super) fn answer_updated(&self, log: &LogRecord) -> Result<Event, Odd> {
        const FORM: Odd = Odd("price update with other topics or data");
        let [_, current, round] = log.topics() else { return Err(FORM) };
        let [updated_at] = abi::exactly(self.block.log_data(log)).ok_or(FORM)?;
        let fields = [
            ("current", text(abi::signed(abi::number(current)))),
            ("roundId", text(abi::number(round))),
            ("updatedAt", text(updated_at)),
        ];
        let signature = "AnswerUpdated(int256,uint256,uint256)";
        Ok(self.known_event(log, "chainlink", "AnswerUpdated", signature, fields.into()))
    }

    fn known_event(
        &self,
        log: &LogRecord,
        abi: &str,
        name: &str,
        signature: &str,
        fields: EventFields,
    ) -> Event {
        Event::ContractEvent(body!(log self, log, None, ContractEvent {
            abi: abi.to_owned(),
            name: name.to_owned(),
            signature: signature.to_owned(),
            fields,
        }))
    }
}
