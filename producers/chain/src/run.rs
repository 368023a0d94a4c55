//! One chain: who leads it, where it resumes, how its heads are followed.

use std::{convert::Infallible, sync::Arc, time::Duration};

use anyhow::Context as _;
use crypto_intel_nats::{Leadership, Nats, Term};
use crypto_intel_schemas::leases;
use crypto_intel_service::{Backoff, Context};
use tokio::{sync::watch, task::JoinSet};
use tokio_util::{sync::CancellationToken, task::AbortOnDropHandle};

use crate::{
    backfill::{
        audit_watermark,
        fill::{Backfill, BackfillParts},
        throttle::Throttle,
    },
    interrupt::ChainInterrupt,
    live::ahead::BlockFetcher,
    live::ahead_budget::AheadBudget,
    live::assemble::Assembler,
    live::confirm::BranchConfirmer,
    live::follow::Follower,
    live::jump::Jumper,
    live::resume::Resumer,
    live::retract::Retractor,
    live::retraction_margin,
    metrics::ChainMetrics,
    progress::Progress,
    source::family::Family,
    source::{ChainSource, LiveLane},
    stack::cursor,
    stack::finality::{self, FinalBlock},
    stack::limits::Limits,
    status::Status,
    stream::history_lane::HistoryLane,
    stream::lane::Lane,
    stream::messages::ChainStream,
    stream::publish::GroupPublisher,
    stream::subjects::Subjects,
};

/// How a chain is followed.
#[derive(Debug, Clone)]
pub struct ChainOptions {
    /// Where a chain that was never followed begins; none for the block after the final one.
    pub start: Option<u64>,
    /// How often the chain is asked how far it is final.
    pub finality_poll: Duration,
    /// Numbers below the head from which on a block counts as final, where the chain does not say it.
    pub finality_depth: u64,
    /// A reorganisation that would drop more blocks stops the chain.
    pub max_reorg_depth: u64,
    /// How long other endpoints may contradict a reorganisation before it is followed all the same.
    pub reorg_confirm: Duration,
    /// More final numbers missing than this, and the chain jumps; 0 = never.
    pub catch_up_blocks: u64,
    /// Blocks fetched at once on the live lane, at least.
    pub fetch_concurrency: usize,
    /// Spans fetched at once on the history lane.
    pub history_concurrency: usize,
    /// Addresses whose past is looked into at once, at most.
    pub history_addresses: usize,
    /// History waits while persist has more messages of it to store; 0 = never.
    pub history_max_pending: u64,
    /// After this time without progress the chain is unhealthy.
    pub stale: Duration,
}

/// What a chain needs from outside.
#[derive(Debug)]
pub struct ChainParts<S> {
    /// The family of the chain.
    pub family: Family,
    /// The chain's slug.
    pub chain: String,
    /// How it is followed.
    pub options: ChainOptions,
    /// The connection.
    pub nats: Nats,
    /// The chain itself.
    pub source: Arc<S>,
    /// Its metrics.
    pub metrics: ChainMetrics,
    /// What all chains of the process share: their history lane,
    pub history: HistoryLane,
    /// and what they hold of blocks that were fetched ahead.
    pub ahead: AheadBudget,
}

/// Follows a chain whenever this instance leads it, until shutdown.
///
/// # Errors
/// What stops this chain and needs an operator.
pub async fn run<S: ChainSource>(parts: ChainParts<S>, context: Context) -> anyhow::Result<()> {
    // Everything of this run ends with it, also when it fails.
    let stop = context.shutdown.child_token();
    let _guard = stop.clone().drop_guard();
    let mut tasks = JoinSet::new();
    let Family { name, .. } = parts.family;
    let probe = Arc::new(context.health.probe(format!("{name}.{}.lead", parts.chain), None));
    let leadership =
        Leadership::new(leases::chain(name, &parts.chain), &parts.nats, &context, probe)
            .context("register metrics")?;
    let leader = Leader::new(Shared::start(parts, &context, &stop, &mut tasks));
    tokio::select! {
        () = stop.cancelled() => return Ok(()),
        () = leader.shared.source.until_ready() => {}
    }
    leader.run(&leadership).await
}

