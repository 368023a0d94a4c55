//! Rows of lists in the form of Etherscan, read strictly: a row without its block would hide one.

use crypto_intel_schemas::{Address, B256, U256};
use serde::Deserialize;

use super::{
    claim::{Claim, Claimed},
    list::List,
};
use crate::hex::FromHex as _;

/// What is read of a row. Values are texts everywhere; some explorers leave fields out.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Row<'a> {
    block_number: &'a str,
    #[serde(borrow, default)]
    block_hash: Option<&'a str>,
    #[serde(borrow, default, alias = "transactionHash")]
    hash: Option<&'a str>,
    #[serde(borrow, default)]
    from: Option<&'a str>,
    #[serde(borrow, default)]
    to: Option<&'a str>,
    #[serde(borrow, default)]
    value: Option<&'a str>,
    #[serde(borrow, default)]
    contract_address: Option<&'a str>,
    #[serde(borrow, default)]
    is_error: Option<&'a str>,
}

/// Reads the rows of a list.
///
/// # Errors
/// Which row is wrong, and what of it.
pub(crate) fn read(list: List, rows: &str) -> Result<Vec<Claim>, String> {
    let rows: Vec<Row<'_>> =
        serde_json::from_str(rows).map_err(|error| format!("rows cannot be read: {error}"))?;
    rows.iter()
        .enumerate()
        .map(|(place, row)| {
            claim_of(list, row).map_err(|problem| format!("row {place}: {problem}"))
        })
        .collect()
}

fn claim_of(list: List, row: &Row<'_>) -> Result<Claim, String> {
    let number = row.block_number;
    let is_number = !number.is_empty() && number.bytes().all(|byte| byte.is_ascii_digit());
    let number = number.parse().ok().filter(|_| is_number);
    let number: u64 = number.ok_or_else(|| format!("blockNumber {:?}", cut(row.block_number)))?;
    // What an account had at the beginning is no transaction: `GENESIS_…`.
    if number == 0 {
        return Ok(Claim { number, block_hash: None, what: Claimed::Other });
    }
    let block_hash = hash_of("blockHash", row.block_hash)?;
    let hash = hash_of("hash", row.hash)?;
    let what = match list {
        List::Transactions => {
            Claimed::Transaction { hash: hash.ok_or_else(|| "hash is missing".to_owned())? }
        }
        List::Internal => payment_of(row, hash)?,
        List::Erc20 | List::Erc721 | List::Erc1155 => {
            let contract = address_of("contractAddress", row.contract_address)?;
            match (hash, contract) {
                (Some(hash), Some(contract)) => Claimed::Token { hash, contract },
                _ => return Err("hash or contractAddress is missing".to_owned()),
            }
        }
        List::Sent | List::Received | List::SentInside | List::ReceivedInside => Claimed::Other,
    };
    Ok(Claim { number, block_hash, what })
}

/// A call that failed or moved nothing is no payment.
fn payment_of(row: &Row<'_>, hash: Option<B256>) -> Result<Claimed, String> {
    let value = row.value.unwrap_or("0");
    let amount = U256::from_str_radix(value, 10).map_err(|_| format!("value {:?}", cut(value)))?;
    let failed = row.is_error.is_some_and(|error| error != "0" && !error.is_empty());
    if amount.is_zero() || failed {
        return Ok(Claimed::Other);
    }
    let from = address_of("from", row.from)?.ok_or_else(|| "from is missing".to_owned())?;
    // A creation has its new contract in a field of its own.
    let to = address_of("to", row.to)?.or(address_of("contractAddress", row.contract_address)?);
    let to = to.ok_or_else(|| "to is missing".to_owned())?;
    Ok(Claimed::Payment { hash, from, to, value: amount })
}

fn hash_of(field: &str, text: Option<&str>) -> Result<Option<B256>, String> {
    read_hex(field, text, B256::from_hex)
}

fn address_of(field: &str, text: Option<&str>) -> Result<Option<Address>, String> {
    read_hex(field, text, Address::from_hex)
}

fn read_hex<T>(
    field: &str,
    text: Option<&str>,
    read: impl Fn(&str) -> Option<T>,
) -> Result<Option<T>, String> {
    match text.filter(|text| !text.is_empty()) {
        None => Ok(None),
        Some(text) => read(text).map(Some).ok_or_else(|| format!("{field} {:?}", cut(text))),
    }
}

/// The beginning of a hostile text.
fn cut(text: &str) -> String {
    text.chars().take(80).collect()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    const HASH: &str = "0x0101010101010101010101010101010101010101010101010101010101010101";

    #[test]
    fn a_wrong_row_is_named_and_none_is_passed_over() {
        for (list, row, part) in [
            (List::Transactions, r#"{"blockNumber":"-1"}"#, "blockNumber"),
            (List::Transactions, r#"{"blockNumber":"0x10"}"#, "blockNumber"),
            (List::Transactions, r#"{"blockNumber":"99999999999999999999"}"#, "blockNumber"),
            (List::Transactions, r#"{"blockNumber":"7","hash":"0x12"}"#, "hash"),
            (List::Transactions, r#"{"blockNumber":"7"}"#, "hash is missing"),
            (List::Internal, r#"{"blockNumber":"7","value":"1e3"}"#, "value"),
            (List::Internal, r#"{"blockNumber":"7","value":"1"}"#, "from is missing"),
            (List::Erc20, r#"{"blockNumber":"7","contractAddress":"0x1"}"#, "contractAddress"),
        ] {
            let rows = format!(r#"[{{"blockNumber":"0"}},{row}]"#);
            let error = read(list, &rows).unwrap_err();
            assert!(error.starts_with("row 1: ") && error.contains(part), "{error}");
        }
        assert!(read(List::Internal, r#"[{"hash":"0x"}]"#).unwrap_err().contains("blockNumber"));
    }

    #[test]
    fn failed_and_empty_calls_only_name_their_block() {
        let row = |value: &str, failed: &str| {
            let rows = format!(
                r#"[{{"blockNumber":"7","hash":"{HASH}","from":"0x{0}","to":"","contractAddress":"0x{0}","value":"{value}","isError":"{failed}"}}]"#,
                "03".repeat(20)
            );
            read(List::Internal, &rows).unwrap().remove(0).what
        };
        assert_eq!(row("0", "0"), Claimed::Other);
        assert_eq!(row("5", "1"), Claimed::Other);
        assert!(matches!(row("5", "0"), Claimed::Payment { hash: Some(_), .. }));
    }
}
