//! Private servers, and the binary that runs against them.

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
    process::{Command, Output, Stdio},
};

use alloy_primitives::{B256, U256, keccak256};
use crypto_intel_nats::Topology;
use crypto_intel_sandbox::{
    ChatLimits, ChatOptions, ChatServer, NatsOptions, NatsServer, Postgres, PostgresOptions,
};
use crypto_intel_testkit::{TestProcess, try_sql_client};
use serde_json::Value;
use tempfile::TempDir;
use tokio_postgres::Row;

/// Block hash and log index of a log, by which events and rows are compared.
pub(crate) type LogKey = (B256, i32);

/// Folder of PostgreSQL's client programs beside the configuration: `PATH` may have none.
const POSTGRES_CLIENTS: &str = "postgresql";

/// The servers of one test, and a configuration that names them.
pub(crate) struct Servers {
    pub(crate) nats: NatsServer,
    pub(crate) postgres: Postgres,
    pub(crate) chat: ChatServer,
    pub(crate) database_url: String,
    folder: TempDir,
}

impl Servers {
    /// Starts servers, writes a configuration with `settings` (TOML) added, creates streams and tables.
    pub(crate) async fn start(settings: &str) -> Self {
        let nats = NatsServer::start(NatsOptions::default()).await.unwrap();
        let postgres = Postgres::start(PostgresOptions::default()).await.unwrap();
        let database_url = postgres.create_database("pipeline").await.unwrap();
        let options = ChatOptions { limits: ChatLimits::Relaxed, ..ChatOptions::default() };
        let chat = ChatServer::start(options).await.unwrap();
        let folder = tempfile::tempdir().unwrap();
        postgres.tools().write_clients(&folder.path().join(POSTGRES_CLIENTS)).unwrap();
        let servers = Self { nats, postgres, chat, database_url, folder };
        servers.configure(settings);
        servers.succeed(&["streams", "apply"]);
        servers.succeed(&["migrate"]);
        servers
    }

    /// New, empty servers in place of the old ones, as after the loss of everything.
    pub(crate) async fn lose_everything(&mut self, settings: &str) {
        self.nats = NatsServer::start(NatsOptions::default()).await.unwrap();
        self.postgres = Postgres::start(PostgresOptions::default()).await.unwrap();
        self.database_url = self.postgres.create_database("pipeline").await.unwrap();
        self.configure(settings);
    }

    /// Rewrites the configuration.
    pub(crate) fn configure(&self, settings: &str) {
        let text = format!(
            "[nats]\nurl = \"{}\"\n[database]\nurl = \"{}\"\n[admin]\nlisten = \"127.0.0.1:0\"\n[poll]\nenabled = false\n[streams.streams]\n{}\n{settings}\n",
            self.nats.url(),
            self.database_url,
            small_streams(),
        );
        std::fs::write(self.config(), text).unwrap();
    }

    pub(crate) fn config(&self) -> PathBuf {
        self.folder.path().join("crypto-intel.toml")
    }

    pub(crate) fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// Two destinations in the chat stand-in, for the configuration.
    pub(crate) fn destinations(chat: &ChatServer) -> String {
        format!(
            "[notify.destinations.ops]\nchannel = \"telegram\"\napi_url = \"{}\"\ntoken = \"100:test\"\nchat_id = 42\n\
             policy = {{ limits = [{{ messages = 100, per_ms = 1000 }}], digest_above = 0 }}\n\
             [notify.destinations.desk]\nchannel = \"discord\"\nwebhook_url = \"{}\"\n\
             policy = {{ limits = [{{ messages = 100, per_ms = 1000 }}], digest_above = 0 }}\n",
            chat.url(),
            chat.discord_webhook_url("7", "secret")
        )
    }

    /// Runs a command of the binary to its end.
    pub(crate) fn command(&self, arguments: &[&str]) -> Output {
        binary(&self.config()).args(arguments).output().unwrap()
    }

    /// Runs a command that must succeed: its standard output.
    pub(crate) fn succeed(&self, arguments: &[&str]) -> String {
        let output = self.command(arguments);
        assert!(
            output.status.success(),
            "{arguments:?}: {}\n{}",
            output.status,
            String::from_utf8_lossy(&output.stderr)
        );
        String::from_utf8(output.stdout).unwrap()
    }

