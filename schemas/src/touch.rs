use crate::{Address, Event, EventValue};

/// Room for every address field that a kind has.
const MOST: usize = 12;

/// The addresses that an event names, each once.
#[derive(Debug)]
pub struct Touched {
    addresses: [Address; MOST],
    count: usize,
}

impl Touched {
    fn add(&mut self, address: Address) {
        if self.addresses[..self.count].contains(&address) {
            return;
        }
        if let Some(place) = self.addresses.get_mut(self.count) {
            *place = address;
            self.count += 1;
        }
    }

    fn add_known(&mut self, address: Option<Address>) {
        if let Some(address) = address {
            self.add(address);
        }
    }

    fn add_named(&mut self, value: &EventValue) {
        match value {
            EventValue::Text(text) if text.len() == 42 => self.add_known(text.parse().ok()),
            EventValue::List(values) => {
                for value in values {
                    self.add_named(value);
                }
            }
            EventValue::Text(_) | EventValue::Bool(_) => {}
        }
    }

    /// The addresses.
    pub fn iter(&self) -> impl Iterator<Item = &Address> {
        self.addresses[..self.count].iter()
    }
}

impl Event {
    /// Every address in the fields of an event: its transaction's, its log's and its own.
    #[must_use]
    pub fn touched(&self) -> Touched {
        let mut touched = Touched { addresses: [Address::ZERO; MOST], count: 0 };
        if let Some(log) = self.log_fields() {
            touched.add(log.address);
        }
        if let Some(transaction) = self.transaction_fields() {
            touched.add_known(transaction.tx_from);
            touched.add_known(transaction.tx_to);
        }
        match self {
            Event::NativeTransfer(body) => {
                touched.add(body.from);
                touched.add(body.to);
            }
            Event::Erc20Transfer(body) => {
                touched.add(body.from);
                touched.add(body.to);
            }
            Event::Erc721Transfer(body) => {
                touched.add(body.from);
                touched.add(body.to);
            }
            Event::Erc1155Transfer(body) => {
                touched.add(body.operator);
                touched.add(body.from);
                touched.add(body.to);
            }
            Event::Approval(body) => {
                touched.add(body.owner);
                touched.add(body.spender);
            }
            Event::ContractCreation(body) => {
                touched.add(body.contract);
                touched.add(body.creator);
            }
            Event::InternalTransfer(body) => {
                touched.add(body.from);
                touched.add(body.to);
            }
            Event::Swap(body) => {
                touched.add(body.sender);
                touched.add_known(body.recipient);
            }
            Event::Liquidity(body) => {
                let own = [body.pool, body.token0, body.token1, body.sender, body.owner];
                for address in own.into_iter().chain([body.recipient, body.hooks]) {
                    touched.add_known(address);
                }
            }
            // What is an address in it, only its ABI knows: what looks like one counts.
            Event::ContractEvent(body) => {
                for value in body.fields.0.values() {
                    touched.add_named(value);
                }
            }
            _ => {}
        }
        touched
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::panic)]

    use crate::{Kind, samples};
    use serde_json::Value;

    use super::*;

    fn addresses_in(value: &Value, found: &mut Vec<Address>) {
        match value {
            Value::String(text) if text.len() == 42 => found.extend(text.parse::<Address>()),
            Value::Array(items) => items.iter().for_each(|item| addresses_in(item, found)),
            Value::Object(fields) => fields.values().for_each(|item| addresses_in(item, found)),
            _ => {}
        }
    }

    #[test]
    fn every_address_field_of_every_kind_counts() {
        let mut kinds = 0;
        for event in Kind::ALL.iter().map(|kind| samples::sample(*kind)) {
            // A marker's miner is no touch, and it is in no watch subject.
            if event.transaction_fields().is_none() {
                continue;
            }
            kinds += 1;
            let mut expected = Vec::new();
            addresses_in(&event.to_json(), &mut expected);
            let found: Vec<Address> = event.touched().iter().copied().collect();
            for address in expected {
                assert!(found.contains(&address), "{address} of {}", event.kind());
            }
        }
        assert!(kinds >= 7, "{kinds}");
    }
}
