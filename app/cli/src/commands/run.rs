//! `crypto-intel run [ROLE…]`

use std::{process::ExitCode, sync::Arc, time::Duration};

use anyhow::{Context as _, bail};
use crypto_intel_nats::{Difference, Nats};
use crypto_intel_service::{
    ConfigError, Context, Restart, Supervisor, init_telemetry, serve_admin, wait_for_signal,
};
use crypto_intel_store::Store;

use crate::{
    args::{Arguments, RunArguments},
    config::AppConfig,
    observe,
    roles::Role,
};

/// How long roles may take to finish work under way.
const STOP_TIMEOUT: Duration = Duration::from_secs(20);

pub(crate) async fn run(arguments: &Arguments, options: &RunArguments) -> anyhow::Result<ExitCode> {
    let mut config = AppConfig::load(arguments)?;
    if let Some(timeout) = options.start_timeout {
        config.nats.start_timeout_seconds = timeout.as_secs().max(1);
        config.database.start_timeout_seconds = timeout.as_secs().max(1);
    }
    let roles = chosen_roles(&config, &options.roles)?;
    config.require_secrets(&sections(&roles))?;
    let problems: Vec<String> = roles.iter().flat_map(|role| config.problems_of(*role)).collect();
    if !problems.is_empty() {
        // Retrying does not correct a configuration.
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
    require_streams(&config, &roles, &nats).await?;
    observe::start(&config, &roles, &nats, &context)?;
    let mut supervisor = Supervisor::new(context.clone());
    spawn_roles(&mut supervisor, &roles, Arc::new(config), &nats, None);
    let outcome = supervisor.wait(STOP_TIMEOUT).await;
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
            run_role(role, Arc::clone(&config), nats.clone(), store.clone(), context)
        });
    }
}

/// Runs a role to its end; one with a user of the database connects itself where no `store` is given.
async fn run_role(
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
        Role::Api => {
            // Its own connections: what it is asked must not wait for what is written, nor the other way round.
            let store = crypto_intel_api::reader(&config.api, &config.database)?;
            let api = crypto_intel_api::Config { poll: config.poll.clone(), ..config.api.clone() };
            crypto_intel_api::run(api, nats, store, context).await
        }
    }
}

/// The sections whose secrets the roles need.
fn sections(roles: &[Role]) -> Vec<&'static str> {
    let own = roles.iter().map(|role| role.spec().section);
    let has_database = roles.iter().any(|role| role.spec().database_user.is_some());
    own.chain(["nats"]).chain(has_database.then_some("database")).collect()
}

/// The database of persist, the only role that waits for it and fails without it.
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
        .map(|role| format!("role {} has nothing to do: {}", role.name(), role.spec().enable))
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

/// Roles never create or change streams: a wrong server or a forgotten step is reported at the start.
/// Only their own streams are compared, as their users may.
async fn require_streams(config: &AppConfig, roles: &[Role], nats: &Nats) -> anyhow::Result<()> {
    let specs: Vec<_> = roles.iter().map(|role| role.spec()).collect();
    let topology = config.topology()?.of_roles(&specs);
    let differences = topology.diff(nats).await.context("compare the streams")?;
    let missing = Difference::missing(&differences);
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
