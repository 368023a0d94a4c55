#![doc = include_str!("../README.md")]

mod auth;
mod change;
mod config;
mod cursor;
mod departure;
mod export;
mod graph;
mod guard;
mod layers;
mod limits;
mod live;
mod memo;
mod metrics;
mod openapi;
mod page;
mod parameters;
mod places;
mod problem;
mod role;
mod routes;
mod server;
mod sources;
mod state;
mod tokens;
mod web;

use std::{sync::Arc, time::Duration};

use anyhow::Context as _;
use crypto_intel_nats::Nats;
use crypto_intel_service::{Context, unless_stopped};
use crypto_intel_store::{ReadLimits, Store, StoreConfig};
use tokio::task::JoinSet;

pub use auth::{
    jwt::config::{JwtAlgorithm, JwtConfig},
    key::ApiKey,
    keys::{Keys, NewKey},
    scopes::Scope,
    sessions::{LoginCode, login_code},
};
pub use config::Config;
pub use live::config::LiveConfig;
pub use problem::PROBLEM_JSON;
pub use role::ROLE;

use crate::{auth::keys::KeyRing, state::ApiState};

/// The probe that reports the port.
pub const PORT_PROBE: &str = "api.port";
/// What it reports before the address.
pub const LISTENS_ON: &str = "listens on ";

/// How often `/ready` looks whether the database answers.
const DATABASE_CHECK_INTERVAL: Duration = Duration::from_secs(5);
/// How long changes whose clients went away may take when the process stops.
const CHANGES_TIMEOUT: Duration = Duration::from_secs(5);

/// The connections of the API to a database: its own, and unable to write.
///
/// # Errors
/// When the address of the database is malformed.
pub fn reader(config: &Config, database: &StoreConfig) -> anyhow::Result<Store> {
    let limits = ReadLimits {
        pool_size: config.pool_size,
        statement_timeout: Duration::from_millis(config.statement_timeout_ms),
        wait: Duration::from_millis(config.pool_wait_ms),
    };
    Store::reader(database, limits).context("read database.url")
}

/// Serves the API until shutdown; `store` is what [`reader`] made. While the database or the broker is away, what needs them is
/// answered with 503.
///
/// # Errors
/// When the port cannot be taken, or metrics cannot be registered.
pub async fn run(config: Config, nats: Nats, store: Store, context: Context) -> anyhow::Result<()> {
    let keys = KeyRing::default();
    let stop = context.shutdown.clone();
    let key_probe = context.health.probe("api.keys", None);
    let database_probe = context.health.probe("api.database", None);
    let port_probe = context.health.probe(PORT_PROBE, None);
    let mut tasks = JoinSet::new();
    tasks.spawn(keys.ring.clone().follow(nats.clone(), key_probe, stop.clone()));
    let session_probe = context.health.probe("api.sessions", None);
    let (broker, ended) = (nats.clone(), stop.clone());
    let looked_at = store.clone();
    tasks.spawn(async move {
        loop {
            match looked_at.probe().await {
                Ok(()) => database_probe.healthy("answers"),
                Err(error) => database_probe.unhealthy(format!("{error:#}")),
            }
            unless_stopped(&stop, tokio::time::sleep(DATABASE_CHECK_INTERVAL)).await?;
        }
    });
    let state =
        ApiState::new(config, nats, store, keys, context.clone()).context("register metrics")?;
    let book = state.clone();
    let (token_broker, token_stop) = (broker.clone(), ended.clone());
    tasks.spawn(async move { book.tokens.follow(&token_broker, &token_stop).await });
    tasks.spawn(state.sessions.ring.clone().follow(broker, session_probe, ended));
    let live = Arc::clone(&state.live);
    let changes = state.changes.clone();
    live.follow(&context, &mut tasks);
    let (address, server) = server::serve(state).await?;
    tracing::info!(%address, docs = %format!("http://{address}/docs/"), "serving the API");
    port_probe.healthy(format!("{LISTENS_ON}{address}"));
    server.await;
    changes.close();
    let _ = tokio::time::timeout(CHANGES_TIMEOUT, changes.wait()).await;
    live.close().await;
    Ok(())
}

/// The description of the API as it is served.
///
/// # Errors
/// When it cannot be written as JSON.
pub fn description() -> anyhow::Result<serde_json::Value> {
    let (_, openapi) = server::described().split_for_parts();
    openapi::whole(&openapi)
}

/// Every described route: its method, its path, and the scope that it needs.
#[must_use]
pub fn described_routes() -> Vec<(String, String, String)> {
    let (_, openapi) = server::described().split_for_parts();
    guard::scopes(&openapi)
}

/// The description of subjects and of the websocket's messages, as AsyncAPI; its schemas of events are files in `schemas/json`.
#[must_use]
pub fn live_description() -> serde_json::Value {
    live::asyncapi::document()
}
