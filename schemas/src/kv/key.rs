use std::fmt::Write as _;

/// Turns any text into a key. Bytes that NATS does not allow in a key become `=` and two hex digits; dots stay, so that a
/// key's parts can be watched by wildcard, except where a dot would make an empty part.
#[must_use]
pub fn escape_key(text: &str) -> String {
    let mut key = String::with_capacity(text.len());
    let last = text.len().saturating_sub(1);
    let mut after_dot = true;
    for (index, byte) in text.bytes().enumerate() {
        let plain = match byte {
            b'.' => !after_dot && index != last,
            byte => byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'/'),
        };
        if plain {
            key.push(char::from(byte));
        } else {
            // Writing to a string cannot fail.
            let _ = write!(key, "={byte:02x}");
        }
        after_dot = plain && byte == b'.';
    }
    key
}

/// The text that [`escape_key`] was given; `None` when the key was not made by it.
#[must_use]
pub fn unescape_key(key: &str) -> Option<String> {
    let mut bytes = Vec::with_capacity(key.len());
    let mut rest = key;
    while let Some(at) = rest.find('=') {
        bytes.extend_from_slice(&rest.as_bytes()[..at]);
        let digits = rest.get(at + 1..at + 3)?;
        bytes.push(u8::from_str_radix(digits, 16).ok()?);
        rest = &rest[at + 3..];
    }
    bytes.extend_from_slice(rest.as_bytes());
    String::from_utf8(bytes).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn any_text_becomes_a_key_and_comes_back() {
        for text in ["evm.anvil", "a:b c*>", ".x", "x.", "a..b", "...", "ß=", "0xAb/c_d-e"] {
            assert_eq!(unescape_key(&escape_key(text)).as_deref(), Some(text));
        }
    }

    #[test]
    fn ordinary_keys_stay_as_they_are() {
        assert_eq!(escape_key("evm.anvil.head-1"), "evm.anvil.head-1");
    }
}
