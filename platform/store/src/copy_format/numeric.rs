//! PostgreSQL's binary NUMERIC: number of digits, weight, sign, display scale (four `int16`), then base-10000 digits
//! without leading and trailing zero groups.

use alloy_primitives::{I256, U256};
use crypto_intel_schemas::Decimal;

const NEGATIVE: u16 = 0x4000;
/// Four base-10000 digits at once.
const CHUNK: u64 = 10_000_000_000_000_000;
/// 2^256 has 78 decimal digits: 20 groups of four.
const GROUPS: usize = 20;

/// Appends a COPY field (length and value) with an unsigned 256-bit integer.
pub(crate) fn put_u256(out: &mut Vec<u8>, value: U256) {
    put_integer(out, value, false);
}

/// Appends a COPY field (length and value) with a signed 256-bit integer.
pub(crate) fn put_i256(out: &mut Vec<u8>, value: I256) {
    put_integer(out, value.unsigned_abs(), value.is_negative());
}

fn put_integer(out: &mut Vec<u8>, value: U256, negative: bool) {
    let mut limbs = value.into_limbs();
    let mut groups = [0_u16; GROUPS];
    let mut first = GROUPS;
    let mut top = 4;
    loop {
        while top > 0 && limbs[top - 1] == 0 {
            top -= 1;
        }
        if top == 0 {
            break;
        }
        let mut chunk = divide(&mut limbs[..top]);
        first -= 4;
        for group in groups[first..first + 4].iter_mut().rev() {
            // Below 10,000, so it fits.
            *group = (chunk % 10_000) as u16;
            chunk /= 10_000;
        }
    }
    let mut digits = &groups[first..];
    while let [0, rest @ ..] = digits {
        digits = rest;
    }
    let weight = digits.len() as i16 - 1;
    while let [rest @ .., 0] = digits {
        digits = rest;
    }
    put(out, digits, weight.max(0), negative, 0);
}

/// Divides a little-endian number by [`CHUNK`] in place and returns the remainder.
fn divide(limbs: &mut [u64]) -> u64 {
    if let [limb] = limbs {
        let remainder = *limb % CHUNK;
        *limb /= CHUNK;
        return remainder;
    }
    let mut remainder = 0_u64;
    for limb in limbs.iter_mut().rev() {
        let current = (u128::from(remainder) << 64) | u128::from(*limb);
        // The remainder is below CHUNK, so the quotient is below 2^64.
        *limb = (current / u128::from(CHUNK)) as u64;
        remainder = (current % u128::from(CHUNK)) as u64;
    }
    remainder
}

/// Appends a COPY field (length and value) with a decimal number, exactly, with all its fraction digits.
pub(crate) fn put_decimal(out: &mut Vec<u8>, value: &Decimal) {
    let (negative, unsigned) = match value.as_str().strip_prefix('-') {
        Some(rest) => (true, rest),
        None => (false, value.as_str()),
    };
    let (whole, fraction) = unsigned.split_once('.').unwrap_or((unsigned, ""));
    let whole_groups = whole.len().div_ceil(4);
    let mut groups = Vec::with_capacity(whole_groups + fraction.len().div_ceil(4));
    let head = whole.len() % 4;
    if head > 0 {
        groups.push(group(&whole.as_bytes()[..head]));
    }
    groups.extend(whole.as_bytes()[head..].chunks(4).map(group));
    groups.extend(fraction.as_bytes().chunks(4).map(|digits| {
        // A short last group is padded with zeros on the right.
        group(digits) * 10_u16.pow(4 - digits.len() as u32)
    }));
    let leading = groups.iter().take_while(|group| **group == 0).count();
    let mut digits = &groups[leading..];
    while let [rest @ .., 0] = digits {
        digits = rest;
    }
    let weight = whole_groups as i16 - 1 - leading as i16;
    let weight = if digits.is_empty() { 0 } else { weight };
    put(out, digits, weight, negative && !digits.is_empty(), fraction.len() as u16);
}

fn group(digits: &[u8]) -> u16 {
    digits.iter().fold(0, |group, digit| group * 10 + u16::from(digit - b'0'))
}

fn put(out: &mut Vec<u8>, digits: &[u16], weight: i16, negative: bool, scale: u16) {
    // At most 20 groups of an integer, or 120 digits of a decimal: all lengths are small.
    out.extend_from_slice(&(8 + 2 * digits.len() as i32).to_be_bytes());
    out.extend_from_slice(&(digits.len() as i16).to_be_bytes());
    out.extend_from_slice(&weight.to_be_bytes());
    out.extend_from_slice(&(if negative { NEGATIVE } else { 0 }).to_be_bytes());
    out.extend_from_slice(&scale.to_be_bytes());
    for digit in digits {
        out.extend_from_slice(&digit.to_be_bytes());
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn parts(out: &[u8]) -> Vec<i16> {
        assert_eq!(i32::from_be_bytes(out[..4].try_into().unwrap()) as usize, out.len() - 4);
        out[4..].chunks(2).map(|pair| i16::from_be_bytes(pair.try_into().unwrap())).collect()
    }

    fn u256(value: U256) -> Vec<i16> {
        let mut out = Vec::new();
        put_u256(&mut out, value);
        parts(&out)
    }

    fn decimal(text: &str) -> Vec<i16> {
        let mut out = Vec::new();
        put_decimal(&mut out, &Decimal::parse(text).unwrap());
        parts(&out)
    }

    #[test]
    fn integers_have_no_zero_groups_at_the_ends() {
        assert_eq!(u256(U256::ZERO), [0, 0, 0, 0]);
        assert_eq!(u256(U256::from(7)), [1, 0, 0, 0, 7]);
        assert_eq!(u256(U256::from(10_000)), [1, 1, 0, 0, 1]);
        assert_eq!(u256(U256::from(1_000_000_010_000_u64)), [3, 3, 0, 0, 1, 0, 1]);
        assert_eq!(u256(U256::MAX)[..2], [20, 19]);
    }

    #[test]
    fn signed_integers_keep_their_sign() {
        let i256 = |value: I256| {
            let mut out = Vec::new();
            put_i256(&mut out, value);
            parts(&out)
        };
        assert_eq!(i256(I256::ZERO), [0, 0, 0, 0]);
        assert_eq!(i256(I256::MINUS_ONE), [1, 0, NEGATIVE as i16, 0, 1]);
        assert_eq!(i256(I256::try_from(10_007).unwrap()), [2, 1, 0, 0, 1, 7]);
        assert_eq!(i256(I256::MIN)[..3], [20, 19, NEGATIVE as i16]);
    }

    #[test]
    fn decimals_keep_sign_and_scale() {
        assert_eq!(decimal("0"), [0, 0, 0, 0]);
        assert_eq!(decimal("-12.5"), [2, 0, NEGATIVE as i16, 1, 12, 5000]);
        assert_eq!(decimal("0.00001"), [1, -2, 0, 5, 1000]);
        assert_eq!(decimal("120000"), [1, 1, 0, 0, 12]);
        assert_eq!(decimal("120001"), [2, 1, 0, 0, 12, 1]);
    }
}
