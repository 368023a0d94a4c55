mod balances_mode;
mod native;
pub(crate) mod presets;
pub(crate) mod start_block;
pub(crate) mod traces_mode;
pub(crate) mod transactions_mode;
mod validate;

use std::{
    collections::{BTreeMap, BTreeSet},
    path::PathBuf,
};

use crypto_intel_schemas::Address;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

pub use self::{balances_mode::BalancesMode, native::NativeConfig};
use self::{
    start_block::Start,
    traces_mode::TracesMode,
    transactions_mode::{L1FeeMode, TransactionsMode},
};
use crate::{
    abis::config::AbiConfig,
    endpoint::config::{BreakerConfig, EndpointConfig},
    enrich::{
        assets::{AssetList, ListedToken},
        look_alikes::config::LookAlikeConfig,
    },
    explorer::config::ExplorerConfig,
    scope::config::ScopeConfig,
    verify::level::LogProof,
};

/// Maximum number of contracts whose logs are subscribed to; providers bound a filter's length.
const MAX_HINT_CONTRACTS: usize = 20;

/// Configuration of the EVM producer.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    /// Chains by slug (`[a-z0-9-]`, at most 32 characters), the name in subjects and tables. Default: none.
    pub chains: BTreeMap<String, ChainConfig>,
    /// Tokens beside the built-in ones: path to a file of the form of the registry of assets
    /// (`producers/assets/README.md`), perhaps the one of `poll.assets`. A list by chain (`[ethereum] tokens = [...]`)
    /// takes the place of the built-in tokens instead. Default: the built-in tokens alone.
    pub assets: Option<PathBuf>,
    /// Maximum distance of a price from the block's time, seconds; without a price in range a transfer has no USD
    /// value. Default: 300.
    pub price_max_age_seconds: u64,
    /// What is taken for an imitation of a counterparty of a watched wallet, and gets the tag `look_alike`.
    pub look_alikes: LookAlikeConfig,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            chains: BTreeMap::new(),
            assets: None,
            price_max_age_seconds: 300,
            look_alikes: LookAlikeConfig::default(),
        }
    }
}

