use crate::{
    event::{body::event, event_kind::EventKind, ids::polled_event_id},
    kinds::Kind,
    sample_values::{BLOCK_NUMBER, CHAIN, OBSERVED_AT_US},
    streams::Stream,
    subjects::forms as subjects,
};

event! {
    /// Health of one RPC endpoint, as one instance of the EVM producer sees it.
    pub struct NodeStatus: base {
        /// Chain slug, such as `ethereum`.
        pub chain: String,
        /// Configured name of the endpoint, or its host.
        pub endpoint: String,
        /// `primary` or `fallback`.
        pub role: String,
        /// Instance of the producer that reports it.
        pub instance: String,
        /// Whether it is connected.
        pub connected: bool,
        /// Whether requests currently go to it first.
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
        /// Mean response time, milliseconds; absent without recent requests.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        pub latency_ms: Option<u64>,
        /// State of its circuit breaker: `closed`, `open` or `half-open`.
        pub breaker: String,
        /// Why its connection was last lost or refused; absent while it is connected.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        pub error: Option<String>,
    }
}

impl EventKind for NodeStatus {
    const NAME: &'static str = "node";
    const SCHEMA: &'static str = "status.node/1";
    const SUBJECT: &'static str = "status.node.<chain>.<endpoint>";
    const STREAMS: &'static [(Stream, &'static str)] =
        &[(Stream::Status, subjects::NODE_STATUS_ALL)];
    const SOURCE: &'static str = "";
    const IN_RULES: bool = false;

    fn subject(&self) -> String {
        subjects::node_status(&self.chain, &self.endpoint)
    }

    fn sample() -> Self {
        NodeStatus {
            id: polled_event_id("evm-1", Kind::NodeStatus, "ethereum:node-a", OBSERVED_AT_US),
            chain: CHAIN.to_owned(),
            endpoint: "node-a".to_owned(),
            role: "primary".to_owned(),
            instance: "evm-1".to_owned(),
            connected: true,
            serving: false,
            reason: "behind".to_owned(),
            head: Some(BLOCK_NUMBER),
            lag_blocks: Some(4),
            error_percent: 12,
            latency_ms: Some(85),
            breaker: "closed".to_owned(),
            error: Some("endpoint node-a is not connected".to_owned()),
            ..NodeStatus::at("evm", OBSERVED_AT_US, OBSERVED_AT_US)
        }
    }
}
