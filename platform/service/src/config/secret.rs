use std::fmt;

use secrecy::{ExposeSecret, SecretString};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// Key of the object that the configuration has in place of a secret whose file cannot be read.
pub(crate) const UNREADABLE: &str = "unreadable secret";

/// A configuration value that is never shown: `Debug`, `Display` and serialization print `***`.
///
/// A secret whose file cannot be read is a value, too: it belongs to one role, and must not stop the others. Users of it
/// call [`problem`](Self::problem) first.
///
/// Reference documentation recognises it by the JSON Schema format `secret`.
#[derive(Clone)]
pub struct Secret {
    value: SecretString,
    problem: Option<String>,
}

impl Secret {
    /// Wraps a value.
    #[must_use]
    pub fn new(value: impl Into<String>) -> Self {
        Self { value: SecretString::from(value.into()), problem: None }
    }

    /// Why its file cannot be read; the value is empty then.
    #[must_use]
    pub fn problem(&self) -> Option<&str> {
        self.problem.as_deref()
    }

    /// The value itself, for the one place that sends it.
    #[must_use]
    pub fn expose(&self) -> &str {
        self.value.expose_secret()
    }

    /// Whether none was given. One whose file cannot be read was.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.problem.is_none() && self.expose().is_empty()
    }
}

impl Default for Secret {
    fn default() -> Self {
        Self::new("")
    }
}

impl PartialEq for Secret {
    fn eq(&self, other: &Self) -> bool {
        self.expose() == other.expose() && self.problem == other.problem
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(if self.is_empty() { "(empty)" } else { "***" })
    }
}

impl fmt::Display for Secret {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(self, formatter)
    }
}

impl Serialize for Secret {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(if self.is_empty() { "" } else { "***" })
    }
}

impl<'de> Deserialize<'de> for Secret {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        #[derive(Deserialize)]
        #[serde(untagged)]
        enum Form {
            Value(String),
            Unreadable {
                #[serde(rename = "unreadable secret")]
                problem: String,
            },
        }
        // Neither form may be repeated in an error.
        match Form::deserialize(deserializer) {
            Ok(Form::Value(value)) => Ok(Self::new(value)),
            Ok(Form::Unreadable { problem }) => {
                Ok(Self { value: SecretString::default(), problem: Some(problem) })
            }
            Err(_) => Err(serde::de::Error::custom("expected a text")),
        }
    }
}

impl schemars::JsonSchema for Secret {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Secret".into()
    }

    fn inline_schema() -> bool {
        true
    }

    fn json_schema(_generator: &mut schemars::SchemaGenerator) -> schemars::Schema {
        schemars::json_schema!({ "type": "string", "format": "secret" })
    }
}
