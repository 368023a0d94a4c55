//! Which logs of a chain are asked for, in the form of the filters of `eth_getLogs`.

use alloy_primitives::{Bloom, BloomInput};
use crypto_intel_schemas::{Address, B256};
use serde_json::{Value, json};

use crate::block::LogRecord;

/// Which logs are asked for: by emitter and topics.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash)]
pub(crate) struct LogQuery {
    /// One of these; empty = any.
    contracts: Vec<Address>,
    /// At each place one of these; an empty place = any.
    topics: Vec<Vec<B256>>,
}

impl LogQuery {
    /// The logs of one contract with this first topic.
    pub(crate) fn of_contract(contract: Address, topic: B256) -> Self {
        Self::of_any(vec![contract], vec![topic])
    }

    /// The logs of any of these contracts with any of these first topics; none of either = whatever it is.
    pub(crate) fn of_any(contracts: Vec<Address>, topics: Vec<B256>) -> Self {
        let topics = if topics.is_empty() { Vec::new() } else { vec![topics] };
        Self { contracts, topics }
    }

    /// Together these match all logs that name any of these addresses: those that it emitted, and those with it as one of
    /// three indexed parameters.
    pub(crate) fn naming(addresses: &[Address]) -> [Self; 4] {
        let at = |place: usize| {
            let mut topics = vec![Vec::new(); place];
            topics.push(addresses.iter().map(Address::into_word).collect());
            Self { contracts: Vec::new(), topics }
        };
        [Self::of_any(addresses.to_vec(), Vec::new()), at(1), at(2), at(3)]
    }

    /// Whether it asks for certain logs of certain contracts.
    pub(crate) fn is_of_contract(&self) -> bool {
        !self.contracts.is_empty()
            && matches!(self.topics.as_slice(), [wanted] if !wanted.is_empty())
    }

    /// Whether a bloom filter has room for a log of this query: without, the block certainly has none.
    pub(crate) fn is_possible_in(&self, bloom: &Bloom) -> bool {
        let has = |bytes: &[u8]| bloom.contains_input(BloomInput::Raw(bytes));
        let has_contract = self.contracts.is_empty()
            || self.contracts.iter().any(|contract| has(contract.as_slice()));
        has_contract
            && self
                .topics
                .iter()
                .all(|wanted| wanted.is_empty() || wanted.iter().any(|topic| has(topic.as_slice())))
    }

    /// Whether an answer must contain this log.
    pub(crate) fn matches(&self, log: &LogRecord) -> bool {
        let topics = log.topics();
        (self.contracts.is_empty() || self.contracts.contains(&log.address))
            && self.topics.len() <= topics.len()
            && self
                .topics
                .iter()
                .zip(topics)
                .all(|(wanted, topic)| wanted.is_empty() || wanted.contains(topic))
    }

    /// The filter of `eth_getLogs` for the blocks that `filter` names already.
    pub(crate) fn filter_in(&self, mut filter: Value) -> Value {
        match self.contracts.as_slice() {
            [] => {}
            [contract] => filter["address"] = json!(contract),
            contracts => filter["address"] = json!(contracts),
        }
        let place = |wanted: &Vec<B256>| match wanted.as_slice() {
            [] => Value::Null,
            [topic] => json!(topic),
            topics => json!(topics),
        };
        if !self.topics.is_empty() {
            filter["topics"] = self.topics.iter().map(place).collect();
        }
        filter
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn logs_naming_an_address_are_found_by_emitter_and_by_each_indexed_parameter() {
        let address = Address::repeat_byte(7);
        let filters = LogQuery::naming(&[address])
            .map(|query| query.filter_in(serde_json::json!({})).to_string());
        let word = format!("0x{}{}", "0".repeat(24), "07".repeat(20));
        for (filter, topics) in filters[1..].iter().zip([
            format!(r#"[null,"{word}"]"#),
            format!(r#"[null,null,"{word}"]"#),
            format!(r#"[null,null,null,"{word}"]"#),
        ]) {
            let expected = format!(r#"{{"topics":{topics}}}"#);
            assert_eq!(*filter, expected);
        }
        assert!(filters[0].contains(&format!(r#""address":"{address:#x}""#)), "{}", filters[0]);
    }
}
