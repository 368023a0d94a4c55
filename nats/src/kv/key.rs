/// What NATS takes as a key.
pub(super) fn is_valid(key: &str) -> bool {
    !key.is_empty()
        && key.split('.').all(|part| {
            !part.is_empty()
                && part.bytes().all(|byte| {
                    byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'/' | b'_' | b'=')
                })
        })
}

#[cfg(test)]
mod tests {
    use crypto_intel_schemas::escape_key;

    use super::*;

    #[test]
    fn any_text_becomes_a_valid_key() {
        for text in ["evm.anvil", "a:b c*>", ".x", "x.", "a..b", "...", "ß=", "0xAb/c_d-e"] {
            let key = escape_key(text);
            assert!(is_valid(&key), "{text:?} became {key:?}");
        }
    }

    #[test]
    fn what_nats_refuses_is_no_key() {
        for key in ["", ".a", "a.", "a..b", "a:b", "a b", "*", ">"] {
            assert!(!is_valid(key), "{key:?}");
        }
    }
}
