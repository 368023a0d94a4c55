use std::net::IpAddr;

use crypto_intel_api::{Config, Keys, LISTENS_ON, NewKey, PORT_PROBE, reader, run};
use crypto_intel_nats::Nats;
use crypto_intel_sandbox::{NatsServer, TestDatabase};
use crypto_intel_schemas::ApiRole;
use crypto_intel_service::Secret;
use crypto_intel_store::{Store, StoreConfig};
use crypto_intel_testkit::{Broker, RunningRole, connect_as, eventually};
use serde_json::Value;
use tokio_util::sync::CancellationToken;

/// A broker with the users that we ship and a migrated database.
pub(crate) struct Servers {
    pub(crate) broker: NatsServer,
    pub(crate) database: TestDatabase,
    /// May everything.
    pub(crate) nats: Nats,
    pub(crate) store: Store,
}

impl Servers {
    pub(crate) async fn start() -> Self {
        let (broker, database) = tokio::join!(Broker::start_with_users(), crate::server());
        let Broker { server: broker, nats } = broker;
        let database = database.unwrap();
        let config = store_config(database.url());
        let store = Store::connect(&config, &CancellationToken::new()).await.unwrap();
        store.migrate(false).await.unwrap();
        Self { broker, database, nats, store }
    }

    /// The API with this configuration, as its own user of NATS.
    pub(crate) async fn api(&self, config: Config) -> Api {
        let nats = connect_as(&self.broker, "api").await;
        self.api_with(config, nats, self.database.url()).await
    }

    pub(crate) async fn api_with(&self, config: Config, nats: Nats, database: &str) -> Api {
        let config = Config { listen: "127.0.0.1:0".parse().unwrap(), ..config };
        let store = reader(&config, &store_config(database)).unwrap();
        let role = RunningRole::start("api", |context| run(config, nats, store, context));
        role.until_healthy(PORT_PROBE).await;
        role.until_healthy("api.keys").await;
        let address = role.detail(PORT_PROBE);
        let address = address.strip_prefix(LISTENS_ON).unwrap();
        // The client asks for one, also where nothing is encrypted.
        let _ = rustls::crypto::ring::default_provider().install_default();
        Api { url: format!("http://{address}"), role, client: reqwest::Client::new() }
    }

    /// The API where everybody may everything.
    pub(crate) async fn open_api(&self) -> Api {
        let config = Config {
            anonymous_role: Some(ApiRole::Admin),
            anonymous_cost_per_minute: 1_000_000,
            ..Config::default()
        };
        self.api(config).await
    }

    /// A key that counts in this API already.
    pub(crate) async fn key(&self, api: &Api, role: ApiRole, chains: Option<&[&str]>) -> String {
        let keys = Keys::open(&self.nats).await.unwrap();
        let chains = chains.map(|chains| chains.iter().map(ToString::to_string).collect());
        let new = NewKey { name: format!("test {role}"), role, chains, lifetime: None };
        let (key, _) = keys.add(new).await.unwrap();
        let key = key.reveal().to_owned();
        // Each try from an address of its own: until it is known it counts as a wrong key.
        let mut place = 0_u8;
        eventually(async || {
            place = place.wrapping_add(1);
            let client = reqwest::Client::builder().local_address(IpAddr::from([127, 0, 1, place]));
            let request = client.build().unwrap().get(format!("{}/api/v1/me", api.url));
            answered(request.bearer_auth(&key)).await.status == 200
        })
        .await;
        key
    }
}

pub(crate) fn store_config(url: &str) -> StoreConfig {
    StoreConfig { url: Secret::new(url), ..StoreConfig::default() }
}

/// A running API.
pub(crate) struct Api {
    pub(crate) role: RunningRole,
    pub(crate) url: String,
    pub(crate) client: reqwest::Client,
}

/// An answer, read to its end.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) headers: reqwest::header::HeaderMap,
    pub(crate) body: Value,
}

impl Answer {
    pub(crate) fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", |value| value.to_str().unwrap())
    }

    /// The name of the problem that it is.
    pub(crate) fn problem(&self) -> &str {
        assert_eq!(self.header("content-type"), crypto_intel_api::PROBLEM_JSON, "{self:?}");
        let kind = self.body["type"].as_str().unwrap();
        kind.rsplit(['/', '#']).next().unwrap()
    }
}

impl Api {
    pub(crate) fn request(&self, method: &str, path: &str) -> reqwest::RequestBuilder {
        let method = reqwest::Method::from_bytes(method.as_bytes()).unwrap();
        self.client.request(method, format!("{}{path}", self.url))
    }

    pub(crate) async fn get(&self, path: &str) -> Answer {
        answered(self.request("GET", path)).await
    }

    pub(crate) async fn get_as(&self, key: &str, path: &str) -> Answer {
        answered(self.request("GET", path).bearer_auth(key)).await
    }
}

pub(crate) async fn answered(request: reqwest::RequestBuilder) -> Answer {
    let response = request.send().await.unwrap();
    let (status, headers) = (response.status().as_u16(), response.headers().clone());
    // Live events have no end.
    if headers.get("content-type").is_some_and(|it| it == "text/event-stream") {
        return Answer { status, headers, body: Value::Null };
    }
    let text = response.text().await.unwrap();
    Answer { status, headers, body: serde_json::from_str(&text).unwrap_or(Value::Null) }
}