    /// Starts `crypto-intel run`.
    pub(crate) fn run(&self, roles: &[&str]) -> TestProcess {
        let log = std::fs::File::options()
            .create(true)
            .append(true)
            .open(self.folder.path().join("run.log"))
            .unwrap();
        let child = binary(&self.config())
            .arg("run")
            .args(roles)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(log)
            .spawn()
            .unwrap();
        TestProcess::of(child)
    }

    /// The last lines that processes of this test logged, for the message of a failure.
    pub(crate) fn log_tail(&self) -> String {
        let text = std::fs::read_to_string(self.folder.path().join("run.log")).unwrap_or_default();
        let lines: Vec<&str> = text.lines().collect();
        lines[lines.len().saturating_sub(25)..].join("\n")
    }

    /// Every stored ERC-20 transfer. A key that is stored twice occurs twice, so that comparisons notice it.
    pub(crate) async fn stored_transfers(&self) -> Vec<LogKey> {
        self.try_stored_transfers().await.unwrap()
    }

    /// The same while the database may be down.
    pub(crate) async fn try_stored_transfers(&self) -> Result<Vec<LogKey>, tokio_postgres::Error> {
        let client = try_sql_client(&self.database_url).await?;
        let rows = client
            .query(
                // A row of no canonical block has no hash, and so is no transfer of the chain.
                "SELECT coalesce(block_hash, ''), log_index FROM v_token_transfers WHERE standard = 'erc20'",
                &[],
            )
            .await?;
        let key = |row: &Row| {
            let hash = B256::try_from(row.get::<_, &[u8]>(0)).unwrap_or_default();
            (hash, row.get(1))
        };
        Ok(rows.iter().map(key).collect())
    }
}

/// Small limits, because JetStream reserves the limit of each stream on the disk.
pub(crate) fn small_streams() -> String {
    let topology = Topology::embedded().unwrap();
    let line = |name: &&str| format!("{name} = {{ max_bytes = {} }}", 256 << 20);
    topology.stream_names().iter().map(line).collect::<Vec<_>>().join("\n")
}

/// The binary with this configuration, without environment variables that would override it.
pub(crate) fn binary(config: &Path) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_crypto-intel"));
    for (name, _) in std::env::vars().filter(|(name, _)| name.starts_with("CRYPTO_INTEL__")) {
        command.env_remove(name);
    }
    let clients = config.with_file_name(POSTGRES_CLIENTS);
    let path = std::env::var_os("PATH").unwrap_or_default();
    let path = std::iter::once(clients).chain(std::env::split_paths(&path));
    command.env("PATH", std::env::join_paths(path).unwrap());
    command.arg("--config").arg(config);
    command
}

/// The ERC-20 transfers in a node's own logs: the topic, two indexed addresses, 32 bytes of data.
pub(crate) fn erc20_keys(logs: &[Value]) -> Vec<LogKey> {
    let topic = keccak256("Transfer(address,address,uint256)").to_string();
    logs.iter()
        .filter(|log| {
            let topics = log["topics"].as_array().unwrap();
            topics.len() == 3
                && topics[0].as_str() == Some(topic.as_str())
                && log["data"].as_str().unwrap().len() == 2 + 64
        })
        .map(|log| {
            (log["blockHash"].as_str().unwrap().parse().unwrap(), number(&log["logIndex"]) as i32)
        })
        .collect()
}

/// `0x…` as a number.
pub(crate) fn number(value: &Value) -> u64 {
    u64::from_str_radix(value.as_str().unwrap().trim_start_matches("0x"), 16).unwrap()
}

/// Transaction and amount of each ERC-20 transfer.
pub(crate) fn amounts(logs: &[Value]) -> BTreeMap<LogKey, (String, U256)> {
    let keys = erc20_keys(logs);
    logs.iter()
        .filter_map(|log| {
            let key = (log["blockHash"].as_str()?.parse().ok()?, number(&log["logIndex"]) as i32);
            let amount =
                U256::from_str_radix(log["data"].as_str()?.trim_start_matches("0x"), 16).ok()?;
            keys.contains(&key)
                .then(|| (key, (log["transactionHash"].as_str().unwrap().to_owned(), amount)))
        })
        .collect()
}
