use crate::types::{account_address::AccountAddress, event_fields::EventValue};

/// Room for every address field that a kind has.
const MAX_ADDRESSES: usize = 12;

/// The addresses that an event names, each once.
#[derive(Debug)]
pub struct Addresses {
    addresses: [AccountAddress; MAX_ADDRESSES],
    count: usize,
}

impl Default for Addresses {
    fn default() -> Self {
        Self { addresses: [AccountAddress::ZERO; MAX_ADDRESSES], count: 0 }
    }
}

impl Addresses {
    /// Adds an address, unless it is there.
    pub fn add(&mut self, address: impl Into<AccountAddress>) {
        let address = address.into();
        if self.addresses[..self.count].contains(&address) {
            return;
        }
        if let Some(place) = self.addresses.get_mut(self.count) {
            *place = address;
            self.count += 1;
        }
    }

    /// Adds an address that may be absent.
    pub fn add_known(&mut self, address: Option<impl Into<AccountAddress>>) {
        if let Some(address) = address {
            self.add(address);
        }
    }

    /// Adds what looks like an address in the text of a decoded value.
    pub fn add_named(&mut self, value: &EventValue) {
        match value {
            EventValue::Text(text) if text.len() == 42 => {
                self.add_known(text.parse::<AccountAddress>().ok());
            }
            EventValue::List(values) => {
                for value in values {
                    self.add_named(value);
                }
            }
            EventValue::Text(_) | EventValue::Bool(_) => {}
        }
    }

    /// The addresses, in the order in which they were added.
    pub fn iter(&self) -> impl Iterator<Item = &AccountAddress> {
        self.addresses[..self.count].iter()
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::panic)]

    use serde_json::Value;

    use super::*;
    use crate::{kinds::Kind, samples};

    fn addresses_in(value: &Value, found: &mut Vec<AccountAddress>) {
        match value {
            Value::String(text) if text.len() == 42 => found.extend(text.parse::<AccountAddress>()),
            Value::Array(items) => items.iter().for_each(|item| addresses_in(item, found)),
            Value::Object(fields) => fields.values().for_each(|item| addresses_in(item, found)),
            _ => {}
        }
    }

    #[test]
    fn every_address_field_of_every_kind_counts() {
        let mut kinds = 0;
        for event in Kind::ALL.iter().map(|kind| samples::sample(*kind)) {
            // A marker's miner does not count, and it is in no watch subject.
            if event.transaction_fields().is_none() {
                continue;
            }
            kinds += 1;
            let mut expected = Vec::new();
            addresses_in(&event.to_json(), &mut expected);
            let found: Vec<AccountAddress> = event.touched().iter().copied().collect();
            for address in expected {
                assert!(found.contains(&address), "{address} of {}", event.kind());
            }
        }
        assert!(kinds >= 7, "{kinds}");
    }
}
