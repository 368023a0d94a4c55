use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// How to prove that an endpoint returned all logs of a block, the weakest proof first.
#[derive(
    Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema,
)]
#[serde(rename_all = "snake_case")]
pub enum LogProof {
    /// Not at all.
    Off,
    /// There must be logs if the header's bloom filter is not empty.
    #[default]
    Presence,
    /// The logs must match exactly the header's bloom filter.
    Bloom,
    /// Receipts and logs must have the header's receipts root: nothing can be missing. If an endpoint does not offer
    /// receipts, the bloom filter is used.
    ReceiptsRoot,
}

impl LogProof {
    /// The next weaker one.
    pub(crate) const fn weaker(self) -> Self {
        match self {
            Self::ReceiptsRoot => Self::Bloom,
            Self::Bloom => Self::Presence,
            Self::Presence | Self::Off => Self::Off,
        }
    }

    /// Its name in metrics, and in `unverified` of a block for which it was not possible.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::ReceiptsRoot => "receipts_root",
            Self::Bloom => "bloom",
            Self::Presence | Self::Off => "empty_logs",
        }
    }
}
