//! Writing hexadecimal quickly.

const DIGITS: &[u8; 16] = b"0123456789abcdef";

/// Appends two digits per byte.
pub(super) fn push_bytes(text: &mut String, bytes: &[u8]) {
    text.reserve(bytes.len() * 2);
    for byte in bytes {
        text.push(DIGITS[usize::from(byte >> 4)] as char);
        text.push(DIGITS[usize::from(byte & 15)] as char);
    }
}

/// Appends a quantity: `0x` and no leading zero.
pub(super) fn push_quantity(text: &mut String, number: u128) {
    text.push_str("0x");
    let digits = (128 - number.leading_zeros()).div_ceil(4).max(1);
    for digit in (0..digits).rev() {
        text.push(DIGITS[(number >> (4 * digit)) as usize & 15] as char);
    }
}

/// Appends a number as one ABI word of 64 digits.
pub(super) fn push_word(text: &mut String, number: u128) {
    text.push_str("00000000000000000000000000000000");
    push_bytes(text, &number.to_be_bytes());
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn writes_what_the_standard_library_writes() {
        for number in [0, 1, 15, 16, 255, 256, u128::from(u64::MAX), u128::MAX] {
            let (mut quantity, mut word) = (String::new(), String::new());
            push_quantity(&mut quantity, number);
            push_word(&mut word, number);
            assert_eq!(quantity, format!("{number:#x}"));
            assert_eq!(word, format!("{number:064x}"));
        }
    }
}
