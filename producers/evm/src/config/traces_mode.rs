use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Where payments inside contracts come from.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum TracesMode {
    /// Nowhere: they are not published.
    #[default]
    Off,
    /// `trace_block`: Erigon, Nethermind, Reth, anvil.
    TraceBlock,
    /// `debug_traceBlockByHash` with `callTracer`: Geth and its forks.
    Debug,
}

impl TracesMode {
    /// The method that is called; `None` when traces are off.
    #[must_use]
    pub const fn method(self) -> Option<&'static str> {
        match self {
            Self::Off => None,
            Self::TraceBlock => Some("trace_block"),
            Self::Debug => Some("debug_traceBlockByHash"),
        }
    }
}
