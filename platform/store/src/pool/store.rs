use std::{
    fmt,
    time::{Duration, Instant},
};

use crypto_intel_service::{Backoff, unless_stopped};
use deadpool::managed::QueueMode;
use deadpool_postgres::{Manager, ManagerConfig, Object, Pool, RecyclingMethod, Runtime};
use tokio_postgres::{Config, NoTls, config::SslMode, error::SqlState};
use tokio_postgres_rustls::MakeRustlsConnect;
use tokio_util::sync::CancellationToken;

use super::{address, config::StoreConfig, edition::Edition, schema_name::SchemaName, tls};
use crate::{
    error::{ErrorClass, StoreError, classify, describe},
    hint::hint,
};

const CONNECT_BACKOFF: Backoff =
    Backoff { first: Duration::from_millis(100), longest: Duration::from_secs(3) };

/// A pool of connections to one database; cheap to clone.
///
/// This file has only its connections; the folder `write` has what persist writes, `read` the queries.
#[derive(Clone)]
pub struct Store {
    pool: Pool,
    place: String,
    database: String,
    schema: Option<SchemaName>,
    /// For the connection that cancels a statement.
    tls: Option<MakeRustlsConnect>,
}

/// Bounds of a store that only reads.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ReadLimits {
    /// Maximum number of connections.
    pub pool_size: usize,
    /// How long one statement may take before the server cancels it.
    pub statement_timeout: Duration,
    /// How long a question may wait for a free connection.
    pub wait: Duration,
}

/// Settings of connections that differ from the server's, and how long one may be waited for.
struct Settings {
    options: String,
    wait: Duration,
}

impl Store {
    /// A store that cannot write, with connections of its own. None is made yet: the first question makes one, and fails
    /// while the database does not answer.
    ///
    /// # Errors
    /// When the address is malformed.
    pub fn reader(config: &StoreConfig, limits: ReadLimits) -> Result<Self, StoreError> {
        let config = StoreConfig {
            pool_size: limits.pool_size,
            statement_timeout_ms: u64::try_from(limits.statement_timeout.as_millis())
                .unwrap_or(u64::MAX),
            ..config.clone()
        };
        // Every question has an index, which the planner leaves aside where it takes a bloom filter for as dear as the table.
        // What it then counts as dear must not be compiled first.
        let options = " -c default_transaction_read_only=on -c idle_in_transaction_session_timeout=10s \
                       -c enable_seqscan=off -c jit=off";
        let settings = Settings { options: options.to_owned(), wait: limits.wait };
        Self::with_settings(&config, None, &settings)
    }

    /// Connects; while no server answers, it retries and logs every attempt, until `start_timeout_seconds` have passed.
    ///
    /// # Errors
    /// At once when the address is malformed, the user is refused or the database does not exist; after `start_timeout_seconds`
    /// when no server answers; when `shutdown` fires.
    pub async fn connect(
        config: &StoreConfig,
        shutdown: &CancellationToken,
    ) -> Result<Self, StoreError> {
        Self::lazy(config, None)?.connected(config, shutdown).await
    }

    /// Connects to tables in a schema of their own, which need not exist yet. Nothing else is in the search path: a table
    /// that is missing there is an error, never the live one. Commits do not wait for the disk: whatever a crash of the
    /// server loses, position included, is applied again.
    ///
    /// # Errors
    /// As [`connect`](Self::connect).
    pub async fn connect_to_schema(
        config: &StoreConfig,
        schema: &SchemaName,
        shutdown: &CancellationToken,
    ) -> Result<Self, StoreError> {
        Self::lazy(config, Some(schema))?.connected(config, shutdown).await
    }

    async fn connected(
        self,
        config: &StoreConfig,
        shutdown: &CancellationToken,
    ) -> Result<Self, StoreError> {
        let store = self;
        let start_timeout = Duration::from_secs(config.start_timeout_seconds);
        let started = Instant::now();
        let mut delays = CONNECT_BACKOFF.delays();
        loop {
            let Err(failure) = unless_stopped(shutdown, store.probe()).await? else {
                store.warn_of_pooler(config).await;
                return Ok(store);
            };
            let (last, hint) = store.refusal(failure)?;
            let delay = delays.next().unwrap_or(CONNECT_BACKOFF.longest);
            if started.elapsed() + delay > start_timeout {
                let seconds = config.start_timeout_seconds;
                return Err(StoreError::Unreachable { place: store.place, seconds, last, hint });
            }
            tracing::warn!(
                database = store.place,
                error = last,
                retry_in_ms = delay.as_millis() as u64,
                "cannot connect to the database, trying again"
            );
            unless_stopped(shutdown, tokio::time::sleep(delay)).await?;
        }
    }

    fn lazy(config: &StoreConfig, schema: Option<&SchemaName>) -> Result<Self, StoreError> {
        let options = schema.map_or_else(String::new, |schema| {
            format!(" -c search_path={schema} -c synchronous_commit=off")
        });
        Self::with_settings(config, schema, &Settings { options, wait: Duration::from_secs(10) })
    }

