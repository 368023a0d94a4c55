use std::path::PathBuf;

use crypto_intel_schemas::Address;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::Abis;

/// Events of contracts, decoded by their ABI.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct AbiConfig {
    /// Its name in events, tables and rules, 1 to 64 characters. No default.
    pub name: String,
    /// Contracts whose logs are decoded. Default: none, which means only the contracts that the `factory` created, or,
    /// without a `factory`, every contract that emits these events.
    pub contracts: Vec<String>,
    /// A JSON ABI: path to a file with the ABI or with an object that has it under `abi`; its events
    /// are decoded. Default: none.
    pub abi: Option<PathBuf>,
    /// Human-readable events, such as `"event Paid(address indexed who, uint256 amount)"`. Default: none.
    pub events: Vec<String>,
    /// A contract whose event names further contracts. Default: none.
    pub factory: Option<FactoryConfig>,
}

/// A contract whose event names further contracts. These are decoded from the log on that names them, and remembered
/// across restarts; those created before the chain was followed are searched for.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct FactoryConfig {
    /// Address of the factory. No default.
    pub contract: String,
    /// Its event, such as `"event PoolCreated(address indexed token, address pool)"`. No default.
    pub event: String,
    /// The event's parameter that is the new contract's address, such as `pool`. No default.
    pub field: String,
    /// First block of the search for the contracts that it created: the block of the factory itself. Default: 0.
    pub since: u64,
}

/// Checks what the types cannot express, and reads the files.
pub(crate) fn validate(abis: &[AbiConfig], key: &str, problems: &mut Vec<String>) {
    let mut names = std::collections::BTreeSet::new();
    for (index, abi) in abis.iter().enumerate() {
        let key = format!("{key}.abis[{index}]");
        if abi.name.is_empty() || abi.name.chars().count() > 64 || abi.name.contains('\0') {
            problems.push(format!("{key}.name: {:?} is no name; use 1 to 64 characters", abi.name));
        } else if !names.insert(&abi.name) {
            problems.push(format!("{key}.name: {:?} is used twice; give each its own", abi.name));
        }
        let contracts = abi
            .contracts
            .iter()
            .enumerate()
            .map(|(place, contract)| (format!("{key}.contracts[{place}]"), contract));
        let factory = abi
            .factory
            .iter()
            .map(|factory| (format!("{key}.factory.contract"), &factory.contract));
        for (key, contract) in contracts.chain(factory) {
            if contract.parse::<Address>().is_err() {
                problems
                    .push(format!("{key}: {contract:?} is no address; write 0x and 40 hex digits"));
            }
        }
        if abi.abi.is_none() && abi.events.is_empty() {
            problems.push(format!("{key}: no events; set `abi` to a file, or `events`"));
        }
    }
    if let Err(found) = Abis::load(abis) {
        problems.extend(found.into_iter().map(|problem| format!("{key}.{problem}")));
    }
}
