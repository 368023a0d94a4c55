use std::sync::Arc;

use anyhow::Context as _;
use crypto_intel_nats::{Leadership, Nats, Term, TermEnd};
use crypto_intel_service::Context;
use tokio::task::JoinSet;

use crate::{
    config::Config,
    metrics::Metrics,
    rules::{self, RuleSet},
    ticks::publish_ticks,
    worker::{ROLE, TICK_LIMIT, Worker, WorkerEnd},
};

/// Evaluates rules until the process is told to stop. Of several instances one is active, the
/// others stand by.
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
        tracing::info!(rules = ?scanned, "tried with every event on their subjects: their conditions name no text that they need");
    }
    let silent = rules.telling_nobody();
    if !silent.is_empty() {
        tracing::info!(rules = ?silent, "have no routes: their alerts are in the stream ALERT only");
    }
    let leadership = Leadership::new(ROLE, &nats, &context, probe).context("register metrics")?;
    leadership
        .run(async |term| {
            leadership.probe().healthy(format!("active, {} rules", rules.ids().len()));
            let ended = evaluate(&config, &nats, &context, &rules, &metrics, &term).await?;
            Ok(match ended {
                WorkerEnd::Stopped if context.shutdown.is_cancelled() => TermEnd::Shutdown,
                WorkerEnd::Stopped | WorkerEnd::Superseded => TermEnd::Replaced,
            })
        })
        .await
}

/// One worker per stream and the ticks, until the first of them ends.
async fn evaluate(
    config: &Config,
    nats: &Nats,
    context: &Context,
    rules: &Arc<RuleSet>,
    metrics: &Metrics,
    term: &Term,
) -> anyhow::Result<WorkerEnd> {
    let stop = context.shutdown.child_token();
    // Dropping this future must stop the tasks too.
    let _guard = stop.clone().drop_guard();
    let mut tasks: JoinSet<anyhow::Result<WorkerEnd>> = JoinSet::new();
    for stream in rules.streams() {
        let probe = context.health.probe(format!("{ROLE}.{}", stream.slug()), Some(TICK_LIMIT));
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
        let ticks = publish_ticks(nats.clone(), streams, metrics.clone(), stop.clone());
        tasks.spawn(async move {
            ticks.await;
            Ok(WorkerEnd::Stopped)
        });
    }
    let lost = term.lost();
    let mut first: Option<anyhow::Result<WorkerEnd>> = None;
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
        let outcome = ended.unwrap_or_else(|panic| Err(panic).context("evaluate rules"));
        // What went wrong counts for more than that somebody else is active, and that for more
        // than having been told to stop.
        let weight = |outcome: &anyhow::Result<WorkerEnd>| match outcome {
            Ok(WorkerEnd::Stopped) => 0,
            Ok(WorkerEnd::Superseded) => 1,
            Err(_) => 2,
        };
        if first.as_ref().is_none_or(|first| weight(&outcome) > weight(first)) {
            first = Some(outcome);
        }
    }
    first.unwrap_or(Ok(WorkerEnd::Stopped))
}