/// What the parts of one chain share.
#[derive(Debug)]
struct Shared<S> {
    options: ChainOptions,
    lane: Arc<Lane>,
    source: Arc<S>,
    status: Status,
    final_block: FinalBlock<S>,
    limits: Arc<Limits>,
    stream: Arc<ChainStream>,
    progress: Arc<Progress<S>>,
    retractor: Arc<Retractor<S>>,
    history: HistoryLane,
    ahead: AheadBudget,
}

impl<S: ChainSource> Shared<S> {
    /// Also starts what runs beside the lanes, leading or not.
    fn start(
        parts: ChainParts<S>,
        context: &Context,
        stop: &CancellationToken,
        tasks: &mut JoinSet<()>,
    ) -> Self {
        let ChainParts { family, chain, options, nats, source, metrics, history, ahead } = parts;
        let (sender, finality) = watch::channel(None);
        let poll = finality::poll(
            Arc::clone(&source),
            chain.clone(),
            sender,
            options.finality_poll,
            stop.clone(),
        );
        tasks.spawn(poll);
        let status = Status::new(&chain, options.stale);
        let probe = context.health.probe(format!("{}.{chain}.head", family.name), None);
        tasks.spawn(status.clone().watch(Arc::clone(&source), probe, stop.clone()));
        let (cursor, newest) = watch::channel(None);
        tasks.spawn(cursor::keep(nats.clone(), family, chain.clone(), newest));
        let (oldest_open, oldest) = watch::channel(None);
        let margin = retraction_margin::show(nats.clone(), family.stream, metrics.clone(), oldest);
        tasks.spawn(margin);
        tasks.spawn(audit_watermark::show(nats.clone(), chain.clone(), metrics.clone()));
        let (max_reorg_depth, catch_up_blocks) = (options.max_reorg_depth, options.catch_up_blocks);
        let limits = Limits { family, chain: chain.clone(), max_reorg_depth, catch_up_blocks };
        let (subjects, instance) = (Subjects::of_chain(&chain), context.instance.clone());
        let lane = Arc::new(Lane { family, chain, instance, nats, subjects, metrics });
        let stream = Arc::new(ChainStream::new(Arc::clone(&lane)));
        let progress = Arc::new(Progress {
            lane: Arc::clone(&lane),
            source: Arc::clone(&source),
            status: status.clone(),
            cursor,
            oldest_open,
        });
        let retractor = Arc::new(Retractor {
            lane: Arc::clone(&lane),
            stream: Arc::clone(&stream),
            progress: Arc::clone(&progress),
        });
        let final_block = FinalBlock::new(Arc::clone(&source), finality, options.finality_depth);
        let limits = Arc::new(limits);
        Self {
            options,
            lane,
            source,
            status,
            final_block,
            limits,
            stream,
            progress,
            retractor,
            history,
            ahead,
        }
    }

    fn resumer(&self) -> Resumer<S> {
        Resumer {
            lane: Arc::clone(&self.lane),
            source: Arc::clone(&self.source),
            stream: Arc::clone(&self.stream),
            retractor: Arc::clone(&self.retractor),
            final_block: self.final_block.clone(),
            status: self.status.clone(),
            limits: Arc::clone(&self.limits),
            batch_limit: self.history.limit(),
            start: self.options.start,
        }
    }

    fn backfill(&self) -> Backfill<S> {
        let (lane, source) = (self.lane.as_ref(), &self.source);
        let max_pending = self.options.history_max_pending;
        Backfill::new(BackfillParts {
            source: Arc::clone(source),
            nats: lane.nats.clone(),
            chain: lane.chain.clone(),
            metrics: lane.metrics.clone(),
            throttle: Throttle::new(
                lane,
                Arc::clone(source),
                self.status.clone(),
                self.history.clone(),
                max_pending,
            ),
            final_block: self.final_block.clone(),
            lane: self.history.clone(),
            concurrency: self.options.history_concurrency,
            addresses: self.options.history_addresses,
        })
    }

