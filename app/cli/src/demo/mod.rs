//! `crypto-intel demo`: the whole pipeline on private servers, with a live summary.

mod chain;
mod live;
mod screen;
mod servers;
mod settings;
mod summary;

use std::{
    process::ExitCode,
    sync::Arc,
    time::{Duration, Instant},
};

use anyhow::Context as _;
use crypto_intel_service::{Context, Supervisor, init_telemetry, serve_admin, wait_for_signal};
use crypto_intel_store::{Store, policies};

use crate::{
    args::{Arguments, DemoArguments},
    commands::exit_code,
    commands::run::{instance_name, spawn_roles},
    config::AppConfig,
    observe, output,
};
use screen::Screen;
use servers::Servers;
use summary::{Observer, Summary};

/// How often the summary is made.
const REFRESH: Duration = Duration::from_secs(1);
/// How long the roles may take to end.
const GRACE: Duration = Duration::from_secs(10);
/// After the local chain stopped: how long what is under way may take to arrive.
const DRAIN: Duration = Duration::from_secs(5);

pub(crate) async fn run(arguments: &Arguments, options: DemoArguments) -> anyhow::Result<ExitCode> {
    let started = Instant::now();
    let mut servers = Servers::start(&options).await?;
    let settings = settings::write(&servers, &options)?;
    let mut config = AppConfig::load_from(Some(&settings), [], &serde_json::json!({}))?;
    if let Some(filter) = &arguments.log {
        config.telemetry.log.clone_from(filter);
    }
    init_telemetry(&config.telemetry)?;

    let context = Context::new(instance_name());
    tokio::spawn(wait_for_signal(context.shutdown.clone()));
    let (admin_address, admin) = serve_admin(config.admin.listen, context.clone()).await?;
    tokio::spawn(admin);
    let nats = crypto_intel_nats::connect(&config.nats, "demo", &context.shutdown)
        .await
        .context("connect to NATS")?;
    config.topology()?.apply(&nats, false).await.context("apply the streams")?;
    let store = Store::connect(&config.database, &context.shutdown)
        .await
        .context("connect to the database")?;
    let mut migrated = store.migrate(false).await.context("migrate the database")?;
    let policies = policies::apply(&store, &config.storage, false).await;
    migrated.policies = policies.context("apply the policies of [storage]")?;
    tracing::info!(%migrated, "migrated");

    let mut supervisor = Supervisor::new(context.clone());
    let roles = config.enabled_roles();
    observe::start(&config, &roles, &nats, &context)?;
    spawn_roles(&mut supervisor, &roles, Arc::new(config), &nats, Some(store.clone()));
    servers.chain.begin().await.context("begin to play the local chain")?;

    let observer = Observer { nats, store, registry: context.registry.clone() };
    let mut screen = Screen::new(arguments.json, &settings, admin_address);
    screen.started(started.elapsed(), &servers);
    let end = options.duration.map(|duration| Instant::now() + duration);
    let counted_from = Instant::now();
    loop {
        tokio::select! {
            () = context.shutdown.cancelled() => break,
            () = tokio::time::sleep(REFRESH) => {}
        }
        let summary = observer.observe(&servers, counted_from.elapsed()).await?;
        screen.show(&summary, &context.health.report());
        if end.is_some_and(|end| Instant::now() >= end) {
            break;
        }
    }
    finish(&mut servers, &observer, &context, supervisor, counted_from, &mut screen).await
}

/// Stops the chain, lets what is under way arrive, stops the roles, and says how it went.
async fn finish(
    servers: &mut Servers,
    observer: &Observer,
    context: &Context,
    supervisor: Supervisor,
    counted_from: Instant,
    screen: &mut Screen,
) -> anyhow::Result<ExitCode> {
    let elapsed = counted_from.elapsed();
    servers.chain.end().await;
    let summary = drained(servers, observer, elapsed).await?;
    context.shutdown.cancel();
    let stopped = supervisor.wait(GRACE).await;
    screen.last(&summary);
    output::line(&summary.text(screen.is_json())?)?;
    let idle = summary.idle_stages();
    if !idle.is_empty() {
        eprintln!("crypto-intel: nothing was seen by: {}", idle.join(", "));
    }
    stopped?;
    Ok(exit_code(idle.is_empty()))
}

/// The summary once two looks agree, or after [`DRAIN`].
async fn drained(
    servers: &Servers,
    observer: &Observer,
    elapsed: Duration,
) -> anyhow::Result<Summary> {
    let deadline = Instant::now() + DRAIN;
    let mut last = observer.observe(servers, elapsed).await?;
    loop {
        tokio::time::sleep(REFRESH).await;
        let next = observer.observe(servers, elapsed).await?;
        let settled = next.published == last.published
            && next.persisted == last.persisted
            && next.messages == last.messages;
        last = next;
        if settled || Instant::now() >= deadline {
            return Ok(last);
        }
    }
}
