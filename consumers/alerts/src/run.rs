use std::sync::Arc;

use anyhow::Context as _;
use crypto_intel_nats::{Leadership, Nats, Term, TermEnd};
use crypto_intel_service::{Context, unless_stopped};
use tokio::task::JoinSet;

use crate::{
    config::Config,
    metrics::Metrics,
    rules::{self, RuleSet},
    ticks::publish_ticks,
    worker::{MAX_TICK_AGE, ROLE, Worker},
};

/// Evaluates rules until the process stops. Of several instances one is active, the others stand by.
///
/// # Errors
/// When a rule file is wrong (the error lists everything), when a stream or bucket does not exist,
/// or when NATS refuses for good.
pub async fn run(config: Config, nats: Nats, context: Context) -> anyhow::Result<()> {
    let rules = rules::load(&config.rules, config.destinations.as_deref()).map_err(|problems| {
        let texts: Vec<String> = problems.iter().map(ToString::to_string).collect();
        anyhow::anyhow!("{} wrong in the rules:\n{}", texts.len(), texts.join("\n"))
    })?;
    let rules = Arc::new(rules.with_explorers(config.explorers.clone()));
    let probe = Arc::new(context.health.probe(ROLE, None));
    if rules.is_empty() {
        tracing::warn!(files = ?config.rules, "no rule is enabled, nothing to evaluate");
        probe.healthy("no rules");
        context.shutdown.cancelled().await;
        return Ok(());
    }
    let metrics = Metrics::new(&context.registry).context("register metrics")?;
    let scanned = rules.unindexed();
    if !scanned.is_empty() {
        tracing::info!(rules = ?scanned, "evaluated for every event on their subjects: their conditions have no text to index by");
    }
    let silent = rules.without_routes();
    if !silent.is_empty() {
        tracing::info!(rules = ?silent, "have no routes: their alerts are only in stream ALERT");
    }
    let leadership = Leadership::new(ROLE, &nats, &context, probe).context("register metrics")?;
    leadership
        .run(async |term| {
            leadership.probe().healthy(format!("active, {} rules", rules.ids().len()));
            evaluate(&config, &nats, &context, &rules, &metrics, &term).await
        })
        .await
}

/// One worker per stream and the ticks, until one of them ends.
async fn evaluate(
    config: &Config,
    nats: &Nats,
    context: &Context,
    rules: &Arc<RuleSet>,
    metrics: &Metrics,
    term: &Term,
) -> anyhow::Result<()> {
    let stop = context.shutdown.child_token();
    // Dropping this future must stop the tasks too.
    let _guard = stop.clone().drop_guard();
    let mut tasks: JoinSet<anyhow::Result<()>> = JoinSet::new();
    for stream in rules.streams() {
        let probe = context.health.probe(format!("{ROLE}.{}", stream.slug()), Some(MAX_TICK_AGE));
        let worker = Worker {
            nats: nats.clone(),
            stream,
            rules: Arc::clone(rules),
            config: config.clone(),
            metrics: metrics.clone(),
            probe,
            instance: context.instance.clone(),
            stop: stop.clone(),
        };
        tasks.spawn(worker.run());
    }
    if config.ticks {
        let streams = rules.streams().into_iter().collect();
        let (ticks, stop) = (publish_ticks(nats.clone(), streams, metrics.clone()), stop.clone());
        tasks.spawn(async move { Ok(unless_stopped(&stop, ticks).await?) });
    }
    let lost = term.lost();
    let mut outcome = Ok(());
    loop {
        let ended = tokio::select! {
            () = lost.cancelled(), if !stop.is_cancelled() => {
                stop.cancel();
                continue;
            }
            ended = tasks.join_next() => ended,
        };
        let Some(ended) = ended else { break };
        stop.cancel();
        let ended = ended.unwrap_or_else(|panic| Err(panic).context("evaluate rules"));
        if weight(&ended) > weight(&outcome) {
            outcome = ended;
        }
    }
    outcome
}

/// A failure counts for more than a takeover by another instance, and that for more than a stop.
fn weight(outcome: &anyhow::Result<()>) -> u8 {
    match outcome.as_ref().map_err(TermEnd::of) {
        Ok(()) | Err(Some(TermEnd::Stopped)) => 0,
        Err(Some(TermEnd::Replaced)) => 1,
        Err(None) => 2,
    }
}
