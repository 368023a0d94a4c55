//! The configured scope of a chain.

use crypto_intel_schemas::{Address, Kind};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::config::transactions_mode::TransactionsMode;

/// Which events of a chain are published. What is not in the scope is not fetched either where that is possible: a scope
/// of logs alone needs neither receipts nor transactions. Default: everything.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct ScopeConfig {
    /// Kinds of event, such as `"transfer.erc20"` or `"swap"`; `"transfer"` stands for all transfers. Default: all, or, with
    /// `contracts` or `verified_tokens`, all that are made from logs.
    pub kinds: Vec<String>,
    /// Only events that these contracts emit: tokens, pools, feeds. What `abis` and `contracts` of the chain name is in scope
    /// as well. Default: of any contract.
    pub contracts: Vec<String>,
    /// Whether the verified tokens of the asset list are added to `contracts`. Default: false.
    pub verified_tokens: bool,
    /// Never events of these contracts. Default: none.
    pub except_contracts: Vec<String>,
    /// Only events that touch an address of the watch-list. Default: false.
    pub watched_only: bool,
    /// Of kind `event` only those of the configured `abis`, without the built-in ones. Default: false.
    pub configured_events_only: bool,
    /// Whether events made from logs name sender, receiver and method of their transaction, where only that needs the
    /// transactions. Default: false.
    pub transaction_fields: bool,
    /// Whether the past, too, has a marker of every block, so that its bloom filter proves that a block has no event.
    /// Otherwise only blocks with events are fetched there, and the markers between stand for the rest. Default: false.
    pub every_block: bool,
}

/// The scope is kept in one message, beside those before it.
const MAX_CONTRACTS: usize = 2_000;

/// Kinds that are made from logs.
pub(crate) const OF_LOGS: [Kind; 8] = [
    Kind::Erc20Transfer,
    Kind::Erc721Transfer,
    Kind::Erc1155Transfer,
    Kind::Approval,
    Kind::Swap,
    Kind::Liquidity,
    Kind::ContractEvent,
    Kind::Log,
];

/// Kinds that are made from transactions, their receipts and traces.
pub(crate) const OF_TRANSACTIONS: [Kind; 4] =
    [Kind::NativeTransfer, Kind::InternalTransfer, Kind::ContractCreation, Kind::Transaction];

/// The kinds that a name stands for; empty where it is none.
pub(crate) fn kinds_of(name: &str) -> Vec<Kind> {
    let is_meant = |kind: &Kind| {
        let kind = kind.as_str();
        kind == name || kind.split_once('.').is_some_and(|(family, _)| family == name)
    };
    OF_TRANSACTIONS.into_iter().chain(OF_LOGS).filter(is_meant).collect()
}

impl ScopeConfig {
    /// Whether nothing is left out.
    #[must_use]
    pub fn is_everything(&self) -> bool {
        let whole = Self {
            transaction_fields: self.transaction_fields,
            every_block: self.every_block,
            ..Self::default()
        };
        *self == whole
    }

    /// Whether all kinds are in scope that are made from transactions.
    pub(crate) fn has_kinds_of_transactions(&self) -> bool {
        self.kinds.is_empty() && self.contracts.is_empty() && !self.verified_tokens
    }

    /// Adds a sentence where scope and `transactions` of the chain contradict each other.
    pub(crate) fn validate_transactions(
        &self,
        mode: TransactionsMode,
        key: &str,
        problems: &mut Vec<String>,
    ) {
        let is_named = self.kinds.iter().any(|name| name == Kind::Transaction.as_str());
        if is_named && mode == TransactionsMode::None {
            problems.push(format!(
                "{key}.transactions: \"none\", but scope.kinds names \"transaction\"; remove it there, or set \"watched\" or \"all\""
            ));
        }
        if mode == TransactionsMode::All && !is_named && !self.has_kinds_of_transactions() {
            problems.push(format!(
                "{key}.transactions: \"all\", but they are not in scope; add \"transaction\" to scope.kinds"
            ));
        }
    }

    /// Adds one sentence per problem.
    pub(crate) fn validate(&self, key: &str, problems: &mut Vec<String>) {
        for (place, name) in self.kinds.iter().enumerate() {
            if kinds_of(name).is_empty() {
                let known: Vec<&str> =
                    OF_TRANSACTIONS.iter().chain(&OF_LOGS).map(|kind| kind.as_str()).collect();
                problems.push(format!(
                    "{key}.kinds[{place}]: {name:?} is no kind of event of a chain; use one of {}, or \"transfer\"",
                    known.join(", ")
                ));
            }
        }
        let lists = [("contracts", &self.contracts), ("except_contracts", &self.except_contracts)];
        for (name, list) in lists {
            for (place, contract) in list.iter().enumerate() {
                if contract.parse::<Address>().is_err() {
                    problems.push(format!(
                        "{key}.{name}[{place}]: {contract:?} is no address; write 0x and 40 hex digits"
                    ));
                }
            }
        }
        for (name, list) in lists {
            if list.len() > MAX_CONTRACTS {
                problems.push(format!(
                    "{key}.{name}: {} contracts, at most {MAX_CONTRACTS} are possible; choose by kinds, and by contract in rules or queries",
                    list.len()
                ));
            }
        }
        for contract in self.contracts.iter().filter(|one| self.except_contracts.contains(one)) {
            problems.push(format!(
                "{key}: {contract} is in contracts and in except_contracts; remove it from one"
            ));
        }
        let kinds: Vec<Kind> = self.kinds.iter().flat_map(|name| kinds_of(name)).collect();
        // An unknown name is a problem of its own.
        let has_logs = kinds.is_empty() || kinds.iter().any(|kind| OF_LOGS.contains(kind));
        if !has_logs && (!self.contracts.is_empty() || self.verified_tokens) {
            problems.push(format!(
                "{key}.contracts: none of the kinds is made from logs, so nothing would be left out; add such a kind, or remove contracts and verified_tokens"
            ));
        }
    }
}
