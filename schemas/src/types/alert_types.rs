use serde::{Deserialize, Serialize};

use crate::types::decimal::Decimal;

/// How urgent an alert is.
#[derive(
    Debug,
    Clone,
    Copy,
    PartialEq,
    Eq,
    Hash,
    PartialOrd,
    Ord,
    Default,
    Serialize,
    Deserialize,
    schemars::JsonSchema,
)]
#[serde(rename_all = "lowercase")]
pub enum Severity {
    /// Good to know.
    #[default]
    Info,
    /// Look at it today.
    Warning,
    /// Look at it now, also at night.
    Critical,
}

impl Severity {
    /// The text on the wire and in subjects.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Info => "info",
            Self::Warning => "warning",
            Self::Critical => "critical",
        }
    }
}

/// State of an alert.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize, schemars::JsonSchema,
)]
#[serde(rename_all = "lowercase")]
pub enum AlertState {
    /// The condition became true.
    #[default]
    Fired,
    /// The event it was about left the canonical chain, or moved to another block.
    Corrected,
    /// The condition is no longer true.
    Resolved,
}

impl AlertState {
    /// The text on the wire and in subjects.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Fired => "fired",
            Self::Corrected => "corrected",
            Self::Resolved => "resolved",
        }
    }
}

/// A link in a message.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize, schemars::JsonSchema)]
pub struct Link {
    /// Text of the link, such as `tx`.
    pub label: String,
    /// `https` address.
    pub url: String,
}

/// An address that the events of an alert touch: subscriptions to it are told of the alert.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, schemars::JsonSchema)]
pub struct AlertAddress {
    /// The address, as its chain writes it.
    pub address: String,
    /// Dollars of the largest of these events; absent where none has a worth.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub usd: Option<Decimal>,
}

/// What a rule saw over its window, for a small picture.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, schemars::JsonSchema)]
pub struct Chart {
    /// How it is drawn.
    pub shape: ChartShape,
    /// Values by time, oldest first, at most 60.
    pub points: Vec<ChartPoint>,
}

/// How a chart is drawn.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, schemars::JsonSchema,
)]
#[serde(rename_all = "lowercase")]
pub enum ChartShape {
    /// Values that follow each other, such as a price.
    #[default]
    Line,
    /// Sums or counts, each of its own step of time.
    Bars,
}

/// A value of a chart.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, schemars::JsonSchema)]
pub struct ChartPoint {
    /// When it was so, or when its step of time began, microseconds UTC.
    pub at_us: i64,
    /// The value.
    pub value: Decimal,
}

/// Final state of a message: every message reaches exactly one.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize, schemars::JsonSchema,
)]
#[serde(rename_all = "lowercase")]
pub enum DeliveryState {
    /// The service took it.
    #[default]
    Sent,
    /// The service took it; an earlier attempt was interrupted, so it may be a repeat, and the
    /// message says so.
    Repeated,
    /// An attempt was interrupted and, by policy, not repeated.
    Uncertain,
    /// It can never be sent.
    Dead,
    /// It was too old to be worth sending.
    Expired,
    /// A silence matched it; its end is told with what still lasts.
    Silenced,
    /// An alert that explains it lasts, such as a chain that is stale.
    Inhibited,
    /// It came in hours in which its destination is told nothing, not even later.
    Muted,
}

impl DeliveryState {
    /// All of them.
    pub const ALL: [Self; 8] = [
        Self::Sent,
        Self::Repeated,
        Self::Uncertain,
        Self::Dead,
        Self::Expired,
        Self::Silenced,
        Self::Inhibited,
        Self::Muted,
    ];

    /// Whether it was not sent on purpose.
    #[must_use]
    pub const fn is_kept_back(self) -> bool {
        matches!(self, Self::Silenced | Self::Inhibited | Self::Muted)
    }

    /// The text on the wire.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Sent => "sent",
            Self::Repeated => "repeated",
            Self::Uncertain => "uncertain",
            Self::Dead => "dead",
            Self::Expired => "expired",
            Self::Silenced => "silenced",
            Self::Inhibited => "inhibited",
            Self::Muted => "muted",
        }
    }
}
