use std::{sync::Arc, time::Duration};

use crypto_intel_nats::Nats;
use crypto_intel_schemas::AssetPrice;
use crypto_intel_service::Context;
use crypto_intel_store::{ChainHead, Mover, PositionRow, Store, StoreError};
use tokio::sync::Semaphore;
use tokio_util::task::TaskTracker;

use crate::{
    auth::{jwt::Issuer, keys::KeyRing, sessions::Sessions},
    change::refusals::Refusals,
    config::Config,
    layers::client::Network,
    limits::Limits,
    live::Live,
    memo::Memo,
    metrics::Metrics,
    places::Places,
    routes::anomalies::Series,
    sources::Sources,
    tokens::TokenBook,
};

/// How old positions and heads may be that are answered from memory: what a page asks of many routes is read once.
const FRESH: Duration = Duration::from_millis(250);
/// How old sums over many rows may be.
const SUMMARY_FRESH: Duration = Duration::from_secs(5);
/// How old the hours may be in which departures are looked for.
const SERIES_FRESH: Duration = Duration::from_secs(60);
/// A graph reads many rows: more of them at once would leave no connection for lists.
const MAX_GRAPHS: usize = 2;
/// Compiling takes a processor each.
const MAX_COMPILATIONS: usize = 2;

/// What every handler may use; cheap to clone.
#[derive(Debug, Clone)]
pub(crate) struct ApiState(Arc<Inner>);

#[derive(Debug)]
pub(crate) struct Inner {
    pub(crate) config: Config,
    pub(crate) store: Store,
    pub(crate) nats: Nats,
    pub(crate) context: Context,
    pub(crate) keys: KeyRing,
    pub(crate) sessions: Sessions,
    /// Whose tokens are taken, too.
    pub(crate) issuer: Option<Issuer>,
    pub(crate) limits: Arc<Limits>,
    /// Requests that are being answered.
    pub(crate) requests: Arc<Places>,
    /// Which refusals were told last.
    pub(crate) refusals: Refusals,
    /// Changes that are being carried out.
    pub(crate) changes: TaskTracker,
    pub(crate) metrics: Metrics,
    pub(crate) live: Arc<Live>,
    /// Texts of rules that are compiled at the same time.
    pub(crate) compilations: Arc<Semaphore>,
    /// Files that are written.
    pub(crate) exports: Arc<Places>,
    /// Rules that are tried on the past.
    pub(crate) attempts: Arc<Places>,
    /// Graphs that are made at the same time.
    pub(crate) graphs: Semaphore,
    pub(crate) trusted_proxies: Vec<Network>,
    /// Tokens by what they are called.
    pub(crate) tokens: TokenBook,
    /// Polled providers.
    pub(crate) sources: Sources,
    positions: Memo<(), Vec<PositionRow>>,
    heads: Memo<(), Vec<ChainHead>>,
    /// Hours of everything that may depart from the usual, by how many and whether of verified tokens alone.
    pub(crate) series: Memo<(u32, bool), Vec<Series>>,
    pub(crate) movers: Memo<u32, Vec<Mover>>,
    /// By asset, from the bucket of prices: a question to all its keys.
    pub(crate) prices: Memo<(), Vec<(String, AssetPrice)>>,
}

impl std::ops::Deref for ApiState {
    type Target = Inner;

    fn deref(&self) -> &Inner {
        &self.0
    }
}

impl ApiState {
    pub(crate) fn new(
        config: Config,
        nats: Nats,
        store: Store,
        keys: KeyRing,
        context: Context,
    ) -> anyhow::Result<Self> {
        let metrics = Metrics::new(&context.registry)?;
        let issuer = Issuer::new(&config.jwt)?;
        let live = Live::new(&config.live, nats.clone(), &context)?;
        let proxies = config.trusted_proxies.iter().map(|network| network.parse());
        let trusted_proxies: Result<_, String> = proxies.collect();
        Ok(Self(Arc::new(Inner {
            limits: Limits::new(&config),
            requests: Arc::default(),
            refusals: Refusals::default(),
            changes: TaskTracker::new(),
            trusted_proxies: trusted_proxies.map_err(anyhow::Error::msg)?,
            tokens: TokenBook::new(&config.tokens),
            sources: Sources::new(config.poll.clone()),
            config,
            store,
            nats,
            context,
            keys,
            sessions: Sessions::default(),
            issuer,
            metrics,
            live,
            graphs: Semaphore::new(MAX_GRAPHS),
            compilations: Arc::new(Semaphore::new(MAX_COMPILATIONS)),
            attempts: Arc::default(),
            exports: Arc::default(),
            positions: Memo::new(FRESH),
            heads: Memo::new(FRESH),
            series: Memo::new(SERIES_FRESH),
            movers: Memo::new(SUMMARY_FRESH),
            prices: Memo::new(SUMMARY_FRESH),
        })))
    }

    /// How far the tables have read the streams.
    pub(crate) async fn positions(&self) -> Result<Arc<Vec<PositionRow>>, StoreError> {
        self.positions.get((), || self.store.positions()).await
    }

    /// The newest canonical block of each chain.
    pub(crate) async fn heads(&self) -> Result<Arc<Vec<ChainHead>>, StoreError> {
        self.heads.get((), || self.store.chain_heads()).await
    }
}
