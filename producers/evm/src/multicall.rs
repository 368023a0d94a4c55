//! Calls of contracts: one by one, or many at once by [Multicall3](https://www.multicall3.com).

use std::borrow::Cow;

use crypto_intel_schemas::{Address, B256, U256};
use serde::{Serialize, Serializer};
use serde_json::json;

use crate::{
    endpoint::{Endpoint, EndpointError},
    hex,
};

/// `aggregate3((address,bool,bytes)[])`
const AGGREGATE: [u8; 4] = [0x82, 0xad, 0x56, 0xcb];
/// Maximum length of an answer, hex digits: a longer one is hostile.
const MAX_ANSWER_DIGITS: usize = 8 << 20;

/// At which block a contract is called.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum At {
    /// The newest one that the endpoint has.
    Latest,
    /// This one, as long as it is on the chain (EIP-1898).
    Block(B256),
}

impl Serialize for At {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Latest => serializer.serialize_str("latest"),
            Self::Block(hash) => {
                json!({ "blockHash": hash, "requireCanonical": true }).serialize(serializer)
            }
        }
    }
}

/// A call that changes nothing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct ContractCall {
    to: Address,
    data: Vec<u8>,
}

impl ContractCall {
    /// A call without arguments.
    pub(crate) fn of(to: Address, selector: &[u8; 4]) -> Self {
        Self { to, data: selector.to_vec() }
    }

    /// A call with one address as its argument.
    pub(crate) fn with_address(to: Address, selector: &[u8; 4], argument: &Address) -> Self {
        Self::with_word(to, selector, &argument.into_word())
    }

    /// A call with one word as its argument.
    pub(crate) fn with_word(to: Address, selector: &[u8; 4], argument: &B256) -> Self {
        Self { to, data: [selector.as_slice(), argument.as_slice()].concat() }
    }
}

/// Result of many calls at once.
#[derive(Debug)]
pub(crate) enum Aggregated {
    /// The answer to each call; `None` where it failed.
    Results(Vec<Option<Vec<u8>>>),
    /// There is no Multicall3 at the address.
    NoMulticall,
    /// All failed together, and why: one of them used up the gas, the answer was too large, or the endpoint does not have
    /// the block.
    Refused(String),
}

/// Makes many calls in one.
///
/// # Errors
/// When the endpoint does not answer.
pub(crate) async fn aggregate(
    endpoint: &Endpoint,
    multicall: &Address,
    calls: &[ContractCall],
    at: At,
) -> Result<Aggregated, EndpointError> {
    let together = ContractCall { to: *multicall, data: encode(calls) };
    Ok(match call(endpoint, &together, at).await {
        Ok(None) => Aggregated::Refused("its answer is too large".to_owned()),
        Ok(Some(bytes)) => {
            decode(&bytes, calls.len()).map_or(Aggregated::NoMulticall, Aggregated::Results)
        }
        Err(EndpointError::Refused { reason, .. }) => Aggregated::Refused(reason),
        Err(error) => return Err(error),
    })
}

/// The bytes that a contract answers; `None` when they are too many.
///
/// # Errors
/// When the endpoint does not answer, or refuses because the call failed.
pub(crate) async fn call(
    endpoint: &Endpoint,
    call: &ContractCall,
    at: At,
) -> Result<Option<Vec<u8>>, EndpointError> {
    let method = "eth_call";
    let data = alloy_primitives::hex::encode_prefixed(&call.data);
    let answer = endpoint
        .call(method, (json!({ "to": format!("{:#x}", call.to), "data": data }), at))
        .await?;
    let malformed = || EndpointError::Answer {
        endpoint: endpoint.label().to_owned(),
        method,
        reason: "no hex text".to_owned(),
    };
    if answer.text().len() > MAX_ANSWER_DIGITS {
        return Ok(None);
    }
    let text: Cow<'_, str> = serde_json::from_str(answer.text()).map_err(|_| malformed())?;
    let mut bytes = Vec::new();
    hex::append(&text, &mut bytes).ok_or_else(malformed)?;
    Ok(Some(bytes))
}

/// A word as an offset or length.
pub(crate) fn number_at(bytes: &[u8], start: usize) -> Option<usize> {
    let word: [u8; 32] = bytes.get(start..start.checked_add(32)?)?.try_into().ok()?;
    usize::try_from(U256::from_be_bytes(word)).ok()
}

fn push(buffer: &mut Vec<u8>, number: usize) {
    buffer.extend(U256::from(number).to_be_bytes::<32>());
}

