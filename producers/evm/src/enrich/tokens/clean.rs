//! Sanitizes the answers of untrusted contracts to displayable text and usable numbers.

use crypto_intel_schemas::U256;

use crate::multicall::number_at;

/// The largest power of ten that fits into a uint256.
const MAX_DECIMALS: u8 = 77;
pub(super) const MAX_SYMBOL_CHARS: usize = 32;
pub(super) const MAX_NAME_CHARS: usize = 64;
/// Maximum bytes of a text that are read.
const MAX_BYTES: usize = 1_024;

/// Decimals of `decimals()`.
pub(super) fn decimals(answer: &[u8]) -> Option<u8> {
    let word: &[u8; 32] = answer.first_chunk()?;
    u8::try_from(U256::from_be_bytes(*word)).ok().filter(|decimals| *decimals <= MAX_DECIMALS)
}

/// Text of `symbol()` or `name()`: a string, or 32 bytes as old tokens answer.
pub(super) fn text(answer: &[u8], max_chars: usize) -> Option<String> {
    let bytes = string(answer).or_else(|| (answer.len() == 32).then_some(answer))?;
    let bytes = &bytes[..bytes.len().min(MAX_BYTES)];
    // Old tokens pad with zeros.
    let end = bytes.iter().rposition(|byte| *byte != 0).map_or(0, |last| last + 1);
    let cleaned = clean(&String::from_utf8_lossy(&bytes[..end]), max_chars);
    (!cleaned.is_empty()).then_some(cleaned)
}

/// The bytes of an ABI-encoded string.
fn string(answer: &[u8]) -> Option<&[u8]> {
    let start = number_at(answer, 0)?;
    let length = number_at(answer, start)?;
    let content = start.checked_add(32)?;
    answer.get(content..content.checked_add(length)?)
}

/// Removes invisible and reordering characters, collapses spaces, and keeps at most `max_chars` characters.
fn clean(text: &str, max_chars: usize) -> String {
    let mut cleaned = String::new();
    let mut count = 0;
    let mut space = false;
    for character in text.chars() {
        if character.is_whitespace() {
            space = count > 0;
            continue;
        }
        if is_hidden(character) {
            continue;
        }
        if count + usize::from(space) >= max_chars {
            break;
        }
        if std::mem::take(&mut space) {
            cleaned.push(' ');
            count += 1;
        }
        cleaned.push(character);
        count += 1;
    }
    cleaned
}

/// Control and format characters, direction marks, variation selectors, tags, private use, and the replacement for
/// invalid bytes.
fn is_hidden(character: char) -> bool {
    character.is_control()
        || matches!(character,
            '\u{ad}' | '\u{34f}' | '\u{61c}' | '\u{115f}'..='\u{1160}' | '\u{17b4}'..='\u{17b5}'
            | '\u{180b}'..='\u{180f}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}'
            | '\u{2060}'..='\u{206f}' | '\u{3164}' | '\u{fe00}'..='\u{fe0f}' | '\u{feff}'
            | '\u{ffa0}' | '\u{fff0}'..='\u{ffff}' | '\u{e000}'..='\u{f8ff}'
            | '\u{1d173}'..='\u{1d17a}' | '\u{e0000}'..='\u{10ffff}')
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn encoded(text: &[u8]) -> Vec<u8> {
        let mut answer = U256::from(32).to_be_bytes::<32>().to_vec();
        answer.extend(U256::from(text.len()).to_be_bytes::<32>());
        answer.extend(text);
        answer.resize(answer.len().next_multiple_of(32), 0);
        answer
    }

    fn symbol(bytes: &[u8]) -> Option<String> {
        text(&encoded(bytes), MAX_SYMBOL_CHARS)
    }

    #[test]
    fn strings_and_old_fixed_bytes_are_read() {
        assert_eq!(symbol(b"USDC").as_deref(), Some("USDC"));
        assert_eq!(symbol("Tether ₮".as_bytes()).as_deref(), Some("Tether ₮"));
        let mut old = [0; 32];
        old[..3].copy_from_slice(b"MKR");
        assert_eq!(text(&old, MAX_SYMBOL_CHARS).as_deref(), Some("MKR"));
        assert_eq!(text(&[0; 32], MAX_SYMBOL_CHARS), None);
        assert_eq!(text(&[], MAX_SYMBOL_CHARS), None);
    }

    #[test]
    fn hostile_text_is_cleaned_and_bounded() {
        assert_eq!(symbol("US\u{202e}CD\u{200b}\n\t x\u{7}".as_bytes()).as_deref(), Some("USCD x"));
        assert_eq!(symbol(b"\xff\xfe\xffOK\xc3").as_deref(), Some("OK"));
        assert_eq!(symbol("\u{200b}\u{3164} \u{e0041}".as_bytes()), None);
        let long = symbol(&vec![b'A'; 10 << 20]).unwrap_or_default();
        assert_eq!(long.len(), MAX_SYMBOL_CHARS);
        // Lengths and offsets beyond the answer.
        let mut lie = encoded(b"USDC");
        lie[32..64].fill(0xff);
        assert_eq!(text(&lie, MAX_SYMBOL_CHARS), None);
        lie[..32].fill(0xff);
        assert_eq!(text(&lie, MAX_SYMBOL_CHARS), None);
    }

    #[test]
    fn absurd_decimals_are_unknown() {
        let word = |number: u64| U256::from(number).to_be_bytes::<32>();
        assert_eq!(decimals(&word(18)), Some(18));
        assert_eq!(decimals(&word(0)), Some(0));
        assert_eq!(decimals(&word(77)), Some(77));
        assert_eq!(decimals(&word(78)), None);
        assert_eq!(decimals(&word(256 + 18)), None);
        assert_eq!(decimals(&[0xff; 32]), None);
        assert_eq!(decimals(&[18]), None);
    }

    proptest! {
        #[test]
        fn never_panics_and_stays_bounded(answer in proptest::collection::vec(any::<u8>(), 0..400)) {
            let read = text(&answer, 8).unwrap_or_default();
            prop_assert!(read.chars().count() <= 8);
            prop_assert!(!read.chars().any(is_hidden));
            let _ = decimals(&answer);
            let said = text(&encoded(&answer), 8).unwrap_or_default();
            prop_assert!(said.chars().count() <= 8);
        }
    }
}
