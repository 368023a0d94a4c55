use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Where payments inside contracts come from.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum TracesMode {
    /// They are not seen.
    #[default]
    Off,
    /// `trace_block`: Erigon, Nethermind, Reth, anvil.
    TraceBlock,
    /// `debug_traceBlockByHash` with `callTracer`: Geth and what is made of it.
    Debug,
}

impl TracesMode {
    /// The method that is asked; `None` when nothing is.
    #[must_use]
    pub const fn method(self) -> Option<&'static str> {
        match self {
            Self::Off => None,
            Self::TraceBlock => Some("trace_block"),
            Self::Debug => Some("debug_traceBlockByHash"),
        }
    }
}