fn encode(calls: &[ContractCall]) -> Vec<u8> {
    /// Address, whether it may fail, where its data are, and their length.
    const HEAD_BYTES: usize = 4 * 32;
    let mut data = AGGREGATE.to_vec();
    push(&mut data, 32);
    push(&mut data, calls.len());
    let mut place = calls.len() * 32;
    for call in calls {
        push(&mut data, place);
        place += HEAD_BYTES + call.data.len().next_multiple_of(32);
    }
    for call in calls {
        data.extend(call.to.into_word());
        // A call may fail without failing the others.
        push(&mut data, 1);
        push(&mut data, 3 * 32);
        push(&mut data, call.data.len());
        data.extend(&call.data);
        let padding = call.data.len().next_multiple_of(32) - call.data.len();
        data.resize(data.len() + padding, 0);
    }
    data
}

/// Reads `(bool,bytes)[]`, trusting no length in it.
fn decode(answer: &[u8], calls: usize) -> Option<Vec<Option<Vec<u8>>>> {
    let list = number_at(answer, 0)?;
    if number_at(answer, list)? != calls {
        return None;
    }
    let places = answer.get(list.checked_add(32)?..)?;
    let result = |index: usize| -> Option<Vec<u8>> {
        let entry = places.get(number_at(places, index * 32)?..)?;
        if number_at(entry, 0)? != 1 {
            return None;
        }
        let data = number_at(entry, 32)?;
        let length = number_at(entry, data)?;
        let content = data.checked_add(32)?;
        entry.get(content..content.checked_add(length)?).map(<[u8]>::to_vec)
    };
    Some((0..calls).map(result).collect())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use alloy_primitives::keccak256;
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn the_selector_is_that_of_its_signature() {
        assert_eq!(AGGREGATE, keccak256("aggregate3((address,bool,bytes)[])")[..4]);
    }

    #[test]
    fn a_block_is_named_by_its_hash_and_has_to_be_on_the_chain() {
        let hash = B256::repeat_byte(7);
        let named = serde_json::to_value(At::Block(hash)).unwrap();
        assert_eq!(named, json!({ "blockHash": hash, "requireCanonical": true }));
        assert_eq!(serde_json::to_value(At::Latest).unwrap(), "latest");
    }

    /// An answer of Multicall3: success and data of each call.
    fn answer(results: &[(bool, Vec<u8>)]) -> Vec<u8> {
        let mut bodies = Vec::new();
        let mut places = Vec::new();
        for (success, data) in results {
            push(&mut places, results.len() * 32 + bodies.len());
            push(&mut bodies, usize::from(*success));
            push(&mut bodies, 64);
            push(&mut bodies, data.len());
            bodies.extend(data);
            bodies.resize(bodies.len().next_multiple_of(32), 0);
        }
        let mut bytes = Vec::new();
        push(&mut bytes, 32);
        push(&mut bytes, results.len());
        bytes.extend(places);
        bytes.extend(bodies);
        bytes
    }

    #[test]
    fn each_answer_is_that_of_its_call() {
        let results = [(true, vec![1, 2, 3]), (false, b"out of gas".to_vec()), (true, Vec::new())];
        let decoded = decode(&answer(&results), 3).unwrap();
        assert_eq!(decoded, [Some(vec![1, 2, 3]), None, Some(Vec::new())]);
        assert!(decode(&answer(&results), 2).is_none(), "answers to another question");
    }

    #[test]
    fn calls_are_encoded_as_the_abi_says() {
        let to = Address::repeat_byte(1);
        let calls = [
            ContractCall::of(to, &[1, 2, 3, 4]),
            ContractCall::with_address(to, &[5, 6, 7, 8], &Address::repeat_byte(9)),
            ContractCall::of(to, &[9; 4]),
        ];
        let data = encode(&calls);
        let list = &data[4 + 64..];
        for (index, expected) in calls.iter().enumerate() {
            let call = &list[number_at(list, index * 32).unwrap()..];
            assert_eq!(call[12..32], [1; 20]);
            assert_eq!(number_at(call, 32), Some(1));
            let at = number_at(call, 64).unwrap();
            assert_eq!(number_at(call, at), Some(expected.data.len()));
            assert_eq!(call[at + 32..at + 32 + expected.data.len()], expected.data);
        }
        assert_eq!(data.len(), 4 + 64 + 3 * 32 + 3 * 4 * 32 + 32 + 64 + 32);
    }

    proptest! {
        #[test]
        fn hostile_answers_never_panic(bytes in proptest::collection::vec(any::<u8>(), 0..600), flips in proptest::collection::vec((any::<usize>(), any::<u8>()), 0..8)) {
            let _ = decode(&bytes, 3);
            let mut near = answer(&[(true, bytes.clone()), (true, vec![]), (false, bytes)]);
            for (place, byte) in flips {
                let place = place % near.len();
                near[place] = byte;
            }
            let _ = decode(&near, 3);
        }
    }
}
