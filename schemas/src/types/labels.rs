use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// Texts by name, which say more of a value: the same in MessagePack and in JSON.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Labels(pub BTreeMap<String, String>);

impl Labels {
    /// The text of a label.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&str> {
        self.0.get(name).map(String::as_str)
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// As JSON text.
    #[must_use]
    pub fn to_json_text(&self) -> String {
        // Texts under text keys are always valid JSON.
        serde_json::to_string(&self.0).unwrap_or_default()
    }
}

impl<N: Into<String>, T: Into<String>, const LENGTH: usize> From<[(N, T); LENGTH]> for Labels {
    fn from(labels: [(N, T); LENGTH]) -> Self {
        Self(labels.into_iter().map(|(name, text)| (name.into(), text.into())).collect())
    }
}

impl schemars::JsonSchema for Labels {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Labels".into()
    }

    fn inline_schema() -> bool {
        true
    }

    fn json_schema(_generator: &mut schemars::SchemaGenerator) -> schemars::Schema {
        schemars::json_schema!({
            "type": "object",
            "additionalProperties": { "type": "string" },
            "description": "name to text, the same in MessagePack",
        })
    }
}
