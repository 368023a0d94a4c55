use clap::{Args, ValueEnum};

/// `facts`
#[derive(Debug, Clone, Args)]
pub struct FactsArguments {
    /// Only facts of this kind.
    #[arg(value_name = "KIND")]
    pub kind: Option<FactKind>,
    /// Only what has this key, or this as a part of it: `bitcoin`, `gas.fast`, `gas.fast/ethereum`, `fear-greed`.
    #[arg(value_name = "KEY")]
    pub key: Option<String>,
}

/// Kinds of events that several sources give alike.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum FactKind {
    /// Prices of assets in dollars.
    Price,
    /// Indices.
    Index,
    /// Numbers about chains, protocols and markets.
    Metric,
}

impl FactKind {
    /// The kind's name on the wire.
    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            Self::Price => "price",
            Self::Index => "index",
            Self::Metric => "metric",
        }
    }
}
