use std::{collections::BTreeMap, time::Duration};

use crypto_intel_nats::{Nats, NatsConfig, StreamOverride, Topology, TopologyConfig, connect};
use crypto_intel_persist::{Config, run};
use crypto_intel_sandbox::{NatsOptions, NatsServer, TestDatabase};
use crypto_intel_schemas::B256;
use crypto_intel_service::{Context, Secret};
use crypto_intel_store::{Store, StoreConfig};
use crypto_intel_testkit::{assert_same_set, eventually};
use tokio::task::JoinHandle;
use tokio_postgres::{Client, NoTls, Row};
use tokio_util::sync::CancellationToken;

use crate::chain::{Chain, Key};

pub(crate) const PATIENCE: Duration = Duration::from_secs(60);

/// Private servers, and as many persist instances as a test starts.
pub(crate) struct Rig {
    pub(crate) server: NatsServer,
    pub(crate) database: TestDatabase,
    pub(crate) nats: Nats,
}

/// A running persist.
pub(crate) struct Instance {
    pub(crate) context: Context,
    task: JoinHandle<anyhow::Result<()>>,
}

impl Instance {
    /// Asks it to stop and waits until it has.
    pub(crate) async fn stop(self) {
        self.context.shutdown.cancel();
        self.task.await.unwrap().unwrap();
    }

    /// Ends it where it stands.
    pub(crate) async fn kill(self) {
        self.task.abort();
        let _ended = self.task.await;
    }

    /// Value of a counter or gauge, summed over its labels.
    pub(crate) fn metric(&self, name: &str) -> f64 {
        let name = format!("crypto_intel_persist_{name}");
        let families = self.context.registry.gather();
        let family = families.iter().find(|family| family.name() == name);
        family.map_or(0.0, |family| {
            family
                .get_metric()
                .iter()
                .map(|metric| match metric.get_histogram().get_sample_count() {
                    0 => metric.get_counter().get_value() + metric.get_gauge().get_value(),
                    samples => samples as f64,
                })
                .sum()
        })
    }

    /// Whether something that does not progress gives this reason.
    pub(crate) fn tells(&self, reason: &str) -> bool {
        let report = self.context.health.report();
        report.probes.iter().any(|probe| !probe.healthy && probe.detail.contains(reason))
    }

    pub(crate) fn is_ready(&self) -> bool {
        self.context.health.report().ready
    }
}

impl Rig {
    pub(crate) async fn start() -> Self {
        let (server, database) =
            tokio::join!(NatsServer::start(NatsOptions::default()), crate::server());
        let (server, database) = (server.unwrap(), database.unwrap());
        let nats = client(&server, "test").await;
        topology().apply(&nats, false).await.unwrap();
        let rig = Self { server, database, nats };
        rig.store().await.migrate(false).await.unwrap();
        rig
    }

    pub(crate) async fn store(&self) -> Store {
        store(self.database.url()).await
    }

    pub(crate) async fn persist(&self, instance: &str) -> Instance {
        self.persist_with(instance, Config::default()).await
    }

    pub(crate) async fn persist_with(&self, instance: &str, config: Config) -> Instance {
        self.start_instance(instance, config, self.store().await).await
    }

    /// Persist as another user of the database.
    pub(crate) async fn persist_as(&self, instance: &str, url: &str) -> Instance {
        self.start_instance(instance, Config::default(), store(url).await).await
    }

    async fn start_instance(&self, instance: &str, config: Config, store: Store) -> Instance {
        let nats = client(&self.server, instance).await;
        let context = Context::new(instance);
        let task = tokio::spawn(run(config, nats, store, context.clone()));
        Instance { context, task }
    }

    pub(crate) async fn sql(&self) -> Client {
        eventually(PATIENCE, async || {
            let connected = tokio_postgres::connect(self.database.url(), NoTls).await;
            connected.map(|(client, connection)| {
                tokio::spawn(connection);
                client
            })
        })
        .await
    }

    pub(crate) async fn query(&self, sql: &str) -> Vec<Row> {
        eventually(PATIENCE, async || self.sql().await.query(sql, &[]).await).await
    }

