/// How JetStream names the stream behind a bucket.
const STREAM_PREFIX: &str = "KV_";

/// Our key-value buckets. Their settings are in `nats/kv/*.json`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Bucket {
    /// The active instance of each task; [`leases`](crate::leases) has the keys.
    Leases,
    /// Resume points of producers.
    Cursors,
    /// Contracts that factories created.
    Contracts,
    /// Ranges still to be fetched.
    Gaps,
    /// What of the past of addresses is complete.
    Pasts,
    /// Newest price per asset.
    Prices,
    /// Newest value of indices and metrics that several sources give.
    Facts,
    /// Token metadata per chain and contract.
    Tokens,
    /// Labels of addresses that were imported, by source, in parts.
    Labels,
    /// Names of addresses by the Ethereum Name Service, for a day.
    Names,
    /// Watched addresses and their labels.
    Watchlist,
    /// Tokens that watched wallets hold.
    Holdings,
    /// Alerts that are silenced for a time.
    Silences,
    /// Who is told of which address or rule, beside the routes.
    Subscriptions,
    /// Alerts that last, wait or escalate, and acknowledgements.
    Routing,
    /// Snapshots of rule state.
    RuleState,
    /// Attempt and result of every message to people.
    Deliveries,
    /// Who may use the API.
    ApiKeys,
    /// Changes through the API that clients may send again, and how they were answered.
    Idempotency,
    /// Sessions of the dashboard, and codes that begin one.
    Sessions,
    /// Polled providers that people paused, and what they want tried.
    Providers,
}

impl Bucket {
    /// All of them.
    pub const ALL: [Self; 21] = [
        Self::Leases,
        Self::Cursors,
        Self::Contracts,
        Self::Gaps,
        Self::Pasts,
        Self::Prices,
        Self::Facts,
        Self::Tokens,
        Self::Labels,
        Self::Names,
        Self::Watchlist,
        Self::Holdings,
        Self::Silences,
        Self::Subscriptions,
        Self::Routing,
        Self::RuleState,
        Self::Deliveries,
        Self::ApiKeys,
        Self::Idempotency,
        Self::Sessions,
        Self::Providers,
    ];

    /// Name of the bucket, e.g. `rule_state`.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Leases => "leases",
            Self::Cursors => "cursors",
            Self::Contracts => "contracts",
            Self::Gaps => "gaps",
            Self::Pasts => "pasts",
            Self::Prices => "prices",
            Self::Facts => "facts",
            Self::Tokens => "tokens",
            Self::Labels => "labels",
            Self::Names => "names",
            Self::Watchlist => "watchlist",
            Self::Holdings => "holdings",
            Self::Silences => "silences",
            Self::Subscriptions => "subscriptions",
            Self::Routing => "routing",
            Self::RuleState => "rule_state",
            Self::Deliveries => "deliveries",
            Self::ApiKeys => "api_keys",
            Self::Idempotency => "idempotency",
            Self::Sessions => "sessions",
            Self::Providers => "providers",
        }
    }

    /// The stream behind the bucket, e.g. `KV_rule_state`.
    #[must_use]
    pub fn stream(self) -> String {
        format!("{STREAM_PREFIX}{}", self.name())
    }

    /// Whether a stream is the one behind a bucket, also one that another program created.
    #[must_use]
    pub fn is_stream(name: &str) -> bool {
        name.starts_with(STREAM_PREFIX)
    }
}
