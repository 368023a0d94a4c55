use std::time::Duration;

use anyhow::Context as _;
use crypto_intel_chain::{
    live::ahead_budget::AheadBudget, metrics::Metrics as FollowMetrics,
    stream::history_lane::HistoryLane,
};
use crypto_intel_nats::Nats;
use crypto_intel_service::{Context, Restart, Supervisor};

use crate::{
    chain::{self, EvmChain, FAMILY},
    config::{Config, presets},
    enrich::{assets::AssetList, labels::LabelCache, prices::PriceCache, watch::WatchlistCache},
    metrics::Metrics,
};

/// Batches are atomic: at shutdown there is nothing to wait for but the tasks' end.
const GRACE: Duration = Duration::from_secs(10);

/// Runs all configured chains, each supervised on its own, until shutdown.
///
/// # Errors
/// When the configuration is not valid or the list of tokens cannot be read. A failing chain is reported and restarted,
/// and does not affect the others.
pub async fn run(config: Config, nats: Nats, context: Context) -> anyhow::Result<()> {
    config
        .validate()
        .map_err(|problems| anyhow::anyhow!(problems.join("\n")))
        .context("validate configuration")?;
    let metrics = Metrics::new(&context.registry).context("register metrics")?;
    let follow_metrics = FollowMetrics::new(&context.registry, FAMILY.name, FAMILY.stream)
        .context("register metrics")?;
    let assets = AssetList::load(config.assets.as_deref())?;
    let prices = PriceCache::new(config.price_max_age_seconds);
    let watched = tokio::spawn(prices.clone().watch(nats.clone(), context.shutdown.clone()));
    let watchlist = WatchlistCache::new(metrics.clone());
    let listed = tokio::spawn(watchlist.clone().watch(nats.clone(), context.shutdown.clone()));
    let labels = LabelCache::new(metrics.clone());
    let named = tokio::spawn(labels.clone().watch(nats.clone(), context.shutdown.clone()));
    let (history, ahead) = (HistoryLane::default(), AheadBudget::default());
    let mut supervisor = Supervisor::new(context.clone());
    for (slug, chain_config) in config.chains {
        if !chain_config.enabled {
            continue;
        }
        let parts = EvmChain {
            assets: assets.of_chain(presets::name_of(&slug, chain_config.preset.as_deref())),
            metrics: metrics.of_chain(&slug),
            follow_metrics: follow_metrics.of_chain(&slug),
            chain: slug.clone(),
            config: chain_config,
            nats: nats.clone(),
            prices: prices.clone(),
            watched: watchlist.clone(),
            labels: labels.clone(),
            look_alikes: config.look_alikes.clone(),
            history: history.clone(),
            ahead: ahead.clone(),
        };
        supervisor.spawn(format!("evm.{slug}"), Restart::WithBackoff, move |context| {
            chain::run(parts.clone(), context)
        });
    }
    supervisor.wait(GRACE).await?;
    context.shutdown.cancelled().await;
    watched.abort();
    listed.abort();
    named.abort();
    Ok(())
}
