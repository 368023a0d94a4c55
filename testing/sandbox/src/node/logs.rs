//! The filter of `eth_getLogs` and of `logs` subscriptions.

use alloy_primitives::{Address, B256};
use anyhow::{Context as _, bail};
use serde_json::Value;

use super::block::{LogPlace, NodeBlock};

/// Which logs are wanted; an empty list means all.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct LogFilter {
    addresses: Vec<Address>,
    topics: Vec<Vec<B256>>,
}

impl LogFilter {
    /// Reads `address` and `topics` of a filter object.
    pub(super) fn read(filter: &Value) -> anyhow::Result<Self> {
        let addresses = one_or_many(&filter["address"]).context("read address")?;
        let topics = match &filter["topics"] {
            Value::Null => Vec::new(),
            Value::Array(positions) => positions
                .iter()
                .map(one_or_many)
                .collect::<anyhow::Result<_>>()
                .context("read topics")?,
            other => bail!("topics is {other}"),
        };
        Ok(Self { addresses, topics })
    }

    /// The texts of the block's logs that match.
    pub(super) fn texts<'a>(&'a self, block: &'a NodeBlock) -> impl Iterator<Item = &'a str> {
        block.index().logs.iter().filter(|log| self.matches(log)).map(|log| block.log_text(log))
    }

    fn matches(&self, log: &LogPlace) -> bool {
        (self.addresses.is_empty() || self.addresses.contains(&log.address))
            && self.topics.len() <= log.topics.len()
            && self
                .topics
                .iter()
                .zip(&log.topics)
                .all(|(wanted, topic)| wanted.is_empty() || wanted.contains(topic))
    }
}

/// The log as it is sent when its block has left the chain.
pub(super) fn as_removed(log: &str) -> String {
    if log.contains(r#""removed":false"#) {
        return log.replace(r#""removed":false"#, r#""removed":true"#);
    }
    log.strip_suffix('}')
        .map_or_else(|| log.to_owned(), |body| format!(r#"{body},"removed":true}}"#))
}

fn one_or_many<T: std::str::FromStr<Err: std::error::Error + Send + Sync + 'static>>(
    value: &Value,
) -> anyhow::Result<Vec<T>> {
    match value {
        Value::Null => Ok(Vec::new()),
        Value::String(text) => Ok(vec![text.parse()?]),
        Value::Array(values) => {
            let mut parsed = Vec::new();
            for value in values {
                parsed.push(value.as_str().context("not a string")?.parse()?);
            }
            Ok(parsed)
        }
        other => bail!("{other} is neither a string nor a list"),
    }
}