/// One chain. It runs and fails independently of the others.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct ChainConfig {
    /// Whether this chain runs. Default: true.
    pub enabled: bool,
    /// The built-in preset for every option that is not set here, such as `ethereum`; `none` for no preset. Default:
    /// the one of the chain's own name, where there is one.
    pub preset: Option<String>,
    /// EIP-155 chain id; verified on every endpoint at every connect. No default.
    pub chain_id: u64,
    /// JSON-RPC endpoints, the preferred one first. Default: the public ones of the preset, else none.
    pub endpoints: Vec<EndpointConfig>,
    /// Usual time from block to block, milliseconds; the defaults for silence, staleness and lag follow from it.
    /// Default: 12000.
    pub block_time_ms: u64,
    /// An endpoint this many blocks below the highest is behind, and another one serves. Default: the
    /// blocks of 2 seconds, at least 3.
    pub lag_blocks: u64,
    /// An endpoint that does not know a block this long after another one announced it is behind, milliseconds.
    /// Default: half a block time, at least 2000 and at most 6000.
    pub lag_ms: u64,
    /// Circuit breaker: when a failing endpoint is left alone.
    pub breaker: BreakerConfig,
    /// How often `status.node` events are published while nothing changes, seconds. Default: 30.
    pub status_seconds: u64,
    /// Contract that wraps the chain's own currency. Default: none.
    pub wrapped_native: Option<String>,
    /// Where people look blocks and transactions up, a URL; alerts link transactions there. Default: the well-known one of
    /// the chain id, else none.
    pub explorer: Option<String>,
    /// Explorers that are asked in which blocks a watched address was active, for its past; see watching.md. Default: none.
    pub explorers: Vec<ExplorerConfig>,
    /// Where a chain that was never followed begins: `"latest"` (the block after the final one) or a
    /// block number. Default: `"latest"`.
    pub start: Start,
    /// Whether the endpoints are asked for the `finalized` and `safe` blocks; where they do not know these tags,
    /// `finality_depth` applies. Default: true.
    pub finality_tags: bool,
    /// Depth below the head at which a block counts as final, where the chain has no `finalized` tag. Default: 64.
    pub finality_depth: u64,
    /// How often the `finalized` and `safe` blocks are asked for, milliseconds. Default: 4000.
    pub finality_poll_ms: u64,
    /// A reorganisation that would drop more blocks than this stops the chain. Default: 128.
    pub max_reorg_depth: u64,
    /// How long other endpoints may contradict a reorganisation before the branch that advances is
    /// taken, seconds. Default: 15.
    pub reorg_confirm_seconds: u64,
    /// The chain's own currency.
    pub native: NativeConfig,
    /// Which events of the chain are published. Default: everything.
    pub scope: ScopeConfig,
    /// Which raw logs are published in addition to the decoded events: `"known"` (of `contracts`, and known events in
    /// an unknown form) or `"all"`. Default: `"known"`.
    pub logs: LogsMode,
    /// Contracts all of whose logs are also published raw. Default: none.
    pub contracts: Vec<String>,
    /// Contracts' events that are decoded by their ABI, in addition to the built-in ones: tables of `name`,
    /// `contracts`, `abi` (a file), `events` and `factory`; see decoding.md. Default: none.
    pub abis: Vec<AbiConfig>,
    /// Which transactions are published as events of their own (`transaction`), failed ones included: `"watched"` (that a
    /// watched address sent or received, or whose new contract or new code is watched), `"all"` or `"none"`; see scope.md.
    /// Default: `"watched"`.
    pub transactions: TransactionsMode,
    /// How the L1 fee of receipts (`l1Fee`: OP stack, Scroll) counts in a transaction's fee: `"added"` (where there is one),
    /// `"required"` (a receipt without it gives no fee) or `"unclear"` (a receipt with it gives no fee). Default: that of the
    /// preset, else `"added"`.
    pub l1_fee: L1FeeMode,
    /// Of whom balances are read from the chain (`balance`): of `"watched"` wallets, when an event touches them and on
    /// schedule, or of `"none"`; see wallets.md. Default: `"watched"`.
    pub balances: BalancesMode,
    /// How often everything that watched wallets hold is read, seconds. Default: 3600.
    pub balances_seconds: u64,
    /// How many balances one call reads, at most 1000. Default: 200.
    pub balances_calls: usize,
    /// Where payments inside contracts (`transfer.internal`) come from: `"off"` (they are not seen),
    /// `"trace_block"` (Erigon, Nethermind, Reth, anvil) or `"debug"` (`debug_traceBlockByHash`,
    /// Geth); costly on most providers. Default: `"off"`.
    pub traces: TracesMode,
    /// How long a block may wait for its traces, milliseconds; without them it is published as `unverified`, and its
    /// payments inside contracts are published later on the history lane. Default: 3 block times, at least 3000.
    pub traces_budget_ms: u64,
    /// Whether websockets are asked, in addition to new heads, for the logs of `wrapped_native` and `contracts`, as a
    /// hint that a block came or left the chain. Default: true.
    pub log_hints: bool,
    /// After this long without a new head an endpoint is asked for its head, and reconnected when that has moved on or
    /// no answer comes, seconds. Default: 2.5 block times, at least 5.
    pub silence_seconds: u64,
    /// Without a new block for this long the chain is unhealthy, seconds. Default: 10 block times, at
    /// least 60.
    pub stale_seconds: u64,
    /// Timeout of a request to an endpoint, milliseconds. Default: 20000.
    pub request_timeout_ms: u64,
    /// How often an HTTP endpoint is asked for its head, milliseconds. Default: half a block time, at
    /// least 500 and at most 4000; without a block time 1000.
    pub http_poll_ms: u64,
    /// How many blocks are fetched at once while catching up. Default: 8.
    pub fetch_concurrency: usize,
    /// More final blocks than this are not caught up in order: the live lane continues after the final block and the
    /// history lane fills the gap. 0 = always in order. Default: 1000.
    pub catch_up_blocks: u64,
    /// How many blocks the history lane fetches at once. Default: 4.
    pub history_concurrency: usize,
    /// How many addresses one request for logs names at most, where the past of several is wanted. Default: 100.
    pub history_addresses: usize,
    /// The history lane pauses while persist, if it runs, has a backlog of more of its events than this, about. 0 = never.
    /// Default: 200000.
    pub history_max_pending: u64,
    /// How to prove that an endpoint returned all logs of a block: `"receipts_root"` (by the root of its receipts, or
    /// the bloom filter where no receipts are offered), `"bloom"` (by exactly its bloom filter), `"presence"` (there
    /// are some if the filter is not empty) or `"off"`. Default: that of the preset, else `"presence"`.
    pub check_logs: LogProof,
    /// Whether each header must match its hash, and the transactions the header's root: then an endpoint cannot forge
    /// anything under a block's hash. Not for chains whose headers have extra fields. Default: that of the preset, else
    /// false.
    pub check_header: bool,
    /// Whether log indexes must be 0, 1, 2, … over the block; with `false` they are renumbered if they are not.
    /// Default: true.
    pub check_log_indexes: bool,
    /// Maximum data of a raw log in one message, bytes; the rest is cut, and the length and hash of the whole are kept.
    /// Default: 524288.
    pub max_log_data_bytes: usize,
    /// Whether tokens that are not on the list are asked for their symbol, name and decimals. The answers are kept in
    /// the bucket `tokens`. Default: true.
    pub enrich_tokens: bool,
    /// How long a block may wait for the metadata of tokens seen for the first time, milliseconds; after that it is
    /// published with what is known. 0 = it never waits. Default: 50.
    pub enrich_wait_ms: u64,
    /// Address of the contract Multicall3, which answers for many tokens at once; empty = each token is asked
    /// separately. Default: `0xcA11bde05977b3631167028862bE2a173976CA11`.
    pub multicall: String,
}

