//! Encodes hex text of JSON-RPC as RLP, without intermediate numbers or addresses.

use alloy_primitives::hex;
use alloy_rlp::{Encodable as _, Header};

/// Bytes of the longest quantity: 256 bits.
const MAX_QUANTITY: usize = 32;

fn digits(text: &str) -> Option<&str> {
    text.strip_prefix("0x").or_else(|| text.strip_prefix("0X"))
}

/// Appends a quantity: without leading zeros, as RLP encodes numbers. `None` when the text is not a quantity.
pub(super) fn put_quantity(text: &str, out: &mut Vec<u8>) -> Option<()> {
    let digits = digits(text)?;
    if digits.is_empty() {
        return None;
    }
    let digits = digits.trim_start_matches('0');
    let length = digits.len().div_ceil(2);
    if length > MAX_QUANTITY {
        return None;
    }
    // An odd number of digits is padded on the left.
    let mut padded = [b'0'; 2 * MAX_QUANTITY];
    padded[2 * length - digits.len()..2 * length].copy_from_slice(digits.as_bytes());
    let mut bytes = [0; MAX_QUANTITY];
    hex::decode_to_slice(&padded[..2 * length], &mut bytes[..length]).ok()?;
    bytes[..length].encode(out);
    Some(())
}

/// Appends bytes as they are. `None` when the text is not hex of even length.
pub(super) fn put_bytes(text: &str, out: &mut Vec<u8>) -> Option<()> {
    let digits = digits(text)?;
    if !digits.len().is_multiple_of(2) {
        return None;
    }
    let length = digits.len() / 2;
    if length == 1 {
        let mut byte = [0];
        hex::decode_to_slice(digits, &mut byte).ok()?;
        byte.as_slice().encode(out);
        return Some(());
    }
    Header { list: false, payload_length: length }.encode(out);
    let start = out.len();
    out.resize(start + length, 0);
    hex::decode_to_slice(digits, out.get_mut(start..)?).ok()
}

/// Appends bytes of exactly this length.
pub(super) fn put_fixed<const N: usize>(text: &str, out: &mut Vec<u8>) -> Option<()> {
    (digits(text)?.len() == 2 * N).then(|| put_bytes(text, out)).flatten()
}

/// Appends a list of the items that `fill` appends.
pub(super) fn put_list(
    out: &mut Vec<u8>,
    fill: impl FnOnce(&mut Vec<u8>) -> Option<()>,
) -> Option<()> {
    let start = out.len();
    fill(out)?;
    let mut head = Vec::with_capacity(5);
    Header { list: true, payload_length: out.len() - start }.encode(&mut head);
    out.splice(start..start, head);
    Some(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn quantity(text: &str) -> Option<Vec<u8>> {
        let mut out = Vec::new();
        put_quantity(text, &mut out).map(|()| out)
    }

    fn bytes(text: &str) -> Option<Vec<u8>> {
        let mut out = Vec::new();
        put_bytes(text, &mut out).map(|()| out)
    }

    #[test]
    fn numbers_lose_their_zeros_and_bytes_keep_them() {
        assert_eq!(quantity("0x0"), Some(vec![0x80]));
        assert_eq!(quantity("0x007f"), Some(vec![0x7f]));
        assert_eq!(quantity("0x80"), Some(vec![0x81, 0x80]));
        assert_eq!(quantity("0x400"), Some(vec![0x82, 0x04, 0x00]));
        for odd in ["", "0x", "400", "0xzz", "0xü", &format!("0x1{}", "0".repeat(64))] {
            assert_eq!(quantity(odd), None, "{odd}");
        }
        assert_eq!(bytes("0x"), Some(vec![0x80]));
        assert_eq!(bytes("0x00"), Some(vec![0x00]));
        assert_eq!(bytes("0xff"), Some(vec![0x81, 0xff]));
        assert_eq!(bytes("0x0000"), Some(vec![0x82, 0, 0]));
        assert_eq!(bytes("0x000"), None);
        let mut out = vec![9];
        assert_eq!(put_fixed::<2>("0x01", &mut out), None);
        assert_eq!(put_list(&mut out, |out| put_bytes("0x0102", out)), Some(()));
        assert_eq!(out, [9, 0xc3, 0x82, 1, 2]);
    }
}
