//! Events about the pipeline's own sources.

use crate::{Kind, event::event};

event! {
    /// How a JSON-RPC endpoint of a chain does, as one instance of the EVM producer sees it.
    pub struct NodeStatus: base {
        /// Chain slug, such as `ethereum`.
        pub chain: String,
        /// Configured name of the endpoint, or its host.
        pub endpoint: String,
        /// `primary` or `fallback`.
        pub role: String,
        /// Who says so: the instance of the producer.
        pub instance: String,
        /// Whether it is connected.
        pub connected: bool,
        /// Whether it is the one that is asked first now.
        pub serving: bool,
        /// Why it serves, or why it does not: `serving`, `standby`, `fallback`, `slow`, `behind`,
        /// `errors`, `failed`, `resting` or `disconnected`.
        pub reason: String,
        /// Its newest block; absent while none is known.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        pub head: Option<u64>,
        /// Blocks from its head up to the highest of all endpoints; absent while no head is known.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        pub lag_blocks: Option<u64>,
        /// Recent requests that failed, percent.
        pub error_percent: u32,
        /// Mean time to an answer, milliseconds; absent where it was not asked of late.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        pub latency_ms: Option<u64>,
        /// State of its circuit breaker: `closed`, `open` or `half-open`.
        pub breaker: String,
        /// Why its connection was lost or refused last; absent while it is connected.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        pub error: Option<String>,
    }
}

impl NodeStatus {
    /// All fields at zero, for struct update syntax.
    #[must_use]
    pub fn empty() -> Self {
        Self {
            kind: Kind::NodeStatus,
            version: Kind::NodeStatus.version(),
            id: String::new(),
            source: String::new(),
            event_at_us: 0,
            observed_at_us: 0,
            chain: String::new(),
            endpoint: String::new(),
            role: String::new(),
            instance: String::new(),
            connected: false,
            serving: false,
            reason: String::new(),
            head: None,
            lag_blocks: None,
            error_percent: 0,
            latency_ms: None,
            breaker: String::new(),
            error: None,
        }
    }
}
