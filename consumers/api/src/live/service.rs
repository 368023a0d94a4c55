//! What clients subscribe to by name: services are sets of kinds.

use std::{fmt, str::FromStr};

use crypto_intel_schemas::Kind;

use super::kind_set::KindSet;
use crate::auth::scopes::Scope;

/// Value in US dollars from which on `whale_tracking` tells of transfers, unless the client says another.
pub(crate) const WHALE_USD: &str = "1000000";

const TRANSFERS: [Kind; 5] = [
    Kind::NativeTransfer,
    Kind::InternalTransfer,
    Kind::Erc20Transfer,
    Kind::Erc721Transfer,
    Kind::Erc1155Transfer,
];

const MARKET_DATA: KindSet = KindSet::of(&[Kind::Price, Kind::Metric]);
const ONCHAIN: KindSet = KindSet::of(&[
    Kind::Approval,
    Kind::Swap,
    Kind::Liquidity,
    Kind::ContractEvent,
    Kind::Transaction,
    Kind::Log,
    Kind::Balance,
    Kind::Jump,
])
.or(KindSet::of(&TRANSFERS));
const EXPLORERS: KindSet =
    KindSet::of(&[Kind::Block, Kind::ContractCreation, Kind::Reorg, Kind::Finalized, Kind::Jump]);
const WHALE_TRACKING: KindSet = KindSet::of(&[Kind::Whale]).or(KindSet::of(&TRANSFERS));
const NEWS: KindSet = KindSet::of(&[Kind::Article]);
const SENTIMENT: KindSet = KindSet::of(&[Kind::Index]);
const RPC_NODES: KindSet = KindSet::of(&[Kind::NodeStatus]);
const PROVIDERS: KindSet = KindSet::of(&[Kind::ProviderStatus]);
const ALERTS: KindSet = KindSet::of(&[Kind::Alert]);
const DELIVERIES: KindSet = KindSet::of(&[Kind::Delivery]);

const OF_CHAINS: KindSet = ONCHAIN.or(EXPLORERS).or(WHALE_TRACKING);
const OF_MARKETS: KindSet = MARKET_DATA.or(NEWS).or(SENTIMENT);
const OF_ALERTS: KindSet = ALERTS.or(DELIVERIES);
const OF_OPERATIONS: KindSet = RPC_NODES.or(PROVIDERS);

macro_rules! services {
    ($( $(#[$meta:meta])* $Service:ident = $name:literal: $kinds:expr, )*) => {
        /// A named set of kinds.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
        pub(crate) enum Service {
            $( $(#[$meta])* $Service, )*
        }

        impl Service {
            pub(crate) const ALL: &'static [Self] = &[$(Self::$Service),*];

            /// The name in messages and paths.
            pub(crate) const fn as_str(self) -> &'static str {
                match self { $( Self::$Service => $name, )* }
            }

            /// Its kinds.
            pub(crate) const fn kinds(self) -> KindSet {
                match self { $( Self::$Service => $kinds, )* }
            }
        }
    };
}

services! {
    /// Prices and polled metrics.
    MarketData = "market_data": MARKET_DATA,
    /// What happens on chains: transfers, trades, approvals, decoded events.
    Onchain = "onchain": ONCHAIN,
    /// Blocks, contracts, reorganisations, finality.
    Explorers = "explorers": EXPLORERS,
    /// Large transfers, by providers and on chains.
    WhaleTracking = "whale_tracking": WHALE_TRACKING,
    /// Articles.
    News = "news": NEWS,
    /// Named indices.
    Sentiment = "sentiment": SENTIMENT,
    /// Health of RPC endpoints.
    RpcNodes = "rpc_nodes": RPC_NODES,
    /// Health of polled providers.
    HealthChecker = "health_checker": PROVIDERS,
    /// Runs of the scheduler: what its providers and endpoints report.
    Scheduler = "scheduler": PROVIDERS,
    /// Alerts: fired, corrected, resolved.
    Alerts = "alerts": ALERTS,
    /// What became of messages to people.
    Deliveries = "deliveries": DELIVERIES,
    /// Everything that the client may see.
    All = "all": OF_CHAINS.or(OF_MARKETS).or(OF_ALERTS).or(OF_OPERATIONS),
}

impl Service {
    /// The value in dollars below which it leaves transfers out, unless the client says another.
    pub(crate) const fn least_usd(self) -> Option<&'static str> {
        match self {
            Self::WhaleTracking => Some(WHALE_USD),
            _ => None,
        }
    }
}

impl fmt::Display for Service {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.as_str())
    }
}

impl FromStr for Service {
    type Err = String;

    /// A hyphen is as good as an underscore: paths have it.
    fn from_str(text: &str) -> Result<Self, String> {
        let name = text.replace('-', "_");
        Self::ALL.iter().copied().find(|service| service.as_str() == name).ok_or_else(|| {
            let names: Vec<&str> = Self::ALL.iter().map(|service| service.as_str()).collect();
            let shown: String = text.chars().take(64).collect();
            format!("{shown:?} is no service: use {}", names.join(", "))
        })
    }
}

/// The scope that a client needs to see events of a kind; `None` for kinds that are not live.
pub(crate) const fn scope_of(kind: Kind) -> Option<Scope> {
    if OF_CHAINS.contains(kind) {
        Some(Scope::Chain)
    } else if OF_MARKETS.contains(kind) {
        Some(Scope::Market)
    } else if OF_ALERTS.contains(kind) {
        Some(Scope::Alerts)
    } else if OF_OPERATIONS.contains(kind) {
        Some(Scope::Operations)
    } else {
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_service_is_found_by_both_of_its_names() {
        for service in Service::ALL {
            assert_eq!(service.as_str().parse(), Ok(*service));
            assert_eq!(service.as_str().replace('_', "-").parse(), Ok(*service));
            assert!(service.kinds() != KindSet::default());
        }
        let refused = "on_chain".parse::<Service>().unwrap_err();
        assert!(refused.contains("on_chain") && refused.contains("onchain"), "{refused}");
    }

    #[test]
    fn every_kind_of_a_service_has_a_scope_and_all_has_every_kind() {
        for service in Service::ALL {
            for kind in service.kinds().iter() {
                assert!(scope_of(kind).is_some(), "{kind}");
                assert!(Service::All.kinds().contains(kind), "{kind}");
            }
        }
        assert_eq!(scope_of(Kind::Tick), None);
        assert_eq!(scope_of(Kind::Notification), None);
    }
}
