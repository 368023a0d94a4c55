use std::fmt;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// The address of a server, perhaps with user and password or a token in it: it is shown without them.
///
/// Several addresses may be separated by commas.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Address(String);

impl Address {
    /// Wraps an address as it was configured.
    #[must_use]
    pub fn new(text: impl Into<String>) -> Self {
        Self(text.into())
    }

    /// All of it, credentials included, for the one place that connects.
    #[must_use]
    pub fn expose(&self) -> &str {
        &self.0
    }

    /// Whether something stands before an `@`.
    #[must_use]
    pub fn has_credentials(&self) -> bool {
        self.0.contains('@')
    }

    /// The address with `mark` where credentials stand. Text before a host is never repeated, also where the whole is
    /// no address: a password may hold any character.
    fn with_mark(&self, mark: &str) -> String {
        let mut pieces = self.0.split('@');
        let first = pieces.next().unwrap_or_default();
        let rest: Vec<&str> = pieces.collect();
        if rest.is_empty() {
            return first.to_owned();
        }
        let scheme = |text: &str| match text.find("://") {
            Some(end) => text[..end + 3].to_owned(),
            None => String::new(),
        };
        let mut shown = format!("{}{mark}", scheme(first));
        for (index, piece) in rest.iter().enumerate() {
            if index + 1 == rest.len() {
                shown.push_str(piece);
            } else if let Some((host, next)) = piece.split_once(',')
                && next.contains("://")
            {
                // `host,nats://user:password@…`: another address of a cluster.
                shown.push_str(&format!("{host},{}{mark}", scheme(next)));
            }
            // Else the `@` was one of the password.
        }
        shown
    }
}

impl From<&str> for Address {
    fn from(text: &str) -> Self {
        Self::new(text)
    }
}

impl From<String> for Address {
    fn from(text: String) -> Self {
        Self(text)
    }
}

impl fmt::Display for Address {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.with_mark(""))
    }
}

impl fmt::Debug for Address {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{:?}", self.with_mark("***@"))
    }
}

impl Serialize for Address {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.with_mark("***@"))
    }
}

impl<'de> Deserialize<'de> for Address {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer).map(Self)
    }
}

impl schemars::JsonSchema for Address {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Address".into()
    }

    fn inline_schema() -> bool {
        true
    }

    fn json_schema(_generator: &mut schemars::SchemaGenerator) -> schemars::Schema {
        schemars::json_schema!({ "type": "string" })
    }
}

/// Decodes `%40` and the like, as user and password of an address are written.
#[must_use]
pub fn percent_decoded(text: &str) -> String {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((first, after)) = rest.split_first() {
        let digits = after.get(..2).and_then(|digits| std::str::from_utf8(digits).ok());
        let decoded = digits
            .filter(|digits| *first == b'%' && digits.bytes().all(|byte| byte.is_ascii_hexdigit()))
            .and_then(|digits| u8::from_str_radix(digits, 16).ok());
        match decoded {
            Some(byte) => {
                bytes.push(byte);
                rest = &after[2..];
            }
            None => {
                bytes.push(*first);
                rest = after;
            }
        }
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shows_hosts_and_never_what_stands_before_them() {
        for (text, shown) in [
            ("nats://127.0.0.1:4222", "nats://127.0.0.1:4222"),
            ("nats://alice:hunter2@host:4222", "nats://host:4222"),
            ("nats://TOKEN@host", "nats://host"),
            ("nats://alice:hun@ter2@host", "nats://host"),
            ("nats://alice:hun,ter2@host", "nats://host"),
            ("nats://alice:hun#ter2@host", "nats://host"),
            ("nats://alice:hun/ter2@host/x", "nats://host/x"),
            ("nats://a:hunter2@one:1,nats://b:hunter2@two:2", "nats://one:1,nats://two:2"),
            ("nats://a:hunter2@one:1,two:2", "nats://one:1,two:2"),
            ("alice:hunter2@host", "host"),
        ] {
            let address = Address::from(text);
            assert_eq!(address.to_string(), shown, "{text}");
            let all = format!("{address} {address:?} {}", serde_json::to_string(&address).unwrap());
            for secret in ["hunter2", "ter2", "hun", "TOKEN", "alice"] {
                assert!(!all.contains(secret), "{text}: {all}");
            }
        }
        let shown = serde_json::to_string(&Address::from("nats://a:b@host")).unwrap();
        assert_eq!(shown, r#""nats://***@host""#, "that there are credentials is no secret");
    }

    #[test]
    fn decodes_percent_signs_and_leaves_what_is_none() {
        assert_eq!(percent_decoded("p%40ss%23"), "p@ss#");
        assert_eq!(percent_decoded("100%"), "100%");
        assert_eq!(percent_decoded("%zz%4"), "%zz%4");
    }
}
