use std::{collections::BTreeMap, sync::Arc, time::Duration};

use anyhow::Context as _;
use crypto_intel_nats::Nats;
use crypto_intel_service::{Context, Restart, Supervisor};

use crate::{
    buttons::{self, Bot},
    channel::{clients, needs_tls},
    config::Config,
    metrics::Metrics,
    pacing::gate::SendGate,
    records::removed,
    render::Language,
    router,
    routing::dead_man::{self, Pulse},
    sender,
};

/// Time to record the result of an attempt.
const RECORDING_TIMEOUT: Duration = Duration::from_secs(5);

/// Routes alerts to destinations and sends them, until `context.shutdown` fires.
///
/// Messages under way are then finished and recorded; waiting ones stay in their stream.
///
/// # Errors
/// When the configuration is invalid, and when an attempt under way did not end in time.
pub async fn run(config: Config, nats: Nats, context: Context) -> anyhow::Result<()> {
    if let Err(problems) = config.validate() {
        anyhow::bail!("{}", problems.join("; "));
    }
    let metrics = Metrics::new(&context.registry).context("register metrics")?;
    let clients = clients(needs_tls(&config)).context("make HTTP client")?;
    let gates = SendGate::all(&config);
    let longest = config.destinations.values().map(|to| to.policy().timeout()).max();
    // A failing destination must stop only itself, not the process.
    let context = context.child();
    let mut supervisor = Supervisor::new(context.clone());
    let pulse = Arc::new(Pulse::default());
    let routes = Arc::new(router::Router::new(&config, &nats, &metrics, Arc::clone(&pulse)));
    if let Some(dead_man) = config.dead_man.clone() {
        let client = clients.services.clone();
        supervisor.spawn("notify.dead_man", Restart::WithBackoff, move |context| {
            dead_man::run(dead_man.clone(), client.clone(), Arc::clone(&pulse), context)
        });
    }
    let removed = Arc::new(removed::RemovedDestinations {
        nats: nats.clone(),
        destinations: config.destinations.keys().cloned().collect(),
        metrics: metrics.clone(),
    });
    supervisor.spawn("notify.removed", Restart::WithBackoff, move |context| {
        removed::run(Arc::clone(&removed), context)
    });
    supervisor.spawn("notify.router", Restart::WithBackoff, move |context| {
        router::run(Arc::clone(&routes), context)
    });
    for bot in Bot::all(&config, &clients, &gates, &nats) {
        let bot = Arc::new(bot);
        supervisor.spawn(bot.task(), Restart::WithBackoff, move |context| {
            buttons::run(Arc::clone(&bot), context)
        });
    }
    let languages: BTreeMap<String, Language> = config
        .destinations
        .iter()
        .map(|(name, destination)| (name.clone(), destination.policy().language))
        .collect();
    for (name, destination) in config.destinations {
        metrics.prepare(&name);
        let Some(gate) = gates.get(&name).cloned() else { continue };
        let fallback = destination.policy().fallback.as_deref();
        let language = fallback.and_then(|fallback| languages.get(fallback)).copied();
        let fallback_words = language.unwrap_or_default().words();
        let setup = Arc::new(sender::Setup {
            name: name.clone(),
            destination,
            nats: nats.clone(),
            clients: clients.clone(),
            gate,
            metrics: metrics.clone(),
            fallback_words,
        });
        supervisor.spawn(format!("notify.{name}"), Restart::WithBackoff, move |context| {
            sender::run(Arc::clone(&setup), context)
        });
    }
    supervisor.wait(longest.unwrap_or_default() + RECORDING_TIMEOUT).await
}
