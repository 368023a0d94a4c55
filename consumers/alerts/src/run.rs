use std::sync::Arc;

use anyhow::Context as _;
use crypto_intel_nats::{Leadership, Nats, Term, TermEnd};
use crypto_intel_service::{Context, Probe, unless_stopped};
use tokio::task::JoinSet;

use crate::{
    config::Config,
    metrics::Metrics,
    rules::RuleSet,
    sets::{FileWatch, Sets, in_short, log_problems},
    streams::RuleStream,
    ticks::{max_tick_age, publish_ticks},
    worker::{ROLE, Worker},
};

/// Evaluates rules until the process stops. Of several instances one is active, the others stand by.
///
/// # Errors
/// When a stream or bucket does not exist, or when NATS refuses for good. A wrong rule file ends nothing: the last good
/// rules stay in force, and where there are none, the role waits and is not ready.
pub async fn run(config: Config, nats: Nats, context: Context) -> anyhow::Result<()> {
    let probe = Arc::new(context.health.probe(ROLE, None));
    let metrics = Metrics::new(&context.registry).context("register metrics")?;
    let begin = async {
        let sets = Sets::open(&nats, &config).await?;
        let rules = first_rules(&sets, &config, &metrics, &probe).await?;
        anyhow::Ok((Arc::new(sets), rules))
    };
    let Ok(begun) = unless_stopped(&context.shutdown, begin).await else { return Ok(()) };
    let (sets, rules) = begun?;
    let roots =
        Roots { config: &config, nats: &nats, context: &context, sets: &sets, metrics: &metrics };
    let leadership = Leadership::new(ROLE, &nats, &context, probe).context("register metrics")?;
    leadership
        .run(async |term| {
            leadership.probe().healthy(format!("active, {} rules", rules.ids().len()));
            let ended = evaluate(&roots, &rules, &term).await;
            metrics.forget_rules();
            ended
        })
        .await
}

/// The set of the files, or, where they are wrong, the newest that was in force. Where none was, waits for either.
async fn first_rules(
    sets: &Sets,
    config: &Config,
    metrics: &Metrics,
    probe: &Probe,
) -> anyhow::Result<Arc<RuleSet>> {
    const MEANING: &str = "and no earlier rules are kept: nothing is evaluated";
    let mut told = Vec::new();
    loop {
        let problems = match sets.look(&config.rules).await? {
            Ok(rules) => {
                metrics.rules_wrong.set(0);
                return Ok(rules);
            }
            Err(problems) => problems,
        };
        if let Some(rules) = sets.newest_in_force().await? {
            return Ok(rules);
        }
        if told != problems {
            metrics.rules_wrong.set(1);
            probe.unhealthy(in_short(&problems, MEANING));
            log_problems(&problems, MEANING);
            sets.put_problems(&problems).await?;
            told = problems;
        }
        tokio::time::sleep(config.reload_interval()).await;
    }
}

/// What everything in the role works with.
struct Roots<'r> {
    config: &'r Config,
    nats: &'r Nats,
    context: &'r Context,
    sets: &'r Arc<Sets>,
    metrics: &'r Metrics,
}

/// One worker per stream, the ticks and the look at the files, until one of them ends.
async fn evaluate(roots: &Roots<'_>, rules: &Arc<RuleSet>, term: &Term) -> anyhow::Result<()> {
    let Roots { config, nats, context, sets, metrics } = roots;
    let stop = context.shutdown.child_token();
    // Dropping this future must stop the tasks too.
    let _guard = stop.clone().drop_guard();
    let mut tasks: JoinSet<anyhow::Result<()>> = JoinSet::new();
    // A stream that no rule reads has ticks: a rule that is added there is heard of by one of them.
    for stream in RuleStream::OF_RULES {
        let probe = context.health.probe(format!("{ROLE}.{}", stream.slug()), max_tick_age(stream));
        let worker = Worker {
            nats: (*nats).clone(),
            stream,
            rules: Arc::clone(rules),
            sets: Arc::clone(sets),
            config: (*config).clone(),
            metrics: (*metrics).clone(),
            probe,
            instance: context.instance.clone(),
            stop: stop.clone(),
        };
        tasks.spawn(worker.run());
    }
    if config.ticks {
        let ticks = publish_ticks((*nats).clone(), Arc::clone(sets), (*metrics).clone());
        let stop = stop.clone();
        tasks.spawn(async move { Ok(unless_stopped(&stop, ticks).await?) });
    }
    let watch = FileWatch {
        nats: (*nats).clone(),
        config: (*config).clone(),
        sets: Arc::clone(sets),
        metrics: (*metrics).clone(),
        probe: context.health.advisory_probe(format!("{ROLE}.rules"), None),
    };
    let watch_stop = stop.clone();
    tasks.spawn(async move { unless_stopped(&watch_stop, watch.run()).await? });
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
