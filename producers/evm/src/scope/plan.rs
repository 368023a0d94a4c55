//! What has to be fetched of a block for a scope.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use crypto_intel_schemas::{Address, B256, Kind};

use super::{Scope, config::OF_TRANSACTIONS};
use crate::{abis::Abis, config::ChainConfig, decode::known, log_query::LogQuery};

/// Providers bound the addresses of a filter; above this many the logs are asked for by topic alone.
const MAX_ADDRESSES: usize = 200;
/// More requests than this for one block cost more than one with all topics and no addresses.
const MAX_QUERIES: usize = 4;

/// What has to be fetched of a block.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) enum FetchPlan {
    /// Transactions, and all receipts or logs.
    #[default]
    Whole,
    /// The header, and the logs that match any of these.
    Logs {
        queries: Arc<[LogQuery]>,
        /// Of the past, too, every block has a header.
        every_block: bool,
    },
}

impl FetchPlan {
    /// For a scope.
    pub(crate) fn of(scope: &Scope, abis: &Abis, config: &ChainConfig) -> Self {
        // Where a node's log indexes are renumbered, which needs all logs, others would get other ids.
        let needs_all_logs = !config.check_log_indexes;
        let needs_transactions = needs_all_logs
            || scope.everything
            || scope.watched_only
            || scope.transaction_fields
            || OF_TRANSACTIONS.iter().any(|kind| scope.has_kind(*kind));
        let has_raw = scope.has_kind(Kind::Log);
        if needs_transactions || (has_raw && scope.every_log) {
            return Self::Whole;
        }
        let mut asked = Asked::default();
        // A known event in another form is published raw, whichever kind it would have been.
        let topics: BTreeSet<B256> = match has_raw {
            true => known::ALL.iter().copied().collect(),
            false => known::topics_of(|kind| scope.has_kind(kind), !scope.configured_only),
        };
        asked.add(scope.contracts.as_ref().map(|listed| listed.iter()), topics);
        if has_raw {
            // Any of their logs.
            asked.add(Some(scope.raw_contracts.iter()), BTreeSet::new());
        }
        if has_raw || scope.has_kind(Kind::ContractEvent) {
            for (topic, contracts) in abis.topics() {
                asked.add(contracts.map(|listed| listed.iter()), BTreeSet::from([topic]));
            }
            for factory in abis.factories() {
                let contract = Some(std::iter::once(&factory.contract));
                asked.add(contract, BTreeSet::from([factory.topic]));
            }
        }
        Self::Logs { queries: asked.into_queries().into(), every_block: config.scope.every_block }
    }
}

/// First topics by contracts.
#[derive(Default)]
struct Asked {
    /// The empty list is any contract; empty topics are any topic.
    by_contracts: BTreeMap<Vec<Address>, BTreeSet<B256>>,
}

impl Asked {
    /// Adds topics of contracts; `None` = of any contract. No topics = all of their logs.
    fn add<'a>(
        &mut self,
        contracts: Option<impl Iterator<Item = &'a Address>>,
        topics: BTreeSet<B256>,
    ) {
        let contracts = match contracts {
            None if topics.is_empty() => return,
            None => Vec::new(),
            Some(listed) => {
                let listed: BTreeSet<Address> = listed.copied().collect();
                if listed.is_empty() {
                    return;
                }
                listed.into_iter().collect()
            }
        };
        let key = if contracts.len() > MAX_ADDRESSES && !topics.is_empty() {
            Vec::new()
        } else {
            contracts
        };
        match self.by_contracts.entry(key) {
            std::collections::btree_map::Entry::Vacant(entry) => {
                entry.insert(topics);
            }
            std::collections::btree_map::Entry::Occupied(mut entry) => {
                if topics.is_empty() {
                    entry.get_mut().clear();
                } else if !entry.get().is_empty() {
                    entry.get_mut().extend(topics);
                }
            }
        }
    }

    fn into_queries(mut self) -> Vec<LogQuery> {
        // What is asked of any contract needs no asking of some.
        if let Some(any) = self.by_contracts.get(&Vec::new()).cloned() {
            self.by_contracts.retain(|contracts, topics| {
                contracts.is_empty() || topics.is_empty() || !topics.is_subset(&any)
            });
        }
        let is_by_topic = self.by_contracts.values().all(|topics| !topics.is_empty());
        if self.by_contracts.len() > MAX_QUERIES && is_by_topic {
            let topics = self.by_contracts.into_values().flatten().collect::<BTreeSet<_>>();
            return vec![LogQuery::of_any(Vec::new(), topics.into_iter().collect())];
        }
        let query = |(contracts, topics): (Vec<Address>, BTreeSet<B256>)| {
            LogQuery::of_any(contracts, topics.into_iter().collect())
        };
        self.by_contracts.into_iter().map(query).collect()
    }
}
