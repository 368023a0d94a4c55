use std::{convert::Infallible, sync::Arc};

use anyhow::Context as _;
use crypto_intel_nats::{Leadership, Nats};
use crypto_intel_service::Context;
use tokio::{sync::broadcast, task::JoinSet};

use crate::{
    catalogue::{Catalogue, Provider, Which},
    clock::Clock,
    config::{Config, HistorySettings},
    control::{
        attempt::{AskedTry, TryRunner},
        board::PauseBoard,
    },
    facts::fact_metrics::FactMetrics,
    facts::freshness::Freshness,
    facts::prices::PriceWriter,
    facts::stale::tell_stale_facts,
    facts::used::{check_quotes, used_facts},
    facts::values::FactWriter,
    fetch::Fetcher,
    metrics::Metrics,
    past::{
        metrics::PastMetrics,
        runner::{PastParts, PastRunner},
    },
    polling::board::Board,
    polling::pacer::Pacer,
    polling::poller::EndpointPoller,
    polling::status::StatusReporter,
    polling::throttle::ProviderThrottle,
    quota::ledger::Ledger,
    quota::store::UsageStore,
    roster::Roster,
};

/// Tries that wait for the task of their provider.
const WAITING_TRIES: usize = 16;

/// Polls all enabled providers until shutdown.
///
/// Each provider is supervised on its own and polled by the one instance that holds its lease
/// (`poll.<provider>`).
///
/// A provider whose file is wrong is reported and not polled; a changed file is taken within seconds.
///
/// # Errors
/// When the registry of assets cannot be used; later failures are retried.
pub async fn run(config: Config, nats: Nats, context: Context) -> anyhow::Result<()> {
    let load = {
        let config = config.clone();
        move || Catalogue::load(&config, Which::Enabled)
    };
    let catalogue = tokio::task::spawn_blocking(load).await?.context("load providers")?;
    check_quotes(&config)?;
    let used = used_facts(&config, catalogue.enabled())?;
    let fact_metrics = FactMetrics::new(&context.registry).context("register metrics of facts")?;
    let freshness = Freshness::new(used, config.prices.clone(), fact_metrics.clone());
    catalogue.enabled().for_each(|provider| freshness.expect(provider));
    let metrics = Metrics::new(&context.registry).context("register metrics of pollers")?;
    let shared = Arc::new(Shared {
        fetcher: Fetcher::new(&config)?,
        prices: PriceWriter::new(nats.clone(), config.prices.clone(), metrics.clone()),
        facts: FactWriter::new(nats.clone(), &config.facts, freshness.clone(), fact_metrics),
        metrics,
        past: PastMetrics::new(&context.registry).context("register metrics of the past")?,
        history: config.history.clone(),
        freshness,
        nats,
        pauses: PauseBoard::unread(),
        tries: broadcast::Sender::new(WAITING_TRIES),
    });
    let following = follow_people(Arc::clone(&shared), &context);
    let fresh = context.health.probe("poll.sources", None);
    let (freshness, nats) = (shared.freshness.clone(), shared.nats.clone());
    let roster = Roster::new(config, shared, context.child());
    let telling = tell_stale_facts(freshness.clone(), nats.clone(), &context);
    let polling = async {
        tokio::select! {
            ended = roster.run(catalogue) => ended,
            () = freshness.watch(fresh, &nats) => Ok(()),
            never = following => match never {},
        }
    };
    tokio::try_join!(polling, telling).map(|((), ())| ())
}

/// Follows what people paused and want tried.
async fn follow_people(shared: Arc<Shared>, context: &Context) -> Infallible {
    let probe = context.health.probe("poll.pauses", None);
    shared.pauses.follow(&shared.nats, &shared.tries, &probe).await
}

/// What all providers share.
#[derive(Debug)]
pub(crate) struct Shared {
    fetcher: Fetcher,
    metrics: Metrics,
    prices: PriceWriter,
    past: PastMetrics,
    history: HistorySettings,
    facts: FactWriter,
    pub(crate) freshness: Freshness,
    nats: Nats,
    pauses: PauseBoard,
    tries: broadcast::Sender<AskedTry>,
}

/// Polls a provider whenever this instance holds its lease.
pub(crate) async fn run_provider(
    provider: Arc<Provider>,
    shared: Arc<Shared>,
    context: Context,
) -> anyhow::Result<()> {
    let task = format!("poll.{}", provider.name);
    let probe = Arc::new(context.health.probe(task.clone(), None));
    let leadership =
        Leadership::new(task, &shared.nats, &context, probe).context("register metrics")?;
    leadership
        .run(async |term| {
            leadership.probe().healthy("polling");
            let polled = term.until_over(poll_all(&provider, &shared, &context)).await;
            polled.map(|never| match never {})
        })
        .await
}

/// Polls all endpoints of a provider. Cancel-safe.
async fn poll_all(
    provider: &Arc<Provider>,
    shared: &Shared,
    context: &Context,
) -> anyhow::Result<Infallible> {
    let clock = Clock::default();
    let store = UsageStore::Kv(shared.nats.clone());
    let ledger = Ledger::new(&provider.quota_of, provider.limits, &provider.keys, store, clock);
    let throttle = ProviderThrottle::new(ledger, clock);
    let throttle = Arc::new(throttle.with_pauses(&provider.name, shared.pauses.clone()));
    let board = Board::new(&provider.name, shared.metrics.clone(), clock);
    let mut tasks = JoinSet::new();
    let reporter = StatusReporter {
        provider: Arc::clone(provider),
        board: board.clone(),
        throttle: Arc::clone(&throttle),
        metrics: shared.metrics.clone(),
        clock,
        nats: shared.nats.clone(),
    };
    tasks.spawn(reporter.run());
    let tries = TryRunner {
        provider: Arc::clone(provider),
        fetcher: shared.fetcher.clone(),
        nats: shared.nats.clone(),
        asked: shared.tries.subscribe(),
    };
    tasks.spawn(tries.run());
    if !provider.histories.is_empty() {
        let past = PastRunner::new(PastParts {
            provider: Arc::clone(provider),
            throttle: Arc::clone(&throttle),
            fetcher: shared.fetcher.clone(),
            nats: shared.nats.clone(),
            metrics: shared.past.clone(),
            settings: shared.history.clone(),
            clock,
        });
        tasks.spawn(past.run());
    }
    for endpoint in provider.endpoints.iter().filter(|endpoint| endpoint.enabled) {
        let label = endpoint.label();
        let (every, weight) = (endpoint.every, endpoint.weight.get());
        let throttle = Arc::clone(&throttle);
        let pacer = Pacer::new(&label, &endpoint.name, every, weight, throttle, clock);
        let name = format!("poll.{label}");
        let poller = EndpointPoller {
            provider: Arc::clone(provider),
            endpoint: Arc::clone(endpoint),
            pacer,
            board: board.clone(),
            fetcher: shared.fetcher.clone(),
            nats: shared.nats.clone(),
            prices: shared.prices.clone(),
            facts: shared.facts.clone(),
            metrics: shared.metrics.clone(),
            probe: context.health.advisory_probe(name, Some(endpoint.stale_after)),
            freshness: shared.freshness.join(endpoint),
            known: None,
        };
        tasks.spawn(poller.run());
    }
    match tasks.join_next().await {
        Some(ended) => ended.context("poll endpoint"),
        None => anyhow::bail!("provider {} has no endpoint", provider.name),
    }
}
