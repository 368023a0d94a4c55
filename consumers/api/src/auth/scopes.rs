//! Who may do what: roles are sets of scopes, and each route names one.

use crypto_intel_schemas::ApiRole;

/// A right of a client.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Scope {
    /// Read chains, wallets, tokens and labels.
    Chain,
    /// Read prices, indices and news.
    Market,
    /// Read alerts and silences.
    Alerts,
    /// Change the watch-list.
    WatchlistWrite,
    /// Silence and acknowledge alerts.
    AlertsWrite,
    /// Have destinations told of addresses and rules.
    SubscriptionsWrite,
    /// Check and try rules.
    RulesTest,
    /// Get lists as files.
    Export,
    /// See how the pipeline runs.
    Operations,
    /// Change what runs: dead letters, past ranges, sources.
    OperationsWrite,
    /// See and change who may use the API.
    Keys,
    /// See who changed what.
    Audit,
}

impl Scope {
    /// All of them.
    pub const ALL: [Self; 12] = [
        Self::Chain,
        Self::Market,
        Self::Alerts,
        Self::WatchlistWrite,
        Self::AlertsWrite,
        Self::SubscriptionsWrite,
        Self::RulesTest,
        Self::Export,
        Self::Operations,
        Self::OperationsWrite,
        Self::Keys,
        Self::Audit,
    ];

    /// The text in problems and in the description.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Chain => "chain",
            Self::Market => "market",
            Self::Alerts => "alerts",
            Self::WatchlistWrite => "watchlist:write",
            Self::AlertsWrite => "alerts:write",
            Self::SubscriptionsWrite => "subscriptions:write",
            Self::RulesTest => "rules:test",
            Self::Export => "export",
            Self::Operations => "ops",
            Self::OperationsWrite => "ops:write",
            Self::Keys => "keys",
            Self::Audit => "audit",
        }
    }

    /// The least role that has it; those above have it, too.
    #[must_use]
    pub const fn least_role(self) -> ApiRole {
        match self {
            Self::Chain | Self::Market | Self::Alerts => ApiRole::Viewer,
            Self::WatchlistWrite
            | Self::AlertsWrite
            | Self::SubscriptionsWrite
            | Self::RulesTest
            | Self::Export => ApiRole::Analyst,
            Self::Operations | Self::OperationsWrite => ApiRole::Operator,
            Self::Keys | Self::Audit => ApiRole::Admin,
        }
    }

    /// Whether a role has it.
    #[must_use]
    pub fn is_of(self, role: ApiRole) -> bool {
        role >= self.least_role()
    }

    /// The scopes of a role.
    pub fn of(role: ApiRole) -> impl Iterator<Item = Self> {
        Self::ALL.into_iter().filter(move |scope| scope.is_of(role))
    }
}
