use crypto_intel_nats::Nats;
use crypto_intel_persist::{Config, run};
use crypto_intel_sandbox::{NatsServer, TestDatabase};
use crypto_intel_schemas::B256;
use crypto_intel_service::Secret;
use crypto_intel_store::{Store, StoreConfig};
use crypto_intel_testkit::{
    Broker, RunningRole, assert_same_set, connect_to, eventually, try_sql_client,
};
use tokio_postgres::{Client, Row};
use tokio_util::sync::CancellationToken;

use crate::chain::{Chain, Key};

/// A broker and a migrated database, and as many persist instances as a test starts.
pub(crate) struct Servers {
    pub(crate) broker: NatsServer,
    pub(crate) database: TestDatabase,
    pub(crate) nats: Nats,
}

impl Servers {
    pub(crate) async fn start() -> Self {
        let (broker, database) = tokio::join!(Broker::start(), crate::server());
        let Broker { server: broker, nats } = broker;
        let servers = Self { broker, database: database.unwrap(), nats };
        servers.store().await.migrate(false).await.unwrap();
        servers
    }

    pub(crate) async fn store(&self) -> Store {
        store(self.database.url()).await
    }

    pub(crate) async fn persist(&self, instance: &str) -> RunningRole {
        self.persist_with(instance, Config::default()).await
    }

    pub(crate) async fn persist_with(&self, instance: &str, config: Config) -> RunningRole {
        self.start_persist(instance, config, self.store().await).await
    }

    /// Starts persist as another user of the database.
    pub(crate) async fn persist_as(&self, instance: &str, url: &str) -> RunningRole {
        self.start_persist(instance, Config::default(), store(url).await).await
    }

    async fn start_persist(&self, instance: &str, config: Config, store: Store) -> RunningRole {
        let nats = connect_to(self.broker.url(), instance).await;
        RunningRole::start(instance, |context| run(config, nats, store, context))
    }

    pub(crate) async fn sql(&self) -> Client {
        eventually(async || try_sql_client(self.database.url()).await).await
    }

    pub(crate) async fn query(&self, sql: &str) -> Vec<Row> {
        eventually(async || self.sql().await.query(sql, &[]).await).await
    }

    pub(crate) async fn number(&self, sql: &str) -> i64 {
        self.query(sql).await[0].get(0)
    }

    /// Waits until everything in the stream has been applied.
    pub(crate) async fn settled(&self, stream: &str) {
        let state = self.nats.stream_state(stream).await.unwrap();
        let sql = format!("SELECT max(sequence) FROM positions WHERE stream = '{stream}'");
        eventually(async || {
            let rows = self.query(&sql).await;
            rows[0].get::<_, Option<i64>>(0) == Some(state.last_sequence.cast_signed())
        })
        .await;
    }

    /// Waits until an instance applied so many messages, or has none left; the next one waits for the lease of a dead one.
    pub(crate) async fn applied_or_idle(&self, persist: &RunningRole, messages: u32) {
        eventually(async || {
            persist.metric("crypto_intel_persist_applied_total", &[]) >= f64::from(messages)
                || persist.metric("crypto_intel_persist_lag_messages", &[]) == 0.0
                    && persist.is_ready()
        })
        .await;
    }

    pub(crate) async fn stored_transfers(&self) -> Vec<Key> {
        // Rows that name no canonical block have no hash, and so are no transfer of any chain.
        self.query("SELECT coalesce(block_hash, ''), log_index FROM v_token_transfers WHERE standard = 'erc20'")
            .await
            .iter()
            .map(|row| (B256::try_from(row.get::<_, &[u8]>(0)).unwrap_or_default(), row.get(1)))
            .collect()
    }

    /// The live lane has a block 3, and history later a repaired one, which replaces it. Returns the chain that must be stored
    /// then; persist has to be running.
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

    /// Tables and chains agree: no row missing, duplicated or of a block that left, and one canonical block per height.
    pub(crate) async fn assert_stored(&self, chains: &[&Chain]) {
        let expected = chains.iter().flat_map(|chain| chain.transfers());
        assert_same_set(expected, self.stored_transfers().await);
        let canonical = self.query("SELECT block_hash FROM blocks WHERE canonical").await;
        assert_same_set(
            chains.iter().flat_map(|chain| chain.hashes()),
            canonical.iter().map(|row| B256::from_slice(row.get(0))),
        );
        let gas = "SELECT block_hash FROM block_gas JOIN blocks USING (chain, block_number) \
                   WHERE block_gas.block_tag = block_tag(block_hash)";
        let gas = self.query(gas).await;
        assert_same_set(
            chains.iter().flat_map(|chain| chain.hashes()),
            gas.iter().map(|row| B256::from_slice(row.get(0))),
        );
        for table in ["token_transfers", "native_transfers", "approvals", "logs"] {
            let orphans = format!(
                "SELECT count(*) FROM {table} LEFT JOIN blocks ON blocks.chain = {table}.chain \
                 AND blocks.block_number = {table}.block_number AND block_tag(block_hash) = block_tag \
                 WHERE canonical IS NOT TRUE"
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

pub(crate) async fn store(url: &str) -> Store {
    let config = StoreConfig { url: Secret::new(url), ..StoreConfig::default() };
    Store::connect(&config, &CancellationToken::new()).await.unwrap()
}
