//! One chain: who leads it, where it resumes, how its heads are followed.

pub(crate) mod cursor;
mod follow;
pub(crate) mod foreign;
pub(crate) mod interrupt;
mod jump;
mod margin;
pub(crate) mod marker_stack;
pub(crate) mod prepare;
mod reorg;
pub(crate) mod resume;
mod retract;
mod status;
pub(crate) mod stream;

use std::{
    collections::HashSet,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicI64, AtomicU64, Ordering},
    },
    time::Duration,
};

use anyhow::Context as _;
use crypto_intel_nats::{Kv, Leadership, Nats, Position as StreamPosition, Term};
use crypto_intel_service::{Backoff, Context};
use tokio::{
    sync::{Mutex, OnceCell, Semaphore, SetOnce, watch},
    task::JoinSet,
    time::Instant,
};
use tokio_util::{sync::CancellationToken, task::AbortOnDropHandle};

use self::{cursor::Cursor, interrupt::ChainInterrupt, marker_stack::MarkerStack};
use crate::{
    backfill::{audit_watermark, untraced_gap::Untraced},
    config::ChainConfig,
    decode::Decoder,
    endpoint::{NodeWatch, Pool},
    enrich::{
        assets::AssetRegistry, prices::PriceCache, tokens::TokenMetadataCache,
        watch::WatchlistCache,
    },
    fetch::{Fetcher, finality::Tags, traces::Tracer},
    metrics::ChainMetrics,
    publish::{
        batches::{BatchLimit, HistoryLane, Publisher},
        encode::Subjects,
    },
    verify::Checks,
};
use status::Status;

/// What a chain needs from outside.
#[derive(Debug, Clone)]
pub(crate) struct ChainParts {
    pub(crate) chain: String,
    pub(crate) config: ChainConfig,
    pub(crate) nats: Nats,
    pub(crate) assets: AssetRegistry,
    pub(crate) prices: PriceCache,
    pub(crate) watched: WatchlistCache,
    pub(crate) metrics: ChainMetrics,
    pub(crate) history: HistoryLane,
}

/// Follows one chain.
#[derive(Debug)]
pub(crate) struct Worker {
    pub(crate) chain: String,
    pub(crate) config: ChainConfig,
    pub(crate) nats: Nats,
    pub(crate) instance: String,
    pub(crate) fetcher: Fetcher,
    pub(crate) untraced: Untraced,
    pub(crate) decoder: Arc<Decoder>,
    pub(crate) subjects: Subjects,
    /// Those of the history lane.
    pub(crate) past_subjects: Subjects,
    pub(crate) prices: PriceCache,
    pub(crate) tokens: TokenMetadataCache,
    pub(crate) watched: WatchlistCache,
    pub(crate) metrics: ChainMetrics,
    pub(crate) tags: watch::Receiver<Option<Tags>>,
    pub(crate) status: Status,
    pub(crate) cursor: watch::Sender<Option<Cursor>>,
    /// Where the oldest block that may still leave begins in the stream.
    pub(crate) oldest_open: watch::Sender<Option<u64>>,
    pub(crate) batch_limit: BatchLimit,
    pub(crate) history: HistoryLane,
    /// The last block of which an endpoint called another one final.
    pub(crate) other_final: AtomicU64,
    /// One permit per block that is being fetched.
    pub(crate) fetching: Arc<Semaphore>,
    /// Foreign messages that were set aside already.
    pub(crate) buried: Mutex<HashSet<StreamPosition>>,
    /// The bucket of what factories made, once it was opened.
    pub(crate) contracts: OnceCell<Kv>,
    /// Whether it was read while this instance leads.
    pub(crate) contracts_loaded: AtomicBool,
    /// When it was last told that it is full.
    pub(crate) told_full_us: AtomicI64,
    /// When it was last told that history waits for persist.
    pub(crate) told_behind_us: AtomicI64,
    /// Set once what factories made is known.
    pub(crate) factories_known: SetOnce<()>,
}

/// What the leader knows of its chain's stream.
#[derive(Debug)]
pub(crate) struct Position {
    pub(crate) stack: MarkerStack,
    pub(crate) publisher: Publisher,
    /// Since when endpoints disagree about what follows the top.
    pub(crate) contested_since: Option<Instant>,
}

/// Room that is left for subject, headers and the other fields of a log.
const MESSAGE_OVERHEAD: usize = 8 * 1024;

