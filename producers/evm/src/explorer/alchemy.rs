//! `alchemy_getAssetTransfers`: what an address sent and received, by JSON-RPC.

use std::time::Duration;

use crypto_intel_schemas::{Address, B256, U256};
use serde::Deserialize;
use serde_json::{Value, json};

use super::{
    answer::Verdict,
    claim::{Claim, Claimed},
    client::Window,
    list::List,
};
use crate::hex::Hex;

const WAIT: Duration = Duration::from_secs(2);

#[derive(Deserialize)]
struct Envelope {
    #[serde(default)]
    result: Option<Transfers>,
    #[serde(default)]
    error: Option<Failure>,
}

#[derive(Deserialize)]
struct Failure {
    #[serde(default)]
    code: i64,
    #[serde(default)]
    message: String,
}

#[derive(Deserialize)]
struct Transfers {
    transfers: Vec<Transfer>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Transfer {
    block_num: Hex<u64>,
    hash: Hex<B256>,
    category: String,
    #[serde(default)]
    from: Option<Hex<Address>>,
    #[serde(default)]
    to: Option<Hex<Address>>,
    #[serde(default)]
    raw_contract: Option<RawContract>,
}

#[derive(Deserialize)]
struct RawContract {
    #[serde(default)]
    value: Option<Hex<U256>>,
    #[serde(default)]
    address: Option<Hex<Address>>,
}

/// The request for a list.
pub(crate) fn transfers(list: List, address: &Address, window: Window, rows: u32) -> Value {
    let side = match list {
        List::Sent | List::SentInside => "fromAddress",
        _ => "toAddress",
    };
    let categories: &[&str] = match list {
        List::SentInside | List::ReceivedInside => &["internal"],
        _ => &["external", "erc20", "erc721", "erc1155"],
    };
    let mut wanted = json!({
        "fromBlock": format!("{:#x}", window.from),
        "toBlock": format!("{:#x}", window.to),
        "category": categories,
        "order": "asc",
        "excludeZeroValue": false,
        // The provider's maximum is 1000.
        "maxCount": format!("{:#x}", rows.min(1_000)),
    });
    wanted[side] = json!(address);
    json!({ "jsonrpc": "2.0", "id": 1, "method": list.action(), "params": [wanted] })
}

/// The rows of an answer.
pub(crate) fn read(body: &[u8], list: List) -> Result<Vec<Claim>, Verdict<'static>> {
    let envelope: Envelope = serde_json::from_slice(body)
        .map_err(|error| Verdict::Failed(format!("transfers cannot be read: {error}")))?;
    if let Some(Failure { code, message }) = envelope.error {
        return Err(failure(code, message, list));
    }
    let Some(Transfers { transfers }) = envelope.result else {
        return Err(Verdict::Failed("no result".to_owned()));
    };
    Ok(transfers.into_iter().map(claim_of).collect())
}

/// The number that `eth_blockNumber` answers, also through an explorer.
pub(crate) fn quantity(body: &[u8]) -> Option<u64> {
    #[derive(Deserialize)]
    struct Quantity {
        result: Hex<u64>,
    }
    serde_json::from_slice::<Quantity>(body).ok().map(|answer| answer.result.0)
}

fn claim_of(transfer: Transfer) -> Claim {
    let hash = transfer.hash.0;
    let (value, contract) = match &transfer.raw_contract {
        Some(raw) => (raw.value.as_ref(), raw.address.as_ref()),
        None => (None, None),
    };
    let what = match (transfer.category.as_str(), transfer.from, transfer.to, value, contract) {
        ("external", ..) => Claimed::Transaction { hash },
        ("internal", Some(from), Some(to), Some(value), _) if !value.0.is_zero() => {
            Claimed::Payment { hash: Some(hash), from: from.0, to: to.0, value: value.0 }
        }
        ("erc20" | "erc721" | "erc1155", _, _, _, Some(contract)) => {
            Claimed::Token { hash, contract: contract.0 }
        }
        _ => Claimed::Other,
    };
    Claim { number: transfer.block_num.0, block_hash: None, what }
}

fn failure(code: i64, message: String, list: List) -> Verdict<'static> {
    let text = message.to_ascii_lowercase();
    let has = |parts: &[&str]| parts.iter().any(|part| text.contains(part));
    if code == 429 || has(&["compute units per second", "rate limit"]) {
        return Verdict::Wait(WAIT, message);
    }
    let is_inside = matches!(list, List::SentInside | List::ReceivedInside);
    if is_inside && has(&["category", "internal"]) {
        return Verdict::NotOffered(message);
    }
    if has(&[
        "authenticated",
        "api key",
        "not available",
        "does not exist",
        "unsupported method",
        "not enabled",
    ]) {
        return Verdict::Refused(message);
    }
    Verdict::Failed(message)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    #[test]
    fn transfers_are_read_by_their_category() {
        let body = format!(
            r#"{{"jsonrpc":"2.0","id":1,"result":{{"pageKey":"x","transfers":[
                {{"blockNum":"0x10","hash":"{0}","category":"external","from":"{1}","to":null,"value":0,"rawContract":{{"value":"0x0","address":null}}}},
                {{"blockNum":"0x10","hash":"{0}","category":"internal","from":"{1}","to":"{1}","rawContract":{{"value":"0x5","address":null}}}},
                {{"blockNum":"0x11","hash":"{0}","category":"erc721","from":"{1}","to":"{1}","rawContract":{{"value":null,"address":"{1}"}}}}]}}}}"#,
            format_args!("0x{}", "01".repeat(32)),
            format_args!("0x{}", "02".repeat(20)),
        );
        let claims = read(body.as_bytes(), List::Sent).unwrap();
        assert_eq!(claims.iter().map(|claim| claim.number).collect::<Vec<_>>(), [16, 16, 17]);
        assert!(matches!(claims[0].what, Claimed::Transaction { .. }));
        assert!(matches!(claims[1].what, Claimed::Payment { value, .. } if value == U256::from(5)));
        assert!(matches!(claims[2].what, Claimed::Token { .. }));
    }

    #[test]
    fn a_category_that_a_chain_lacks_is_told_from_a_bad_key() {
        let read = |message: &str, list| {
            let body = json!({ "error": { "code": -32602, "message": message } }).to_string();
            super::read(body.as_bytes(), list).unwrap_err()
        };
        let inside = "'internal' category is not supported for this network";
        assert!(matches!(read(inside, List::SentInside), Verdict::NotOffered(_)));
        assert!(matches!(read("Must be authenticated!", List::Sent), Verdict::Refused(_)));
        assert!(matches!(
            read("exceeded its compute units per second capacity", List::Sent),
            Verdict::Wait(..)
        ));
        assert_eq!(quantity(br#"{"jsonrpc":"2.0","id":83,"result":"0x1b4"}"#), Some(436));
        assert_eq!(
            quantity(br#"{"status":"0","message":"NOTOK","result":"Invalid API Key"}"#),
            None
        );
    }
}
