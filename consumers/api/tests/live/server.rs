//! A running API without a database.

use crypto_intel_api::{Config, Keys, LISTENS_ON, LiveConfig, NewKey, PORT_PROBE, reader, run};
use crypto_intel_nats::Nats;
use crypto_intel_schemas::ApiRole;
use crypto_intel_service::Secret;
use crypto_intel_store::StoreConfig;
use crypto_intel_testkit::{Broker, RunningRole};

/// Nothing listens there.
const NO_DATABASE: &str = "postgres://nobody@127.0.0.1:1/none";
/// Followed streams.
const STREAMS: [&str; 6] = ["evm", "market", "signals", "status", "alert", "notify"];

/// A running API.
pub(crate) struct Api {
    pub(crate) role: RunningRole,
    pub(crate) address: String,
}

impl Api {
    /// Where everybody may see everything, with these bounds.
    pub(crate) async fn open(nats: &Nats, live: LiveConfig) -> Self {
        let live = LiveConfig { max_connections_per_address: 1_000, ..live };
        let config = Config { anonymous_role: Some(ApiRole::Admin), live, ..Config::default() };
        Self::with(nats, config).await
    }

    pub(crate) async fn with(nats: &Nats, config: Config) -> Self {
        let config = Config {
            listen: "127.0.0.1:0".parse().unwrap(),
            anonymous_cost_per_minute: 1_000_000,
            ..config
        };
        let database = StoreConfig { url: Secret::new(NO_DATABASE), ..StoreConfig::default() };
        let store = reader(&config, &database).unwrap();
        let nats = nats.clone();
        let role = RunningRole::start("api", |context| run(config, nats, store, context));
        role.until_healthy(PORT_PROBE).await;
        role.until_healthy("api.keys").await;
        for stream in STREAMS {
            role.until_healthy(&format!("api.live.{stream}")).await;
        }
        let address = role.detail(PORT_PROBE);
        let address = address.strip_prefix(LISTENS_ON).unwrap().to_owned();
        Self { role, address }
    }

    pub(crate) fn socket(&self) -> String {
        format!("ws://{}/ws", self.address)
    }

    pub(crate) fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }

    /// A live metric.
    pub(crate) fn metric(&self, name: &str, labels: &[&str]) -> f64 {
        self.role.metric(&format!("crypto_intel_api_live_{name}"), labels)
    }
}

/// A client for plain requests.
pub(crate) fn http() -> reqwest::Client {
    // Fails where another test of this process was first.
    let _ = rustls::crypto::ring::default_provider().install_default();
    reqwest::Client::new()
}

/// A key of this role.
pub(crate) async fn key(broker: &Broker, role: ApiRole, chains: Option<&[&str]>) -> String {
    let keys = Keys::open(&broker.nats).await.unwrap();
    let chains = chains.map(|chains| chains.iter().map(ToString::to_string).collect());
    let new = NewKey { name: format!("test {role}"), role, chains, lifetime: None };
    keys.add(new).await.unwrap().0.reveal().to_owned()
}
