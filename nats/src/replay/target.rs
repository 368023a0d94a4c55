use crypto_intel_schemas::patterns::{is_pattern, overlaps};
use serde_json::{Map, Value, json};

use crate::client::api::Nats;
use crate::error::{NatsError, PublishError};
use crate::reader::range::StreamRange;
use crate::topology::{Topology, TopologyError};

/// What the server keeps for itself.
const SERVERS_OWN: [&str; 2] = ["$SYS.>", "_INBOX.>"];
const METADATA_WHAT: &str = "crypto-intel-replay";
const METADATA_FROM: &str = "crypto-intel-replay-from";
const METADATA_TO: &str = "crypto-intel-replay-to";

/// Where a replay goes, and what of.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReplayTarget {
    /// The tokens before each original subject, such as `sandbox` or `test.friday`.
    pub prefix: String,
    /// What is replayed, as its user asked for it: a stream holds one replay and no other.
    pub what: String,
    /// Most bytes in the stream. When they are used up the replay stops; nothing goes to make room.
    pub max_bytes: u64,
    /// Messages older than this go, in seconds.
    pub max_age_seconds: u64,
}

/// A replay cannot be stored.
#[derive(Debug, thiserror::Error)]
pub enum ReplayError {
    /// The prefix is no row of subject tokens.
    #[error(
        "{prefix:?} is no prefix: write tokens of letters, digits, - and _, such as sandbox or test.friday"
    )]
    Prefix {
        /// What was given.
        prefix: String,
    },
    /// Subjects under the prefix are in use.
    #[error("prefix {prefix}: subjects under it belong to {owner}: choose another one")]
    Taken {
        /// The prefix.
        prefix: String,
        /// The stream, or whose they are.
        owner: String,
    },
    /// The stream holds something else.
    #[error(
        "stream {stream} holds another replay ({found}): choose another prefix, or delete what it holds with --anew"
    )]
    Other {
        /// The stream.
        stream: String,
        /// What it holds.
        found: String,
    },
    /// The stream lost the message that says how far the replay came.
    #[error(
        "stream {stream} no longer has its last message, so the position of the replay is unknown: begin again with --anew"
    )]
    Emptied {
        /// The stream.
        stream: String,
    },
    /// Another program publishes under the prefix.
    #[error("another process publishes to stream {stream}: let it end, then run this again")]
    Raced {
        /// The stream.
        stream: String,
    },
    /// Messages cannot be stored. What was stored before stays.
    #[error("cannot publish to stream {stream}{}", hint(source))]
    Publish {
        /// The stream.
        stream: String,
        /// Why.
        source: PublishError,
    },
    /// The server refuses or does not answer.
    #[error(transparent)]
    Nats(#[from] NatsError),
    /// The definitions of our own streams cannot be read.
    #[error(transparent)]
    Topology(#[from] TopologyError),
}

/// What a refusal asks for.
fn hint(error: &PublishError) -> &'static str {
    match error {
        PublishError::Full { .. } => ", give it more room with --max-bytes and run this again",
        PublishError::TooLarge { .. } => {
            ", the original fills the server's max_payload and headers are added: raise it in server.conf"
        }
        _ => "",
    }
}

/// What a stream on the server says about itself.
pub(super) struct Found {
    pub(super) what: String,
    pub(super) range: StreamRange,
    pub(super) max_bytes: u64,
    pub(super) max_age_seconds: u64,
}

impl ReplayTarget {
    /// Name of the stream: `REPLAY_` and the prefix, with `_` for each dot.
    #[must_use]
    pub fn stream(&self) -> String {
        format!("REPLAY_{}", self.prefix.replace('.', "_"))
    }

    /// Pattern of all its subjects.
    #[must_use]
    pub fn subjects(&self) -> String {
        format!("{}.>", self.prefix)
    }

    /// Whether messages may go under this prefix: it is well formed, not one of our own, and no other stream has it.
    ///
    /// # Errors
    /// Says what is in the way.
    pub async fn check(&self, nats: &Nats) -> Result<(), ReplayError> {
        let prefix = self.prefix.clone();
        let plain = |token: &str| {
            token.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_'))
        };
        if !is_pattern(&prefix) || !prefix.split('.').all(plain) {
            return Err(ReplayError::Prefix { prefix });
        }
        let subjects = self.subjects();
        if SERVERS_OWN.iter().any(|own| overlaps(own, &subjects)) {
            return Err(ReplayError::Taken { prefix, owner: "the server".to_owned() });
        }
        // Also where these streams are not on this server: they may come.
        if let Some(stream) = Topology::embedded()?.stream_with(&subjects) {
            return Err(ReplayError::Taken { prefix, owner: format!("our stream {stream}") });
        }
        let others = nats.streams_with(&subjects).await?;
        match others.into_iter().find(|name| *name != self.stream()) {
            Some(other) => Err(ReplayError::Taken { prefix, owner: format!("stream {other}") }),
            None => Ok(()),
        }
    }

    /// The stream's definition, in the server's own terms.
    pub(super) fn config(&self, range: StreamRange) -> Value {
        json!({
            "name": self.stream(),
            "description": "Messages published again by `crypto-intel replay`",
            "subjects": [self.subjects()],
            "retention": "limits",
            "storage": "file",
            // A replay that does not fit shall stop, not lose its beginning.
            "discard": "new",
            "num_replicas": 1,
            "max_consumers": -1,
            "max_msgs": -1,
            "max_msgs_per_subject": -1,
            "max_msg_size": -1,
            "max_bytes": self.max_bytes,
            "max_age": self.max_age_seconds.saturating_mul(1_000_000_000),
            "duplicate_window": 100_000_000_u64,
            "compression": "s2",
            "allow_direct": true,
            "allow_atomic": true,
            "metadata": {
                METADATA_WHAT: self.what,
                METADATA_FROM: range.from.to_string(),
                METADATA_TO: range.to.to_string(),
            },
        })
    }

    /// Reads back what [`config`](Self::config) wrote; `None` for a stream that is no replay into this prefix.
    pub(super) fn read(&self, config: &Map<String, Value>) -> Option<Found> {
        let metadata = config.get("metadata")?;
        let number = |key: &str| metadata.get(key)?.as_str()?.parse::<u64>().ok();
        let subjects = config.get("subjects")?.as_array()?;
        if *subjects != [Value::from(self.subjects())] {
            return None;
        }
        Some(Found {
            what: metadata.get(METADATA_WHAT)?.as_str()?.to_owned(),
            range: StreamRange {
                from: number(METADATA_FROM)?,
                to: number(METADATA_TO)?,
                is_cut: false,
            },
            max_bytes: config.get("max_bytes")?.as_u64().unwrap_or(0),
            max_age_seconds: config.get("max_age")?.as_u64()? / 1_000_000_000,
        })
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn a_definition_is_read_back() {
        let target = ReplayTarget {
            prefix: "test.friday".to_owned(),
            what: "EVM evm.>".to_owned(),
            max_bytes: 5_000,
            max_age_seconds: 60,
        };
        assert_eq!(target.stream(), "REPLAY_test_friday");
        let config = target.config(StreamRange { from: 3, to: 9, is_cut: true });
        let found = target.read(config.as_object().unwrap()).unwrap();
        assert_eq!((found.range.from, found.range.to, &*found.what), (3, 9, "EVM evm.>"));
        assert_eq!((found.max_bytes, found.max_age_seconds), (5_000, 60));
        // Another prefix may give the same name.
        let twin = ReplayTarget { prefix: "test_friday".to_owned(), ..target };
        assert!(twin.read(config.as_object().unwrap()).is_none());
    }
}
