use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// One decoded value of a contract's event, the same in MessagePack and in JSON: only its ABI
/// knows its type.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum EventValue {
    /// `bool`.
    Bool(bool),
    /// A number as decimal text; an address or bytes as `0x` and lower-case hex; a string as it is.
    Text(String),
    /// An array, or a tuple in the order of its members.
    List(Vec<EventValue>),
}

/// Maximum size of the header that gives the length of a text or list.
const MAX_HEAD_BYTES: usize = 5;

impl EventValue {
    fn size(&self) -> usize {
        MAX_HEAD_BYTES
            + match self {
                Self::Bool(_) => 0,
                Self::Text(text) => text.len(),
                Self::List(values) => values.iter().map(Self::size).sum(),
            }
    }
}

impl From<&str> for EventValue {
    fn from(text: &str) -> Self {
        Self::Text(text.to_owned())
    }
}

/// The decoded values of a contract's event by the names of its parameters.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct EventFields(pub BTreeMap<String, EventValue>);

impl EventFields {
    /// The value of a field.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&EventValue> {
        self.0.get(name)
    }

    /// About how many bytes they take in a message.
    #[must_use]
    pub fn size(&self) -> usize {
        self.0.iter().map(|(name, value)| name.len() + value.size() + MAX_HEAD_BYTES).sum()
    }

    /// As JSON text.
    #[must_use]
    pub fn to_json_text(&self) -> String {
        // Text, booleans and lists under text keys are always valid JSON.
        serde_json::to_string(&self.0).unwrap_or_default()
    }
}

impl<N: Into<String>, const LENGTH: usize> From<[(N, EventValue); LENGTH]> for EventFields {
    fn from(fields: [(N, EventValue); LENGTH]) -> Self {
        Self(fields.into_iter().map(|(name, value)| (name.into(), value)).collect())
    }
}

impl schemars::JsonSchema for EventFields {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "EventFields".into()
    }

    fn inline_schema() -> bool {
        true
    }

    fn json_schema(_generator: &mut schemars::SchemaGenerator) -> schemars::Schema {
        schemars::json_schema!({
            "type": "object",
            "additionalProperties": { "type": ["boolean", "string", "array"] },
            "description": "name to value, the same in MessagePack: numbers as decimal text, addresses and bytes as hex text, arrays and tuples as lists",
        })
    }
}