impl Default for ChainConfig {
    fn default() -> Self {
        Self {
            enabled: true,
            preset: None,
            chain_id: 0,
            endpoints: Vec::new(),
            block_time_ms: 12_000,
            lag_blocks: 3,
            lag_ms: 6_000,
            breaker: BreakerConfig::default(),
            status_seconds: 30,
            wrapped_native: None,
            explorer: None,
            explorers: Vec::new(),
            start: Start::default(),
            finality_tags: true,
            finality_depth: 64,
            finality_poll_ms: 4_000,
            max_reorg_depth: 128,
            reorg_confirm_seconds: 15,
            native: NativeConfig::default(),
            scope: ScopeConfig::default(),
            logs: LogsMode::default(),
            contracts: Vec::new(),
            abis: Vec::new(),
            transactions: TransactionsMode::default(),
            l1_fee: L1FeeMode::default(),
            balances: BalancesMode::default(),
            balances_seconds: 3_600,
            balances_calls: 200,
            traces: TracesMode::Off,
            traces_budget_ms: 36_000,
            log_hints: true,
            silence_seconds: 30,
            stale_seconds: 120,
            request_timeout_ms: 20_000,
            http_poll_ms: 1_000,
            fetch_concurrency: 8,
            catch_up_blocks: 1_000,
            history_concurrency: 4,
            history_addresses: 100,
            history_max_pending: 200_000,
            check_logs: LogProof::default(),
            check_header: false,
            check_log_indexes: true,
            max_log_data_bytes: 512 * 1024,
            enrich_tokens: true,
            enrich_wait_ms: 50,
            multicall: "0xcA11bde05977b3631167028862bE2a173976CA11".to_owned(),
        }
    }
}

/// Which raw logs are published.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum LogsMode {
    /// Of configured contracts, and known events in an unknown form.
    #[default]
    Known,
    /// Every log, in addition to the events decoded from it.
    All,
}

impl Config {
    /// Assets that the enabled chains price: their currencies and their listed tokens. Without a usable list of tokens, the
    /// currencies.
    #[must_use]
    pub fn priced_assets(&self) -> BTreeSet<String> {
        let list = AssetList::load(self.assets.as_deref()).unwrap_or_default();
        let chains = self.chains.iter().filter(|(_, chain)| chain.enabled);
        let of_chain = |(slug, chain): (&String, &ChainConfig)| {
            let tokens = list.of_chain(presets::name_of(slug, chain.preset.as_deref()));
            let listed = tokens.keys().map(str::to_owned).collect::<Vec<_>>();
            listed.into_iter().chain([chain.native.asset.clone()])
        };
        chains.flat_map(of_chain).filter(|asset| !asset.is_empty()).collect()
    }

    /// The list of tokens: those of every chain by its name in the list, and those of configured chains by their slug. Without a
    /// usable list, none.
    #[must_use]
    pub fn listed_tokens(&self) -> Vec<ListedToken> {
        let list = AssetList::load(self.assets.as_deref()).unwrap_or_default();
        let own = self
            .chains
            .iter()
            .map(|(slug, chain)| (slug.as_str(), presets::name_of(slug, chain.preset.as_deref())));
        let own: BTreeMap<&str, &str> = own.collect();
        let others = list.chains().filter(|name| !own.contains_key(name)).map(|name| (name, name));
        own.iter()
            .map(|(slug, name)| (*slug, *name))
            .chain(others)
            .flat_map(|(slug, name)| list.listed(slug, name))
            .collect()
    }

    /// Reads the list of tokens, which [`run`](crate::run) needs.
    ///
    /// # Errors
    /// When it cannot be read or is not such a list; the error names position and entry.
    pub fn check_assets(&self) -> anyhow::Result<()> {
        AssetList::load(self.assets.as_deref()).map(drop)
    }
}

impl ChainConfig {
    /// Contracts whose logs are subscribed to. Few on purpose: all logs of a chain would be sent twice.
    pub(crate) fn hint_contracts(&self) -> Vec<Address> {
        if !self.log_hints {
            return Vec::new();
        }
        let wrapped = self.wrapped_native.iter().filter_map(|text| text.parse().ok());
        let mut contracts: Vec<Address> = wrapped.chain(self.contract_addresses()).collect();
        contracts.sort_unstable();
        contracts.dedup();
        contracts.truncate(MAX_HINT_CONTRACTS);
        contracts
    }

    /// The configured contracts as addresses; invalid ones are left out ([`Config::validate`] reports them).
    pub(crate) fn contract_addresses(&self) -> std::collections::HashSet<Address> {
        self.contracts.iter().filter_map(|text| text.parse().ok()).collect()
    }
}
