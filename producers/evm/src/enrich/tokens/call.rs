//! Calls to token contracts: many at once by Multicall3, or one by one.

use crypto_intel_schemas::Address;

use super::{
    TokenInfo,
    clean::{self, MAX_NAME_CHARS, MAX_SYMBOL_CHARS},
};
use crate::{
    endpoint::{Endpoint, EndpointError},
    multicall::{self, Aggregated, At, ContractCall},
};

/// `symbol()`, `name()`, `decimals()`
const ASKED: [[u8; 4]; 3] =
    [[0x95, 0xd8, 0x9b, 0x41], [0x06, 0xfd, 0xde, 0x03], [0x31, 0x3c, 0xe5, 0x67]];

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
    let asked = |token: &Address| ASKED.map(|selector| ContractCall::of(*token, &selector));
    let calls: Vec<ContractCall> = tokens.iter().flat_map(asked).collect();
    Ok(match multicall::aggregate(endpoint, multicall, &calls, At::Latest).await? {
        Aggregated::Results(results) => Called::Tokens(infos(&results)),
        Aggregated::NoMulticall => Called::NoMulticall,
        Aggregated::Refused(_) => Called::Hostile,
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
    let mut answers = [const { None }; 3];
    for (place, selector) in answers.iter_mut().zip(ASKED) {
        match multicall::call(endpoint, &ContractCall::of(*token, &selector), At::Latest).await {
            Ok(answer) => *place = answer,
            // A contract without this method.
            Err(EndpointError::Refused { .. }) => {}
            Err(error) => return Err(error),
        }
    }
    Ok(info(&answers))
}

/// Answers of many tokens, as many to each as were asked for.
fn infos(results: &[Option<Vec<u8>>]) -> Vec<TokenInfo> {
    let (tokens, _) = results.as_chunks();
    tokens.iter().map(info).collect()
}

fn info(answers: &[Option<Vec<u8>>; 3]) -> TokenInfo {
    let [symbol, name, decimals] = answers;
    TokenInfo {
        symbol: symbol.as_deref().and_then(|answer| clean::text(answer, MAX_SYMBOL_CHARS)),
        name: name.as_deref().and_then(|answer| clean::text(answer, MAX_NAME_CHARS)),
        decimals: decimals.as_deref().and_then(clean::decimals),
    }
}

#[cfg(test)]
mod tests {
    use alloy_primitives::{U256, keccak256};

    use super::*;

    #[test]
    fn selectors_are_those_of_their_signatures() {
        for (selector, signature) in ASKED.iter().zip(["symbol()", "name()", "decimals()"]) {
            assert_eq!(*selector, keccak256(signature)[..4], "{signature}");
        }
    }

    #[test]
    fn failed_calls_leave_their_field_unknown() {
        let mut symbol = vec![0; 32];
        symbol[..3].copy_from_slice(b"MKR");
        let eighteen = U256::from(18).to_be_bytes::<32>().to_vec();
        let results =
            [Some(symbol), None, Some(eighteen), None, Some(Vec::new()), Some(vec![0xff; 32])];
        let maker = TokenInfo { symbol: Some("MKR".to_owned()), name: None, decimals: Some(18) };
        assert_eq!(infos(&results), [maker, TokenInfo::default()]);
    }
}