    fn follower(&self) -> Follower<S> {
        let (lane, source) = (|| Arc::clone(&self.lane), || Arc::clone(&self.source));
        let (final_block, status) = (self.final_block.clone(), self.status.clone());
        Follower {
            lane: lane(),
            source: source(),
            limits: Arc::clone(&self.limits),
            status: status.clone(),
            final_block: final_block.clone(),
            batch_limit: self.history.limit(),
            fetcher: BlockFetcher {
                source: source(),
                final_block: final_block.clone(),
                concurrency: self.options.fetch_concurrency,
                budget: self.ahead.clone(),
            },
            assembler: Assembler::new(lane(), source(), final_block, status),
            publisher: GroupPublisher {
                lane: lane(),
                source: source(),
                progress: Arc::clone(&self.progress),
            },
            confirmer: BranchConfirmer {
                lane: lane(),
                source: source(),
                timeout: self.options.reorg_confirm,
            },
            retractor: Arc::clone(&self.retractor),
            jumper: Jumper {
                lane: lane(),
                source: source(),
                limits: Arc::clone(&self.limits),
                retractor: Arc::clone(&self.retractor),
            },
        }
    }
}

/// The live lane as a family sees it.
#[derive(Debug)]
struct Live<S> {
    status: Status,
    final_block: FinalBlock<S>,
}

impl<S: ChainSource> LiveLane for Live<S> {
    fn first_number(&self) -> Option<u64> {
        self.status.first_number()
    }

    fn decided_number(&self) -> u64 {
        self.status.decided_number()
    }

    async fn final_number(&self) -> anyhow::Result<u64> {
        self.final_block.number().await.map_err(anyhow::Error::new)
    }
}

/// Leads one chain, whenever this instance holds its lease.
#[derive(Debug)]
struct Leader<S> {
    shared: Shared<S>,
    resumer: Resumer<S>,
    follower: Follower<S>,
    backfill: Arc<Backfill<S>>,
}

impl<S: ChainSource> Leader<S> {
    fn new(shared: Shared<S>) -> Self {
        let (resumer, follower) = (shared.resumer(), shared.follower());
        let backfill = Arc::new(shared.backfill());
        Self { shared, resumer, follower, backfill }
    }

    async fn run(&self, leadership: &Leadership) -> anyhow::Result<()> {
        self.shared.status.standing_by();
        leadership
            .run(async |term| {
                self.shared.source.term_begins();
                self.shared.status.leads();
                let ended = self.lead_until_over(&term).await;
                self.shared.status.standing_by();
                self.shared.progress.oldest_open.send_replace(None);
                ended
            })
            .await
    }

    async fn lead_until_over(&self, term: &Term) -> anyhow::Result<()> {
        // Ends with this holding of the lease: only the leader publishes, also the past.
        let _history = AbortOnDropHandle::new(tokio::spawn(Arc::clone(&self.backfill).run()));
        let live = Live {
            status: self.shared.status.clone(),
            final_block: self.shared.final_block.clone(),
        };
        let beside = Arc::clone(&self.shared.source).while_leading(live);
        let _beside = AbortOnDropHandle::new(tokio::spawn(beside));
        // What is cut off here is in the stream as a whole or not at all: the fold finds it.
        let lead = async { self.lead().await.map(|never| match never {}) };
        term.until_over(lead).await
    }

    /// Resumes and follows; whatever interrupts that and can be tried again is, visibly.
    async fn lead(&self) -> anyhow::Result<Infallible> {
        let backoff = Backoff { first: Duration::from_millis(50), longest: Duration::from_secs(5) };
        let mut delays = backoff.delays();
        loop {
            let interrupt = match self.resumer.resume().await {
                Ok(mut position) => {
                    delays = backoff.delays();
                    let Err(interrupt) = self.follower.follow(&mut position).await;
                    interrupt
                }
                Err(interrupt) => interrupt,
            };
            let after = match &interrupt {
                ChainInterrupt::Replan { after, .. } => *after,
                ChainInterrupt::Stop(_) | ChainInterrupt::Unavailable(_) => None,
            };
            if let ChainInterrupt::Stop(error) = interrupt {
                return Err(error);
            }
            let delay = after.unwrap_or_else(|| delays.next().unwrap_or(backoff.longest));
            tracing::warn!(chain = self.shared.lane.chain, reason = %interrupt, delay_ms = delay.as_millis() as u64, "interrupted, reading the stream and planning again");
            tokio::time::sleep(delay).await;
        }
    }
}
