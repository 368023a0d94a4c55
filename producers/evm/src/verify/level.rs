use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// How it is proven that an endpoint gave all logs of a block, the weakest first.
#[derive(
    Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema,
)]
#[serde(rename_all = "snake_case")]
pub enum LogProof {
    /// Not at all.
    Off,
    /// There must be logs where the header's bloom filter is not empty.
    #[default]
    Presence,
    /// The logs must make exactly the header's bloom filter.
    Bloom,
    /// Receipts and logs must have the header's receipts root: nothing can be missing. Where an endpoint offers no
    /// receipts, the bloom filter counts.
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

    /// The word for it in metrics, and in `unverified` of a block where it could not be made.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::ReceiptsRoot => "receipts_root",
            Self::Bloom => "bloom",
            Self::Presence | Self::Off => "empty_logs",
        }
    }
}
