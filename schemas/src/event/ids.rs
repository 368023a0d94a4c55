use alloy_primitives::{Address, B256, hex, keccak256};

use crate::kinds::Kind;

/// Id of an event that belongs to a block itself: `<chain>:<block hash>:<kind>`.
#[must_use]
pub fn chain_event_id(chain: &str, block_hash: &B256, kind: Kind) -> String {
    let mut id = prefix(chain, block_hash, kind, 0);
    id.shrink_to_fit();
    id
}

/// Id of an event of a transaction: `<chain>:<block hash>:<kind>:t<tx index>[.<sub index>]`.
#[must_use]
pub fn transaction_event_id(
    chain: &str,
    block_hash: &B256,
    kind: Kind,
    tx_index: u32,
    sub_index: Option<u32>,
) -> String {
    let mut id = prefix(chain, block_hash, kind, 16);
    id.push_str(":t");
    push_indexes(&mut id, tx_index, sub_index);
    id
}

/// Id of an event of a log: `<chain>:<block hash>:<kind>:<log index>[.<sub index>]`.
#[must_use]
pub fn log_event_id(
    chain: &str,
    block_hash: &B256,
    kind: Kind,
    log_index: u32,
    sub_index: Option<u32>,
) -> String {
    let mut id = prefix(chain, block_hash, kind, 16);
    id.push(':');
    push_indexes(&mut id, log_index, sub_index);
    id
}

/// Id of a balance that was read at a block: `<chain>:<block hash>:balance:<address>:<asset>`.
#[must_use]
pub fn balance_event_id(chain: &str, block_hash: &B256, address: &Address, asset: &str) -> String {
    let mut id = prefix(chain, block_hash, Kind::Balance, 44 + asset.len());
    id.push_str(&format!(":{address:#x}:{asset}"));
    id
}

/// Id of a polled event: `<provider>:<kind>:<key>:<time in µs>`.
#[must_use]
pub fn polled_event_id(provider: &str, kind: Kind, key: &str, time_us: i64) -> String {
    format!("{provider}:{kind}:{key}:{time_us}")
}

/// Five base32 characters of an id's keccak: what people read out to each other.
#[must_use]
pub fn short_code(id: &str) -> String {
    const ALPHABET: &[u8; 32] = b"ABCDEFGHJKMNPQRSTVWXYZ0123456789";
    keccak256(id.as_bytes())[..5]
        .iter()
        .map(|byte| char::from(ALPHABET[usize::from(byte & 31)]))
        .collect()
}

fn prefix(chain: &str, block_hash: &B256, kind: Kind, spare: usize) -> String {
    let mut id = String::with_capacity(chain.len() + 68 + kind.as_str().len() + spare);
    id.push_str(chain);
    id.push_str(":0x");
    let mut text = [0_u8; 64];
    // The buffer is exactly twice the hash: encoding cannot fail.
    if hex::encode_to_slice(block_hash, &mut text).is_ok() {
        id.push_str(std::str::from_utf8(&text).unwrap_or_default());
    }
    id.push(':');
    id.push_str(kind.as_str());
    id
}

fn push_indexes(id: &mut String, index: u32, sub_index: Option<u32>) {
    use std::fmt::Write as _;
    // Writing to a string cannot fail.
    let _ = match sub_index {
        Some(sub_index) => write!(id, "{index}.{sub_index}"),
        None => write!(id, "{index}"),
    };
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_have_the_documented_form() {
        let hash = B256::repeat_byte(0xab);
        let hex = "ab".repeat(32);
        assert_eq!(chain_event_id("base", &hash, Kind::Block), format!("base:0x{hex}:block"));
        assert_eq!(
            log_event_id("base", &hash, Kind::Erc1155Transfer, 7, Some(2)),
            format!("base:0x{hex}:transfer.erc1155:7.2")
        );
        assert_eq!(
            transaction_event_id("base", &hash, Kind::NativeTransfer, 3, None),
            format!("base:0x{hex}:transfer.native:t3")
        );
        assert_eq!(
            polled_event_id("coingecko", Kind::Price, "bitcoin", 5),
            "coingecko:price:bitcoin:5"
        );
    }

    #[test]
    fn short_codes_are_stable_and_readable() {
        assert_eq!(short_code("a"), short_code("a"));
        assert_ne!(short_code("a"), short_code("b"));
        assert_eq!(short_code("a").len(), 5);
    }
}
