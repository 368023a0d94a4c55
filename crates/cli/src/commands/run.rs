//! `crypto-intel run [ROLE…]`

use std::{process::ExitCode, sync::Arc, time::Duration};

use anyhow::{Context as _, bail};
use crypto_intel_nats::Nats;
use crypto_intel_service::{
    ConfigError, Context, Restart, Supervisor, init_telemetry, serve_admin, wait_for_signal,
};
use crypto_intel_store::Store;

use super::streams::topology;
use crate::{AppConfig, Arguments, Role, RunArguments};

/// How long roles may take to finish what is under way.
const GRACE: Duration = Duration::from_secs(20);

pub(crate) async fn run(arguments: &Arguments, options: &RunArguments) -> anyhow::Result<ExitCode> {
    let mut config = AppConfig::load(arguments)?;
    if let Some(timeout) = options.start_timeout {
        config.nats.start_timeout_seconds = timeout.as_secs().max(1);
        config.database.start_timeout_seconds = timeout.as_secs().max(1);
    }
    let roles = chosen_roles(&config, &options.roles)?;
    let problems: Vec<String> = roles.iter().flat_map(|role| config.problems_of(*role)).collect();
    if !problems.is_empty() {
        // Waiting mends no configuration: better to end than to fail in a loop.
        return Err(ConfigError { problems }.into());
    }
    init_telemetry(&config.telemetry)?;
    let names: Vec<&str> = roles.iter().map(|role| role.name()).collect();
    tracing::info!(version = env!("CARGO_PKG_VERSION"), roles = names.join(","), "starting");
    super::rules::warn_of_unmatched(&config);

    let context = Context::new(instance_name());
    tokio::spawn(wait_for_signal(context.shutdown.clone()));
    let (address, admin) = serve_admin(config.admin.listen, context.clone()).await?;
    tracing::info!(%address, "serving /live, /ready and /metrics");
    let admin = tokio::spawn(admin);

    let nats = crypto_intel_nats::connect(&config.nats, &names.join("-"), &context.shutdown)
        .await
        .context("connect to NATS")?;
    require_streams(&config, &nats).await?;
    let mut supervisor = Supervisor::new(context.clone());
    spawn_roles(&mut supervisor, &roles, Arc::new(config), &nats, None);
    let outcome = supervisor.wait(GRACE).await;
    context.shutdown.cancel();
    admin.await.context("join the admin server")??;
    outcome.map(|()| ExitCode::SUCCESS)
}

/// Starts roles under a supervisor; persist connects to its database itself where no `store` is given.
pub(crate) fn spawn_roles(
    supervisor: &mut Supervisor,
    roles: &[Role],
    config: Arc<AppConfig>,
    nats: &Nats,
    store: Option<Store>,
) {
    for role in roles.iter().copied() {
        let (config, nats, store) = (Arc::clone(&config), nats.clone(), store.clone());
        supervisor.spawn(role.name(), Restart::WithBackoff, move |context| {
            start(role, Arc::clone(&config), nats.clone(), store.clone(), context)
        });
    }
}

async fn start(
    role: Role,
    config: Arc<AppConfig>,
    nats: Nats,
    store: Option<Store>,
    context: Context,
) -> anyhow::Result<()> {
    match role {
        Role::Evm => crypto_intel_evm::run(config.evm.clone(), nats, context).await,
        Role::Poll => crypto_intel_poll::run(config.poll.clone(), nats, context).await,
        Role::Persist => {
            let store = match store {
                Some(store) => store,
                None => database(&config, &context).await?,
            };
            crypto_intel_persist::run(config.persist.clone(), nats, store, context).await
        }
        Role::Alerts => crypto_intel_alerts::run(config.alerts.clone(), nats, context).await,
        Role::Notify => crypto_intel_notify::run(config.notify.clone(), nats, context).await,
    }
}

/// The database of persist, which alone waits for it and fails without it.
async fn database(config: &AppConfig, context: &Context) -> anyhow::Result<Store> {
    let probe = context.health.probe("persist.database", None);
    probe.unhealthy("connecting to the database");
    Store::connect(&config.database, &context.shutdown).await.context("connect to the database")
}

fn chosen_roles(config: &AppConfig, named: &[Role]) -> Result<Vec<Role>, ConfigError> {
    let enabled = config.enabled_roles();
    let missing: Vec<String> = named
        .iter()
        .filter(|role| !enabled.contains(role))
        .map(|role| format!("role {} has nothing to do: {}", role.name(), mend(*role)))
        .collect();
    if !missing.is_empty() {
        return Err(ConfigError { problems: missing });
    }
    let roles: Vec<Role> = if named.is_empty() {
        enabled
    } else {
        Role::ALL.into_iter().filter(|role| named.contains(role)).collect()
    };
    if roles.is_empty() {
        let problem =
            "nothing is configured: `crypto-intel init` writes a configuration to start from";
        return Err(ConfigError { problems: vec![problem.to_owned()] });
    }
    Ok(roles)
}

fn mend(role: Role) -> &'static str {
    match role {
        Role::Evm => "configure a chain under [evm.chains.NAME]",
        Role::Poll => "enable a provider under [poll.providers.NAME]",
        Role::Persist => "set database.url",
        Role::Alerts => "name rule files in alerts.rules",
        Role::Notify => "configure a destination under [notify.destinations.NAME]",
    }
}

/// Roles never make or change streams: a wrong server or a forgotten step is said at start.
async fn require_streams(config: &AppConfig, nats: &Nats) -> anyhow::Result<()> {
    let differences = match topology(config)?.diff(nats).await {
        Ok(differences) => differences,
        Err(error) => {
            // A role's own NATS user need not be allowed to read every stream's configuration.
            tracing::info!(error = %format!("{:#}", anyhow::Error::from(error)), "streams were not compared");
            return Ok(());
        }
    };
    let missing: Vec<&str> = differences
        .iter()
        .filter(|difference| difference.is_missing())
        .map(|difference| difference.object.as_str())
        .collect();
    if !missing.is_empty() {
        bail!("the NATS server lacks {}: run `crypto-intel streams apply`", missing.join(", "));
    }
    for difference in differences {
        tracing::warn!(
            object = difference.object,
            field = difference.field,
            wanted = %difference.wanted,
            found = %difference.found,
            "stream differs from this version: `crypto-intel streams apply`"
        );
    }
    Ok(())
}

/// Unique among instances, and readable: host, process, start time.
pub(crate) fn instance_name() -> String {
    let host = std::fs::read_to_string("/etc/hostname").unwrap_or_default();
    let host: String =
        host.trim().chars().filter(|c| c.is_ascii_alphanumeric() || *c == '-').take(24).collect();
    let host = if host.is_empty() { "host".to_owned() } else { host };
    let started = crypto_intel_service::now_us() / 1_000;
    format!("{host}-{}-{:x}", std::process::id(), started & 0xff_ffff)
}
