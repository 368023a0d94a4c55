use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Where a chain that was never followed begins.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(untagged)]
pub enum Start {
    /// `"latest"`: at the block after the final one.
    #[default]
    #[serde(with = "latest")]
    #[schemars(with = "String")]
    Latest,
    /// At this block.
    Number(u64),
}

mod latest {
    use serde::{Deserialize, Deserializer, Serializer, de};

    pub(super) fn serialize<S: Serializer>(serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str("latest")
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<(), D::Error> {
        match String::deserialize(deserializer)?.as_str() {
            "latest" => Ok(()),
            other => {
                Err(de::Error::custom(format!("{other:?}: expected \"latest\" or a block number")))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;
    use crate::ChainConfig;

    #[test]
    fn start_is_latest_or_a_number_and_nothing_else() {
        let chain = |text: &str| toml::from_str::<ChainConfig>(text).map(|chain| chain.start);
        assert_eq!(chain("start = \"latest\"").unwrap(), Start::Latest);
        assert_eq!(chain("start = 17").unwrap(), Start::Number(17));
        assert_eq!(chain("").unwrap(), Start::Latest);
        assert!(chain("start = \"soon\"").is_err());
        assert!(chain("strat = 17").is_err(), "unknown keys are errors");
        let text = toml::to_string(&ChainConfig::default()).unwrap();
        assert!(text.contains("start = \"latest\""), "{text}");
    }
}
