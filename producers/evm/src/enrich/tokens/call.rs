//! Calls to token contracts: many at once by Multicall3, or one by one.

use std::borrow::Cow;

use crypto_intel_schemas::{Address, U256};
use serde_json::json;

use super::{
    TokenInfo,
    clean::{self, MAX_NAME_CHARS, MAX_SYMBOL_CHARS, number_at},
};
use crate::{
    endpoint::{Endpoint, EndpointError},
    hex,
};

/// `aggregate3((address,bool,bytes)[])`
const AGGREGATE: [u8; 4] = [0x82, 0xad, 0x56, 0xcb];
/// `symbol()`, `name()`, `decimals()`
const ASKED: [[u8; 4]; 3] =
    [[0x95, 0xd8, 0x9b, 0x41], [0x06, 0xfd, 0xde, 0x03], [0x31, 0x3c, 0xe5, 0x67]];
/// Maximum length of an answer, hex digits: a longer one is hostile.
const MAX_ANSWER_DIGITS: usize = 8 << 20;

/// Result of a call.
#[derive(Debug)]
pub(super) enum Called {
    /// One for each token that was asked.
    Tokens(Vec<TokenInfo>),
    /// There is no Multicall3 at the address.
    NoMulticall,
    /// The whole call failed because of a token, or its answer was too large: ask for fewer tokens at once.
    Hostile,
}

/// Asks many tokens in one call.
///
/// # Errors
/// When the endpoint does not answer.
pub(super) async fn aggregate(
    endpoint: &Endpoint,
    multicall: &Address,
    tokens: &[Address],
) -> Result<Called, EndpointError> {
    let answer = match call(endpoint, multicall, &encode(tokens)).await {
        Ok(answer) => answer,
        Err(EndpointError::Refused { .. }) => return Ok(Called::Hostile),
        Err(error) => return Err(error),
    };
    Ok(match answer {
        None => Called::Hostile,
        Some(bytes) if bytes.is_empty() => Called::NoMulticall,
        Some(bytes) => decode(&bytes, tokens.len()).map_or(Called::NoMulticall, Called::Tokens),
    })
}

/// Asks one token, without Multicall3.
///
/// # Errors
/// When the endpoint does not answer.
pub(super) async fn single(
    endpoint: &Endpoint,
    token: &Address,
) -> Result<TokenInfo, EndpointError> {
    let mut answers = [const { Vec::new() }; 3];
    for (place, selector) in answers.iter_mut().zip(ASKED) {
        match call(endpoint, token, &selector).await {
            Ok(answer) => *place = answer.unwrap_or_default(),
            // A contract without this method.
            Err(EndpointError::Refused { .. }) => {}
            Err(error) => return Err(error),
        }
    }
    let [symbol, name, decimals] = &answers;
    Ok(info([Some(symbol), Some(name), Some(decimals)]))
}

/// The answer's bytes; `None` when it is too large.
///
/// # Errors
/// When the endpoint does not answer, or the contract refuses.
pub(crate) async fn call(
    endpoint: &Endpoint,
    to: &Address,
    data: &[u8],
) -> Result<Option<Vec<u8>>, EndpointError> {
    let method = "eth_call";
    let data = alloy_primitives::hex::encode_prefixed(data);
    let call = json!({ "to": format!("{to:#x}"), "data": data });
    let answer = endpoint.call(method, (call, "latest")).await?;
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

fn info(answers: [Option<&Vec<u8>>; 3]) -> TokenInfo {
    let [symbol, name, decimals] = answers;
    TokenInfo {
        symbol: symbol.and_then(|answer| clean::text(answer, MAX_SYMBOL_CHARS)),
        name: name.and_then(|answer| clean::text(answer, MAX_NAME_CHARS)),
        decimals: decimals.and_then(|answer| clean::decimals(answer)),
    }
}

fn push(buffer: &mut Vec<u8>, number: usize) {
    buffer.extend(U256::from(number).to_be_bytes::<32>());
}

fn encode(tokens: &[Address]) -> Vec<u8> {
    const CALL_BYTES: usize = 5 * 32;
    let count = tokens.len() * ASKED.len();
    let mut data = AGGREGATE.to_vec();
    push(&mut data, 32);
    push(&mut data, count);
    for index in 0..count {
        push(&mut data, count * 32 + index * CALL_BYTES);
    }
    for token in tokens {
        for selector in ASKED {
            data.extend(token.into_word());
            // A call may fail without failing the others.
            push(&mut data, 1);
            push(&mut data, 3 * 32);
            push(&mut data, selector.len());
            data.extend(selector);
            data.extend([0; 28]);
        }
    }
    data
}

/// Reads `(bool,bytes)[]`, trusting no length in it.
fn decode(answer: &[u8], tokens: usize) -> Option<Vec<TokenInfo>> {
    let list = number_at(answer, 0)?;
    if number_at(answer, list)? != tokens * ASKED.len() {
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
    let read = |token: usize| {
        let answers: [Option<Vec<u8>>; 3] =
            std::array::from_fn(|asked| result(token * ASKED.len() + asked));
        info(answers.each_ref().map(Option::as_ref))
    };
    Some((0..tokens).map(read).collect())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use alloy_primitives::keccak256;
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn selectors_are_those_of_their_signatures() {
        for (selector, signature) in [
            (AGGREGATE, "aggregate3((address,bool,bytes)[])"),
            (ASKED[0], "symbol()"),
            (ASKED[1], "name()"),
            (ASKED[2], "decimals()"),
        ] {
            assert_eq!(selector, keccak256(signature)[..4], "{signature}");
        }
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
    fn failed_calls_leave_their_field_unknown() {
        let mut symbol = [0; 32];
        symbol[..3].copy_from_slice(b"MKR");
        let eighteen = U256::from(18).to_be_bytes::<32>().to_vec();
        let results = [
            (true, symbol.to_vec()),
            (false, b"out of gas".to_vec()),
            (true, eighteen),
            (false, Vec::new()),
            (true, Vec::new()),
            (true, vec![0xff; 32]),
        ];
        let decoded = decode(&answer(&results), 2).unwrap();
        let maker = TokenInfo { symbol: Some("MKR".to_owned()), name: None, decimals: Some(18) };
        assert_eq!(decoded, [maker, TokenInfo::default()]);
        assert!(decode(&answer(&results), 3).is_none(), "answers to another question");
    }

    #[test]
    fn calls_are_encoded_as_the_abi_says() {
        let data = encode(&[Address::repeat_byte(1)]);
        assert_eq!(data.len(), 4 + 64 + 3 * 32 + 3 * 160);
        let body = &data[4..];
        let list = &body[64..];
        for (index, selector) in ASKED.iter().enumerate() {
            let call = &list[number_at(list, index * 32).unwrap()..];
            assert_eq!(call[12..32], [1; 20]);
            assert_eq!(number_at(call, 32), Some(1));
            let at = number_at(call, 64).unwrap();
            assert_eq!(number_at(call, at), Some(4));
            assert_eq!(call[at + 32..at + 36], *selector);
        }
    }

    proptest! {
        #[test]
        fn hostile_answers_never_panic(bytes in proptest::collection::vec(any::<u8>(), 0..600), flips in proptest::collection::vec((any::<usize>(), any::<u8>()), 0..8)) {
            let _ = decode(&bytes, 1);
            let mut near = answer(&[(true, bytes.clone()), (true, vec![]), (false, bytes)]);
            for (place, byte) in flips {
                let place = place % near.len();
                near[place] = byte;
            }
            let _ = decode(&near, 1);
        }
    }
}
