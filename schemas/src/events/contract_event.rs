use alloy_primitives::{Address, address};

use crate::{
    event::{addresses::Addresses, body::event, event_kind::EventKind},
    sample_values::{WALLET, in_log},
    subjects::forms::{self as subjects, Lane},
    types::event_fields::{EventFields, EventValue},
};

event! {
    /// An event of a built-in ABI (`weth`, `chainlink`) or of a configured one, decoded.
    pub struct ContractEvent: log {
        /// Name of the ABI: built-in or as configured.
        pub abi: String,
        /// Name of the event, such as `AnswerUpdated`; in the subject in snake case.
        pub name: String,
        /// Its signature, such as `AnswerUpdated(int256,uint256,uint256)`.
        pub signature: String,
        /// Its parameters by name; an unnamed one by its position, from 0.
        pub fields: EventFields,
    }
}

const FEED: Address = address!("0x7d4e742018fb52e48b08be73d041c18b21de6fb5");

impl EventKind for ContractEvent {
    const NAME: &'static str = "event";
    const SCHEMA: &'static str = "evm.event/1";
    const SUBJECT: &'static str = "evm.<chain>.event.<name>";

    fn subject(&self) -> String {
        subjects::chain_event(Lane::Live, &self.chain, &self.name)
    }

    fn add_addresses(&self, addresses: &mut Addresses) {
        // Only the ABI knows which values are addresses: what looks like one counts.
        for value in self.fields.0.values() {
            addresses.add_named(value);
        }
    }

    fn sample() -> Self {
        in_log!(ContractEvent {
            address: FEED,
            abi: "chainlink".to_owned(),
            name: "AnswerUpdated".to_owned(),
            signature: "AnswerUpdated(int256,uint256,uint256)".to_owned(),
            fields: EventFields::from([
                ("current", EventValue::from("263312000000")),
                ("is_new", EventValue::Bool(true)),
                ("reporters", EventValue::List(vec![format!("{WALLET:#x}").as_str().into()])),
                ("roundId", "45312".into()),
                ("updatedAt", "1729290479".into()),
            ]),
        })
    }
}
