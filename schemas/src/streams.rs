//! The streams that hold events. Their settings are in `nats/streams/*.json`.

use std::fmt;

use crate::subjects;

/// A stream of JetStream.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Stream {
    /// Live events of all chains, copies for watched addresses, and their balances.
    Evm,
    /// Final blocks that were fetched late.
    History,
    /// Prices and other polled market data.
    Market,
    /// News, indices, provider-reported transfers.
    Signals,
    /// Health of providers and nodes.
    Status,
    /// Alerts that rules fired.
    Alert,
    /// Messages to send.
    Outbox,
    /// Outcomes of messages.
    Notify,
    /// Who changed what.
    Audit,
    /// Messages that could not be processed.
    Dlq,
}

impl Stream {
    /// All of them.
    pub const ALL: [Self; 10] = [
        Self::Evm,
        Self::History,
        Self::Market,
        Self::Signals,
        Self::Status,
        Self::Alert,
        Self::Outbox,
        Self::Notify,
        Self::Audit,
        Self::Dlq,
    ];

    /// The streams that rules read; each carries a tick.
    pub const OF_RULES: [Self; 5] =
        [Self::Evm, Self::Market, Self::Signals, Self::Status, Self::Alert];

    /// The name in JetStream.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Evm => "EVM",
            Self::History => "HISTORY",
            Self::Market => "MARKET",
            Self::Signals => "SIGNALS",
            Self::Status => "STATUS",
            Self::Alert => "ALERT",
            Self::Outbox => "OUTBOX",
            Self::Notify => "NOTIFY",
            Self::Audit => "AUDIT",
            Self::Dlq => "DLQ",
        }
    }

    /// The name in lower case: in tick subjects, probes, metrics and state keys.
    #[must_use]
    pub const fn slug(self) -> &'static str {
        match self {
            Self::Evm => "evm",
            Self::History => "history",
            Self::Market => "market",
            Self::Signals => "signals",
            Self::Status => "status",
            Self::Alert => "alert",
            Self::Outbox => "outbox",
            Self::Notify => "notify",
            Self::Audit => "audit",
            Self::Dlq => "dlq",
        }
    }

    /// The subjects that it takes.
    #[must_use]
    pub const fn subjects(self) -> &'static [&'static str] {
        match self {
            Self::Evm => &["evm.>", "watch.>", "balance.>", "tick.evm"],
            Self::History => &["history.>"],
            Self::Market => &["market.>", "gas.>", "defi.>", "network.>", "tick.market"],
            Self::Signals => &["news.>", "sentiment.>", "whale.>", "tick.signals"],
            Self::Status => &["status.>", "check.>", "tick.status"],
            // Each subject holds one message there, also that of a tick.
            Self::Alert => &["alert.>", "tick.alert.>"],
            Self::Outbox => &["notify.out.>"],
            Self::Notify => &["notify.done.>"],
            Self::Audit => &["audit.>"],
            Self::Dlq => &["dlq.>"],
        }
    }

    /// The pattern of the ticks in a stream that rules read.
    #[must_use]
    pub fn tick_pattern(self) -> String {
        match self {
            Self::Alert => "tick.alert.>".to_owned(),
            _ => subjects::tick(self.slug()),
        }
    }

    /// The stream with this name.
    #[must_use]
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|stream| stream.name() == name)
    }
}

impl fmt::Display for Stream {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.name())
    }
}