    pub(crate) async fn number(&self, sql: &str) -> i64 {
        self.query(sql).await[0].get(0)
    }

    /// Waits until everything in the stream has been applied.
    pub(crate) async fn settled(&self, stream: &str) {
        let state = self.nats.stream_state(stream).await.unwrap();
        let sql = format!("SELECT max(sequence) FROM positions WHERE stream = '{stream}'");
        eventually(PATIENCE, async || {
            let rows = self.query(&sql).await;
            rows[0].get::<_, Option<i64>>(0) == Some(state.last_sequence.cast_signed())
        })
        .await;
    }

    pub(crate) async fn stored_transfers(&self) -> Vec<Key> {
        self.query("SELECT block_hash, log_index FROM token_transfers WHERE standard = 'erc20'")
            .await
            .iter()
            .map(|row| (B256::from_slice(row.get(0)), row.get(1)))
            .collect()
    }

    /// Live has one block 3; history, later, a repaired one, which takes its place, and block 2 once more, known as it is.
    /// What is stored then; persist has to run.
    pub(crate) async fn repaired_by_history(&self) -> Chain {
        let mut chain = Chain::new("base");
        chain.play(&self.nats, 2, 3).await;
        let mut fork = chain.fork();
        chain.play(&self.nats, 1, 7).await;
        self.settled("EVM").await;
        let repaired = fork.grow(2);
        fork.in_history().publish(&self.nats, &repaired).await;
        self.settled("HISTORY").await;
        self.assert_stored(&[&fork]).await;
        fork
    }

    /// Tables and chains agree: no row missing, none twice, none of a block that left, one canonical block per height.
    pub(crate) async fn assert_stored(&self, chains: &[&Chain]) {
        let expected = chains.iter().flat_map(|chain| chain.transfers());
        assert_same_set(expected, self.stored_transfers().await);
        let canonical = self.query("SELECT block_hash FROM blocks WHERE canonical").await;
        assert_same_set(
            chains.iter().flat_map(|chain| chain.hashes()),
            canonical.iter().map(|row| B256::from_slice(row.get(0))),
        );
        let gas = self.query("SELECT block_hash FROM block_gas").await;
        assert_same_set(
            chains.iter().flat_map(|chain| chain.hashes()),
            gas.iter().map(|row| B256::from_slice(row.get(0))),
        );
        for table in ["token_transfers", "native_transfers", "approvals", "logs"] {
            let orphans = format!(
                "SELECT count(*) FROM {table} LEFT JOIN blocks \
                 USING (chain, block_number, block_hash) WHERE canonical IS NOT TRUE"
            );
            assert_eq!(self.number(&orphans).await, 0, "{table} holds rows of dropped blocks");
        }
        let blocks: i64 = self.number("SELECT count(*) FROM blocks WHERE canonical").await;
        for table in ["native_transfers", "approvals", "logs"] {
            let sql = format!("SELECT count(*) FROM {table}");
            assert_eq!(self.number(&sql).await, blocks, "one row of each other kind per block");
        }
    }
}

async fn store(url: &str) -> Store {
    let config = StoreConfig { url: Secret::new(url), ..StoreConfig::default() };
    Store::connect(&config, &CancellationToken::new()).await.unwrap()
}

pub(crate) async fn client(server: &NatsServer, name: &str) -> Nats {
    let config =
        NatsConfig { url: server.url().into(), request_timeout_ms: 3_000, ..NatsConfig::default() };
    connect(&config, name, &CancellationToken::new()).await.unwrap()
}

/// Our streams, small enough for any disk.
pub(crate) fn topology() -> Topology {
    let topology = Topology::embedded().unwrap();
    let names: Vec<String> = topology.stream_names().into_iter().map(ToOwned::to_owned).collect();
    let small = |name: String| {
        (name, StreamOverride { max_bytes: Some(128 << 20), ..StreamOverride::default() })
    };
    let streams: BTreeMap<_, _> = names.into_iter().map(small).collect();
    topology.with_config(&TopologyConfig { replicas: None, streams }).unwrap()
}
