//! API keys as text: `ci_<id>_<secret><checksum>`. A scanner recognises them, the checksum refuses a typing error before
//! anything is looked up, and the secret is 256 random bits, so that a plain hash of it cannot be guessed.

use std::fmt;

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use sha2::{Digest as _, Sha256};
use subtle::ConstantTimeEq as _;

const PREFIX: &str = "ci_";
const ID_LENGTH: usize = 8;
const SECRET_LENGTH: usize = 43;
const CHECKSUM_LENGTH: usize = 6;
/// Of ids and checksums; what people read out has no `_` and `-`.
const ALPHABET: &[u8; 62] = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";

/// An API key. It is shown once, when it is made; `Debug` shows its id only.
#[derive(Clone, PartialEq, Eq)]
pub struct ApiKey {
    text: String,
}

impl ApiKey {
    /// A new one.
    #[must_use]
    pub fn random() -> Self {
        let bytes: [u8; 32] = rand::random();
        let id: [u8; ID_LENGTH] = rand::random();
        let id: String = id.iter().map(|byte| letter(usize::from(*byte))).collect();
        let body = format!("{PREFIX}{id}_{}", URL_SAFE_NO_PAD.encode(bytes));
        let checksum = checksum(&body);
        Self { text: body + &checksum }
    }

    /// Reads what a client sent; `None` for what [`random`](Self::random) never makes.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let length = PREFIX.len() + ID_LENGTH + 1 + SECRET_LENGTH + CHECKSUM_LENGTH;
        if text.len() != length || !text.is_ascii() || !text.starts_with(PREFIX) {
            return None;
        }
        let (body, sum) = text.split_at(length - CHECKSUM_LENGTH);
        let has_separator = body.as_bytes().get(PREFIX.len() + ID_LENGTH) == Some(&b'_');
        let key = Self { text: text.to_owned() };
        let is_ours = has_separator
            && key.id().bytes().all(|byte| byte.is_ascii_alphanumeric())
            && checksum(body) == sum;
        is_ours.then_some(key)
    }

    /// By which it is found, and named in logs and lists.
    #[must_use]
    pub fn id(&self) -> &str {
        self.text.get(PREFIX.len()..PREFIX.len() + ID_LENGTH).unwrap_or_default()
    }

    /// The whole key, to be shown to its holder.
    #[must_use]
    pub fn reveal(&self) -> &str {
        &self.text
    }

    /// Its SHA-256 as hex: what is kept of it.
    #[must_use]
    pub fn hash(&self) -> String {
        hex(&Sha256::digest(self.text.as_bytes()))
    }

    /// Whether it is the key of this hash, in a time that says nothing of it.
    #[must_use]
    pub fn has_hash(&self, hash: &str) -> bool {
        self.hash().as_bytes().ct_eq(hash.as_bytes()).into()
    }
}

impl fmt::Debug for ApiKey {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "ApiKey({})", self.id())
    }
}

fn letter(number: usize) -> char {
    char::from(ALPHABET[number % ALPHABET.len()])
}

pub(crate) fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Six digits of base 62 of a hash: against typing errors, not against people.
fn checksum(body: &str) -> String {
    let digest = Sha256::digest(body.as_bytes());
    let bytes = digest.first_chunk::<8>().copied().unwrap_or_default();
    let mut number = u64::from_be_bytes(bytes);
    let mut text = String::with_capacity(CHECKSUM_LENGTH);
    for _ in 0..CHECKSUM_LENGTH {
        text.push(letter((number % 62) as usize));
        number /= 62;
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_is_read_back_and_compared_by_its_hash() {
        let key = ApiKey::random();
        let read = ApiKey::parse(key.reveal()).unwrap();
        assert_eq!(read, key);
        assert!(read.has_hash(&key.hash()));
        assert!(!ApiKey::random().has_hash(&key.hash()));
        assert_eq!(key.reveal().len(), 61);
        assert!(!format!("{key:?}").contains(&key.reveal()[12..]));
    }

    #[test]
    fn a_typing_error_is_no_key() {
        let text = ApiKey::random().reveal().to_owned();
        for place in 0..text.len() {
            let mut wrong = text.clone().into_bytes();
            wrong[place] = if wrong[place] == b'a' { b'b' } else { b'a' };
            let wrong = String::from_utf8(wrong).unwrap();
            assert_eq!(ApiKey::parse(&wrong), None, "{place}");
        }
        for wrong in ["", "ci_", "ci_ßßßß", &text[..60], &format!("{text}x"), &format!(" {text}")]
        {
            assert_eq!(ApiKey::parse(wrong), None, "{wrong}");
        }
    }
}
