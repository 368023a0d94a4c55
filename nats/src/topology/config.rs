use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// What a deployment sets differently from the definitions in `nats/`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct TopologyConfig {
    /// Copies of every stream and bucket, 1 to 5; needs a cluster of at least as many servers. Unset = 1.
    pub replicas: Option<u8>,
    /// Limits of single streams and buckets, by name: `EVM`, `HISTORY`, …, `KV_prices`, …, and of
    /// the copies for outside teams: `"OUTSIDE/EVM"`, ….
    pub streams: BTreeMap<String, StreamOverride>,
}

/// Limits of one stream.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct StreamOverride {
    /// The stream holds at most this many bytes, the oldest messages go. Unset = as defined.
    pub max_bytes: Option<u64>,
    /// Messages older than this many hours go. Unset = as defined.
    pub max_age_hours: Option<u64>,
    /// Copies of this stream. Unset = as for all.
    pub replicas: Option<u8>,
}
