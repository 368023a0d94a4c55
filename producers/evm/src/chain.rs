//! One EVM chain: connects its endpoints and hands them to the chain-neutral half.

use std::{sync::Arc, time::Duration};

use crypto_intel_chain::{
    family::Family,
    live::ahead_budget::AheadBudget,
    metrics::ChainMetrics as FollowMetrics,
    run::{ChainOptions, ChainParts},
    stream::history_lane::HistoryLane,
};
use crypto_intel_nats::Nats;
use crypto_intel_schemas::Stream;
use crypto_intel_service::Context;
use tokio::task::JoinSet;

use crate::{
    balances::{BalanceParts, Balances},
    config::{
        BalancesMode, ChainConfig, presets, start_block::Start, transactions_mode::TransactionsMode,
    },
    decode::Decoder,
    endpoint::{NodeWatch, Pool},
    enrich::{
        assets::AssetRegistry, labels::LabelCache, look_alikes::config::LookAlikeConfig,
        prices::PriceCache, tokens::TokenMetadataCache, watch::WatchlistCache,
    },
    explorer::Explorers,
    fetch::Fetcher,
    metrics::ChainMetrics,
    source::{EvmSource, SourceParts},
};

/// Names of the EVM family in keys, probes and streams.
pub(crate) const FAMILY: Family = Family { name: "evm", stream: Stream::Evm.name() };

/// Bytes of a message reserved for subject, headers and the other fields of a log.
const MESSAGE_OVERHEAD: usize = 8 * 1024;

/// Dependencies of a chain.
#[derive(Debug, Clone)]
pub(crate) struct EvmChain {
    pub(crate) chain: String,
    pub(crate) config: ChainConfig,
    pub(crate) nats: Nats,
    pub(crate) assets: AssetRegistry,
    pub(crate) prices: PriceCache,
    pub(crate) watched: WatchlistCache,
    pub(crate) labels: LabelCache,
    pub(crate) look_alikes: LookAlikeConfig,
    pub(crate) metrics: ChainMetrics,
    pub(crate) follow_metrics: FollowMetrics,
    pub(crate) history: HistoryLane,
    pub(crate) ahead: AheadBudget,
}

/// Runs one chain until shutdown.
///
/// # Errors
/// Errors that stop this chain and need an operator.
pub(crate) async fn run(parts: EvmChain, context: Context) -> anyhow::Result<()> {
    // All tasks of this run end with it, also on failure.
    let stop = context.shutdown.child_token();
    let _guard = stop.clone().drop_guard();
    let mut tasks = JoinSet::new();
    let EvmChain { chain, mut config, nats, assets, prices, watched, labels, metrics, .. } = parts;
    let payload = nats.client().max_payload();
    if payload > 2 * MESSAGE_OVERHEAD {
        config.max_log_data_bytes = config.max_log_data_bytes.min(payload - MESSAGE_OVERHEAD);
    }
    let listed = assets.clone();
    let decoder = Decoder::new(&chain, &config, assets, metrics.clone())
        .with_max_fields(payload.saturating_sub(MESSAGE_OVERHEAD));
    let pool = Pool::start(&chain, &config, &metrics, &stop, &mut tasks);
    let watch = NodeWatch {
        chain: chain.clone(),
        instance: context.instance.clone(),
        pool: pool.clone(),
        metrics: metrics.nodes(),
        nats: nats.clone(),
        every: Duration::from_secs(config.status_seconds),
    };
    tasks.spawn(watch.run(stop.clone()));
    let mut fetcher = Fetcher::of(pool, &config, &decoder, metrics.clone());
    if decoder.transactions() != TransactionsMode::None {
        fetcher = fetcher.with_watched(&chain, watched.clone());
    }
    let tokens = TokenMetadataCache::start(
        &chain,
        &config,
        &nats,
        fetcher.pool(),
        &metrics,
        (&stop, &mut tasks),
    );
    let balances = (config.balances == BalancesMode::Watched).then(|| {
        let parts = BalanceParts {
            chain: chain.clone(),
            nats: nats.clone(),
            fetcher: fetcher.clone(),
            assets: listed,
            tokens: tokens.clone(),
            prices: prices.clone(),
            watched: watched.clone(),
            metrics: metrics.clone(),
        };
        Balances::new(parts, &config)
    });
    let explorers = Explorers::new(&chain, &config, metrics.clone())?;
    let source = EvmSource::new(SourceParts {
        chain: chain.clone(),
        nats: nats.clone(),
        fetcher,
        decoder,
        prices,
        tokens,
        watched,
        labels,
        look_alikes: parts.look_alikes,
        known_as: presets::name_of(&chain, config.preset.as_deref()).to_owned(),
        metrics,
        explorers,
        finality_tags: config.finality_tags,
        fetch_concurrency: config.fetch_concurrency,
        balances,
    });
    let chain_parts = ChainParts {
        family: FAMILY,
        chain,
        options: options(&config),
        nats,
        source: Arc::new(source),
        metrics: parts.follow_metrics,
        history: parts.history,
        ahead: parts.ahead,
    };
    crypto_intel_chain::run::run(chain_parts, context).await
}

fn options(config: &ChainConfig) -> ChainOptions {
    ChainOptions {
        start: match config.start {
            Start::Latest => None,
            Start::Number(number) => Some(number),
        },
        finality_poll: Duration::from_millis(config.finality_poll_ms),
        finality_depth: config.finality_depth,
        max_reorg_depth: config.max_reorg_depth,
        reorg_confirm: Duration::from_secs(config.reorg_confirm_seconds),
        catch_up_blocks: config.catch_up_blocks,
        fetch_concurrency: config.fetch_concurrency,
        history_concurrency: config.history_concurrency,
        history_addresses: config.history_addresses,
        history_max_pending: config.history_max_pending,
        stale: Duration::from_secs(config.stale_seconds),
    }
}