/// Runs one chain until shutdown.
///
/// # Errors
/// What stops this chain and somebody has to look at.
pub(crate) async fn run(parts: ChainParts, context: Context) -> anyhow::Result<()> {
    // Everything of this run ends with it, also when it fails.
    let stop = context.shutdown.child_token();
    let _guard = stop.clone().drop_guard();
    let mut tasks = JoinSet::new();
    let ChainParts { chain, mut config, nats, assets, prices, watched, metrics, history } = parts;
    let payload = nats.client().max_payload();
    if payload > 2 * MESSAGE_OVERHEAD {
        config.max_log_data_bytes = config.max_log_data_bytes.min(payload - MESSAGE_OVERHEAD);
    }
    let decoder = Decoder::new(&chain, &config, assets, metrics.clone())
        .with_max_fields(payload.saturating_sub(MESSAGE_OVERHEAD));
    let pool = Pool::start(&chain, &config, &metrics, &stop, &mut tasks);
    let lead = Arc::new(context.health.probe(format!("evm.{chain}.lead"), None));
    let leadership = Leadership::new(format!("evm.{chain}"), &nats, &context, lead)
        .context("register metrics")?;
    let watch = NodeWatch {
        chain: chain.clone(),
        instance: context.instance.clone(),
        pool: pool.clone(),
        metrics: metrics.nodes(),
        nats: nats.clone(),
        every: Duration::from_secs(config.status_seconds),
    };
    tasks.spawn(watch.run(stop.clone()));
    let checks = Checks::of(&config);
    let fetcher =
        Fetcher::new(pool.clone(), checks, metrics.clone()).with_tracer(Tracer::of(&config));
    let tokens = TokenMetadataCache::start(
        &chain,
        &config,
        &nats,
        fetcher.pool(),
        &metrics,
        (&stop, &mut tasks),
    );
    let tags = watch_tags(&config, &fetcher, &stop, &mut tasks);
    let status = Status::new(&chain, Duration::from_secs(config.stale_seconds));
    let probe = context.health.probe(format!("evm.{chain}.head"), None);
    tasks.spawn(status.clone().watch(pool, probe, stop.clone()));
    let (cursor, newest) = watch::channel(None);
    tasks.spawn(cursor::keep(nats.clone(), chain.clone(), newest));
    let (oldest_open, oldest) = watch::channel(None);
    tasks.spawn(margin::show(nats.clone(), metrics.clone(), oldest));
    tasks.spawn(audit_watermark::show(nats.clone(), chain.clone(), metrics.clone()));
    let worker = Worker {
        fetching: Arc::new(Semaphore::new(config.fetch_concurrency)),
        factories_known: SetOnce::new(),
        decoder: Arc::new(decoder),
        subjects: Subjects::of_chain(&chain),
        past_subjects: Subjects::of_history(&chain),
        instance: context.instance.clone(),
        chain,
        config,
        nats,
        fetcher,
        untraced: Untraced::default(),
        prices,
        tokens,
        watched,
        metrics,
        tags,
        status,
        cursor,
        oldest_open,
        batch_limit: history.limit(),
        history,
        other_final: AtomicU64::new(u64::MAX),
        buried: Mutex::default(),
        contracts: OnceCell::new(),
        contracts_loaded: AtomicBool::new(false),
        told_full_us: AtomicI64::new(0),
        told_behind_us: AtomicI64::new(0),
    };
    tokio::select! {
        () = stop.cancelled() => return Ok(()),
        () = worker.watched.loaded() => {}
    }
    Arc::new(worker).run(&leadership).await
}

impl Worker {
    /// Follows the chain whenever this instance leads it.
    async fn run(self: &Arc<Self>, leadership: &Leadership) -> anyhow::Result<()> {
        self.status.standing_by();
        leadership
            .run(async |term| {
                // Another one may have kept more meanwhile.
                self.contracts_loaded.store(false, Ordering::Relaxed);
                self.status.leads();
                let ended = self.lead_until_over(&term).await;
                self.status.standing_by();
                self.oldest_open.send_replace(None);
                ended
            })
            .await
    }

    async fn lead_until_over(self: &Arc<Self>, term: &Term) -> anyhow::Result<()> {
        // Ends with this holding of the lease: only the leader publishes, also the past.
        let _history = AbortOnDropHandle::new(tokio::spawn(Arc::clone(self).fill_gaps()));
        let _search = AbortOnDropHandle::new(tokio::spawn(Arc::clone(self).search_factories()));
        // What is cut off here is in the stream as a whole or not at all: the fold finds it.
        let lead = async { self.lead().await.map(|never| match never {}) };
        term.until_over(lead).await
    }

    /// Resumes and follows; whatever interrupts that and can be tried again is, visibly.
    async fn lead(&self) -> anyhow::Result<std::convert::Infallible> {
        let backoff = Backoff { first: Duration::from_millis(50), longest: Duration::from_secs(5) };
        let mut delays = backoff.delays();
        loop {
            let trouble = match self.resume().await {
                Ok(mut position) => {
                    delays = backoff.delays();
                    let Err(trouble) = self.follow(&mut position).await;
                    trouble
                }
                Err(trouble) => trouble,
            };
            let after = match &trouble {
                ChainInterrupt::Stop(_) => None,
                ChainInterrupt::Replan { after, .. } => *after,
                ChainInterrupt::Fetch(_) => None,
            };
            if let ChainInterrupt::Stop(error) = trouble {
                return Err(error);
            }
            let delay = after.unwrap_or_else(|| delays.next().unwrap_or(backoff.longest));
            tracing::warn!(chain = self.chain, reason = %trouble, delay_ms = delay.as_millis() as u64, "interrupted, reading the stream and planning again");
            tokio::time::sleep(delay).await;
        }
    }
}

/// Asks now and then how far the chain is safe and final. `None` until the first answer.
fn watch_tags(
    config: &ChainConfig,
    fetcher: &Fetcher,
    stop: &CancellationToken,
    tasks: &mut JoinSet<()>,
) -> watch::Receiver<Option<Tags>> {
    let (sender, receiver) = watch::channel(None);
    if !config.finality_tags {
        sender.send_replace(Some(Tags::default()));
        return receiver;
    }
    let every = Duration::from_millis(config.finality_poll_ms);
    let (fetcher, stop) = (fetcher.clone(), stop.clone());
    tasks.spawn(async move {
        let mut changes = fetcher.pool().changes();
        loop {
            match fetcher.tags().await {
                Ok(tags) => {
                    sender.send_replace(Some(tags));
                    tokio::select! {
                        () = stop.cancelled() => return,
                        () = tokio::time::sleep(every) => {}
                    }
                }
                // Nothing is connected yet, or it was lost: the next change tells.
                Err(error) => {
                    tracing::debug!(%error, "finality unknown");
                    tokio::select! {
                        () = stop.cancelled() => return,
                        _ = changes.changed() => {}
                    }
                }
            }
        }
    });
    receiver
}