    fn with_settings(
        config: &StoreConfig,
        schema: Option<&SchemaName>,
        settings: &Settings,
    ) -> Result<Self, StoreError> {
        let mut postgres = address::parse(&config.url)?;
        let options = format!(
            "{} -c standard_conforming_strings=on -c statement_timeout={}{}",
            postgres.get_options().unwrap_or_default(),
            config.statement_timeout_ms,
            settings.options
        );
        let timeout = Duration::from_millis(config.connect_timeout_ms.max(1));
        postgres
            .options(options.trim())
            .connect_timeout(timeout)
            // A dead network is noticed both while nothing is sent and while something is.
            .keepalives_idle(Duration::from_secs(15))
            .tcp_user_timeout(Duration::from_secs(30));
        if postgres.get_application_name().is_none() {
            postgres.application_name("crypto-intel");
        }
        let place = place(&postgres);
        let database = postgres.get_dbname().unwrap_or_default().to_owned();
        // Fast: a connection keeps its staging tables and prepared statements; a broken one is dropped by the caller.
        let recycling = ManagerConfig { recycling_method: RecyclingMethod::Fast };
        let tls = match postgres.get_ssl_mode() {
            SslMode::Require => Some(tls::connector(config.tls_ca_file.as_deref())?),
            _ => None,
        };
        let manager = match tls.clone() {
            Some(tls) => Manager::from_config(postgres, tls, recycling),
            None => Manager::from_config(postgres, NoTls, recycling),
        };
        let pool = Pool::builder(manager)
            .max_size(config.pool_size.max(1))
            // Last in, first out: the server process of the connection used last has the warmest caches.
            .queue_mode(QueueMode::Lifo)
            .runtime(Runtime::Tokio1)
            .wait_timeout(Some(settings.wait))
            .create_timeout(Some(timeout * 2))
            .build()
            .map_err(|error| StoreError::Url { reason: error.to_string() })?;
        Ok(Self { pool, place, database, schema: schema.cloned(), tls })
    }

    /// `host:port` of the server.
    #[must_use]
    pub fn place(&self) -> &str {
        &self.place
    }

    /// Name of the database.
    #[must_use]
    pub fn database(&self) -> &str {
        &self.database
    }

    /// The schema that this store was connected to; `None` where the search path of its user decides.
    #[must_use]
    pub fn schema(&self) -> Option<&SchemaName> {
        self.schema.as_ref()
    }

    /// What the server offers.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn edition(&self) -> Result<Edition, StoreError> {
        let client = self.client().await?;
        let row = client
            .query_one(
                "SELECT current_setting('timescaledb.license', true), \
                 (SELECT extversion FROM pg_extension WHERE extname = 'timescaledb')",
                &[],
            )
            .await
            .map_err(StoreError::sql("ask for the edition"))?;
        let license: Option<&str> = row.get(0);
        Ok(Edition::new(license, row.get(1)))
    }

    /// How a connection to the server is encrypted, if it is.
    pub(crate) fn tls(&self) -> Option<MakeRustlsConnect> {
        self.tls.clone()
    }

    /// A connection of the pool.
    pub(crate) async fn client(&self) -> Result<Object, StoreError> {
        Ok(self.pool.get().await?)
    }

    /// Checks that the database answers.
    ///
    /// # Errors
    /// When it does not.
    pub async fn probe(&self) -> Result<(), StoreError> {
        let client = self.client().await?;
        client.simple_query("SELECT 1").await.map_err(StoreError::sql("ask the database"))?;
        Ok(())
    }

    /// Settings travel with the connection; a pooler that is configured to ignore them drops them silently.
    async fn warn_of_pooler(&self, config: &StoreConfig) {
        let Ok(client) = self.client().await else { return };
        let sql = "SELECT setting::bigint FROM pg_settings WHERE name = 'statement_timeout'";
        let Ok(row) = client.query_one(sql, &[]).await else { return };
        if row.get::<_, i64>(0).unsigned_abs() != config.statement_timeout_ms {
            tracing::warn!(
                database = self.place,
                hint = "let the pooler pass `options` on, or connect to PostgreSQL itself",
                "database.statement_timeout_ms does not reach the server: a pooler drops our settings"
            );
        }
    }

    /// Why an attempt to connect failed and what to do about it, or an error that retrying cannot fix.
    fn refusal(&self, error: StoreError) -> Result<(String, &'static str), StoreError> {
        const UNREACHABLE: &str = "start it or correct database.url";
        let StoreError::Sql { cause, .. } = &error else {
            return Ok((error.to_string(), UNREACHABLE));
        };
        let reason = describe(cause);
        let place = self.place.clone();
        let by_server = hint(cause.code().map(SqlState::code), &reason);
        let hint = by_server.unwrap_or("correct user and password in database.url");
        match cause.code() {
            Some(code) if *code == SqlState::INVALID_CATALOG_NAME => {
                Err(StoreError::NoDatabase { place, reason })
            }
            Some(_) if classify(cause) == ErrorClass::Process => {
                Err(StoreError::Refused { place, reason, hint })
            }
            // Found before anything is sent: the server wants a password and the address has none.
            None if reason.contains("password missing") => {
                Err(StoreError::Refused { place, reason, hint })
            }
            _ => Ok((reason, by_server.unwrap_or(UNREACHABLE))),
        }
    }
}

impl fmt::Debug for Store {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("Store")
            .field("place", &self.place)
            .field("database", &self.database)
            .finish_non_exhaustive()
    }
}

/// `host:port`, without user and password.
fn place(config: &Config) -> String {
    use tokio_postgres::config::Host;
    let ports = config.get_ports();
    let places: Vec<String> = config
        .get_hosts()
        .iter()
        .enumerate()
        .map(|(index, host)| {
            let port = ports.get(index).or_else(|| ports.first()).copied().unwrap_or(5432);
            match host {
                Host::Tcp(name) => format!("{name}:{port}"),
                Host::Unix(path) => format!("{}:{port}", path.display()),
            }
        })
        .collect();
    places.join(",")
}
