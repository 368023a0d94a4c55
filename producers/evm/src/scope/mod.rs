//! Which events of a chain are published: the one place that decides, for live, catch-up, history and audit.

pub(crate) mod config;
pub(crate) mod plan;
pub(crate) mod record;
#[cfg(test)]
mod tests;

use std::collections::{BTreeSet, HashSet};

use alloy_primitives::{hex, keccak256};
use crypto_intel_schemas::{Address, Event, Kind};
use serde::{Deserialize, Serialize};

use self::config::{OF_LOGS, OF_TRANSACTIONS, ScopeConfig, kinds_of};
use crate::{
    abis::Abis,
    config::{ChainConfig, LogsMode, transactions_mode::TransactionsMode},
    enrich::assets::AssetRegistry,
};

/// The resolved scope of a chain: names are kinds, lists are sets, and what it refers to is part of it. Its JSON is kept, and
/// compared with later ones.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Scope {
    kinds: BTreeSet<String>,
    /// `None` = of any contract.
    contracts: Option<BTreeSet<Address>>,
    except: BTreeSet<Address>,
    watched_only: bool,
    configured_only: bool,
    transaction_fields: bool,
    /// Events of configured ABIs, each with where it is expected.
    abi_events: BTreeSet<String>,
    /// Names of the configured ABIs.
    abis: BTreeSet<String>,
    /// Contracts all of whose logs are published raw.
    raw_contracts: BTreeSet<Address>,
    every_log: bool,
    /// Nothing is left out: the other fields mean nothing.
    everything: bool,
    /// All transactions are events of their own, not only those of watched addresses.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    all_transactions: bool,
    /// Transactions are events of their own without being named in `kinds`. It says nothing about completeness: with this
    /// as a kind like others, a new version would have published the past of every scope again.
    #[serde(skip)]
    implies_transactions: bool,
}

impl Scope {
    /// The scope of a chain, with its tokens and ABIs.
    pub(crate) fn of(config: &ChainConfig, assets: &AssetRegistry, abis: &Abis) -> Self {
        let given: &ScopeConfig = &config.scope;
        let addresses = |list: &[String]| -> BTreeSet<Address> {
            list.iter().filter_map(|text| text.parse().ok()).collect()
        };
        let mut contracts = addresses(&given.contracts);
        if given.verified_tokens {
            contracts.extend(assets.verified());
        }
        let is_by_contract = given.verified_tokens || !given.contracts.is_empty();
        let kinds: Vec<Kind> = match (given.kinds.is_empty(), is_by_contract) {
            (true, true) => OF_LOGS.to_vec(),
            (true, false) => {
                let of_transactions = OF_TRANSACTIONS.into_iter();
                let implied = of_transactions.filter(|kind| *kind != Kind::Transaction);
                implied.chain(OF_LOGS).collect()
            }
            (false, _) => given.kinds.iter().flat_map(|name| kinds_of(name)).collect(),
        };
        // What the scope has no kind for changes nothing in it.
        let has = |kind: Kind| kinds.contains(&kind);
        let implies_transactions = given.has_kinds_of_transactions()
            && config.transactions != TransactionsMode::None
            && !given.is_everything();
        let has_all_transactions = config.transactions == TransactionsMode::All
            && (implies_transactions || has(Kind::Transaction));
        let (has_events, has_raw) = (has(Kind::ContractEvent), has(Kind::Log));
        let raw_contracts = if has_raw { config.contract_addresses() } else { HashSet::new() };
        Self {
            kinds: kinds.iter().map(|kind| kind.as_str().to_owned()).collect(),
            contracts: is_by_contract.then_some(contracts),
            except: addresses(&given.except_contracts),
            watched_only: given.watched_only,
            configured_only: given.configured_events_only,
            transaction_fields: given.transaction_fields,
            abi_events: if has_events || has_raw { abis.places() } else { BTreeSet::new() },
            abis: config.abis.iter().filter(|_| has_events).map(|abi| abi.name.clone()).collect(),
            raw_contracts: raw_contracts.into_iter().collect(),
            every_log: has_raw && config.logs == LogsMode::All,
            everything: given.is_everything(),
            all_transactions: has_all_transactions && !given.watched_only,
            implies_transactions,
        }
    }

    /// Whether nothing is left out.
    pub(crate) fn is_everything(&self) -> bool {
        self.everything
    }

    /// Whether only events are published that touch a watched address.
    pub(crate) fn is_watched_only(&self) -> bool {
        !self.everything && self.watched_only
    }

    /// Whether events of this kind may be published.
    pub(crate) fn has_kind(&self, kind: Kind) -> bool {
        self.everything
            || self.kinds.contains(kind.as_str())
            || (kind == Kind::Transaction && self.implies_transactions)
    }

    /// Whether logs of a contract may become events.
    pub(crate) fn has_contract(&self, contract: &Address) -> bool {
        self.everything
            || (!self.except.contains(contract)
                && self.contracts.as_ref().is_none_or(|listed| listed.contains(contract)))
    }

    /// Whether an event is published, whatever the watch-list has.
    pub(crate) fn wants(&self, event: &Event) -> bool {
        if self.everything {
            return true;
        }
        if !self.has_kind(event.kind()) {
            return false;
        }
        let Some(emitter) = event.log_fields().map(|fields| fields.address) else { return true };
        let is_named = match event {
            Event::ContractEvent(body) => {
                let is_configured = self.abis.contains(&body.abi);
                if self.configured_only && !is_configured {
                    return false;
                }
                is_configured
            }
            Event::Log(_) => self.every_log || self.raw_contracts.contains(&emitter),
            _ => false,
        };
        self.has_contract(&emitter) || (is_named && !self.except.contains(&emitter))
    }

    /// Whether a block that is complete for this scope is complete for the other one, too.
    pub(crate) fn covers(&self, other: &Self) -> bool {
        if self.everything || other.everything {
            return self.everything;
        }
        let has_contracts = match (&self.contracts, &other.contracts) {
            (None, _) => true,
            (Some(_), None) => false,
            (Some(ours), Some(theirs)) => theirs.is_subset(ours),
        };
        has_contracts
            && other.kinds.is_subset(&self.kinds)
            && self.except.is_subset(&other.except)
            && (!self.watched_only || other.watched_only)
            && (!self.configured_only || other.configured_only)
            && (self.transaction_fields || !other.transaction_fields)
            && other.abi_events.is_subset(&self.abi_events)
            && other.raw_contracts.is_subset(&self.raw_contracts)
            && (self.every_log || !other.every_log)
            && (self.all_transactions || !other.all_transactions)
    }

    /// 16 hexadecimal digits, equal for equal scopes.
    pub(crate) fn digest(&self) -> String {
        if self.everything {
            return "everything".to_owned();
        }
        // Sets are in order, so equal scopes have equal texts.
        let text = serde_json::to_vec(self).unwrap_or_default();
        hex::encode(&keccak256(text)[..8])
    }
}
