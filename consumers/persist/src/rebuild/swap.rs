use std::time::Duration;

use anyhow::{Context as _, bail};
use crypto_intel_service::{Backoff, now_us, unless_stopped};
use crypto_intel_store::{
    ErrorClass, StoreError, StreamPosition,
    rebuild::{self, CopyCounts, LiveCopy, Span, Swap, Waits},
};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::{
    copy_blocks,
    new_tables::{Bounds, Rebuild, is_of, none_if_stopped},
    stage::{Stage, Watcher},
};
use crate::intake::input::TailPolicy;

/// The new tables are close to the streams' ends after a round of reading that applied fewer messages than this,
const CLOSE_MESSAGES: u64 = 20_000;
/// or that took less time than this.
const CLOSE_TIME: Duration = Duration::from_secs(2);
/// How long attempts keep the writers waiting before the writers have their turn.
const ATTEMPTS_TIME: Duration = Duration::from_secs(10);
/// How long the writers wait at most for the new tables to reach their positions.
const MAX_WRITERS_WAIT: Duration = Duration::from_secs(60);
/// Attempts of a round: the divisors of the longest wait for the first lock and for each of the others, and the number of
/// tries. Most attempts give up quickly and retry, so that many short transactions are no obstacle; some wait long enough for
/// long queries.
const WAITS: [(u32, u32, u32); 4] = [(8, 300, 40), (2, 15, 1), (8, 300, 40), (1, 1, 1)];
/// For transactions that take even longer: this many times the longest wait for the first lock, while the attempt holds no
/// lock that others need, and once the longest wait for each of the others.
const PATIENT_WAIT: u32 = 6;
const ROUND_BACKOFF: Backoff =
    Backoff { first: Duration::from_millis(500), longest: Duration::from_secs(10) };
/// Rows that were stored less than this before a round may still be on their way to the new tables.
const SLACK_US: i64 = 60_000_000;

/// How long others waited, in milliseconds.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, serde::Serialize)]
pub struct Paused {
    /// Writers, during the round that succeeded.
    pub writers_ms: u64,
    /// Readers at most, during the attempt that succeeded.
    pub readers_ms: u64,
}

/// What a swap did.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct Swapped {
    /// Schema that holds the old tables.
    pub before: String,
    /// Blocks and rows that were copied from the live tables.
    #[serde(rename = "carried")]
    pub copied: CopyCounts,
    /// Tables that no stream fills and that were copied as a whole.
    #[serde(rename = "untold_tables")]
    pub unstreamed_tables: Vec<String>,
    /// Continuous aggregates that were computed for the new tables.
    pub aggregates: Vec<String>,
    /// Grants and options of the live tables that the server refuses to give to the new ones, as statements, and why.
    #[serde(rename = "rights_left_out")]
    pub grants_left_out: Vec<String>,
    /// Number of attempts.
    pub attempts: u64,
    /// How long others waited.
    pub paused: Paused,
}

/// Swaps the new tables with the live ones; `None` when `shutdown` fired first, and then nothing has changed.
///
/// # Errors
/// When something would be lost, when other sessions held the tables for all of `patience`, or when a statement fails; then
/// nothing has changed.
pub async fn swap(
    rebuild: &Rebuild,
    patience: Duration,
    watcher: Watcher<'_>,
    shutdown: &CancellationToken,
) -> anyhow::Result<Option<Swapped>> {
    let obstacles = rebuild.obstacles().await?;
    if !obstacles.is_empty() {
        bail!("the exchange would lose or break something:\n  {}", obstacles.join("\n  "));
    }
    none_if_stopped(SwapRun { rebuild, watcher, shutdown }.run(patience).await)
}

/// How far the live tables were copied while the writers continued.
#[derive(Debug, Clone, Copy)]
struct Checkpoint {
    until_us: i64,
    /// How many ranges of messages had been lost by then.
    lost_ranges: u64,
}

/// How one round of attempts ended.
enum Round {
    Done(Paused),
    /// These sessions held the tables.
    Busy(Vec<String>),
}

struct SwapRun<'a> {
    rebuild: &'a Rebuild,
    watcher: Watcher<'a>,
    shutdown: &'a CancellationToken,
}

impl SwapRun<'_> {
    /// `Stopped` is an error here and below.
    async fn run(&self, patience: Duration) -> anyhow::Result<Swapped> {
        let (mut swapped, checkpoint) = self.unless_stopped(self.prepare()).await?;
        let deadline = Instant::now() + patience;
        let mut delays = ROUND_BACKOFF.delays();
        loop {
            let holders = match self.round(&mut swapped, checkpoint).await? {
                Round::Done(paused) => {
                    swapped.paused = paused;
                    break;
                }
                Round::Busy(holders) => holders,
            };
            if Instant::now() >= deadline {
                bail!(
                    "no moment was found in which nobody holds the tables; these do: {}. The new tables are kept: run \
                     the same command again",
                    if holders.is_empty() {
                        "many short queries".to_owned()
                    } else {
                        holders.join("; ")
                    }
                );
            }
            (self.watcher)(Stage::Waiting { holders });
            let delay = delays.next().unwrap_or(ROUND_BACKOFF.longest);
            unless_stopped(self.shutdown, tokio::time::sleep(delay)).await?;
        }
        rebuild::drop_empty_schema(&self.rebuild.live, &self.rebuild.schema)
            .await
            .context("remove the emptied schema")?;
        Ok(swapped)
    }

    /// Everything that takes long, while the writers continue. Cancel-safe: every transaction rolls back.
    async fn prepare(&self) -> anyhow::Result<(Swapped, Checkpoint)> {
        let live_copy = self.live_copy().await?;
        let (began_us, lost_ranges) = (now_us(), self.rebuild.lost_ranges());
        self.read_close_to_the_ends().await?;
        let mut copied = copy_blocks::incomplete_blocks(&live_copy, self.watcher)
            .await
            .context("complete blocks from the live tables")?;
        // Newer rows may still be on their way through a stream.
        let checkpoint = Checkpoint { until_us: began_us - SLACK_US, lost_ranges };
        let span = Span::until(checkpoint.until_us);
        copied += copy_blocks::blocks(&live_copy, span, self.watcher)
            .await
            .context("copy blocks from the live tables")?;
        let what = "rows of no block".to_owned();
        (self.watcher)(Stage::Copying { what, blocks: copied.blocks });
        copied.rows += live_copy
            .copy_rows_of_no_block(span)
            .await
            .context("copy rows from the live tables")?;
        copy_block_columns(&live_copy, span).await?;
        refuse_missing_heights(&live_copy, span).await?;
        let Rebuild { store, location, schema, .. } = self.rebuild;
        rebuild::analyze(store).await.context("gather statistics of the new tables")?;
        let aggregates = rebuild::refresh_aggregates(store, &location.schema)
            .await
            .context("compute continuous aggregates of the new tables")?;
        let swapped = Swapped {
            before: schema.before(),
            copied,
            unstreamed_tables: Vec::new(),
            aggregates,
            grants_left_out: Vec::new(),
            attempts: 0,
            paused: Paused::default(),
        };
        Ok((swapped, checkpoint))
    }

    async fn live_copy(&self) -> anyhow::Result<LiveCopy> {
        let Rebuild { store, location, .. } = self.rebuild;
        LiveCopy::new(store, &location.schema).await.context("compare the tables")
    }

    /// Reads in rounds until little is left.
    async fn read_close_to_the_ends(&self) -> anyhow::Result<()> {
        loop {
            let started = Instant::now();
            let rate = self.rebuild.rate;
            let messages = self.rebuild.catch_up_at(rate, self.watcher, self.shutdown).await?;
            if messages < CLOSE_MESSAGES || started.elapsed() < CLOSE_TIME {
                return Ok(());
            }
        }
    }

    /// Locks out the writers, brings the new tables to where the live ones are, and tries to swap them.
    async fn round(&self, swapped: &mut Swapped, checkpoint: Checkpoint) -> anyhow::Result<Round> {
        self.unless_stopped(self.read_close_to_the_ends()).await?;
        let swap = match Swap::begin(&self.rebuild.live, &self.rebuild.schema).await {
            Ok(swap) => swap,
            Err(error) if error.class() == ErrorClass::Transient => {
                return Ok(Round::Busy(vec![error.to_string()]));
            }
            Err(error) => return Err(error).context("begin the exchange"),
        };
        let locked_out = Instant::now();
        let reaching = self.unless_stopped(self.reach_live_positions(&swap, checkpoint, swapped));
        match tokio::time::timeout(MAX_WRITERS_WAIT, reaching).await {
            Ok(reached) => reached?,
            Err(_) => {
                let reason = "the new tables did not reach the live ones in time".to_owned();
                return Ok(Round::Busy(vec![reason]));
            }
        }
        swapped.grants_left_out = swap.grants_left_out().to_vec();
        self.attempts(swap, locked_out, swapped).await
    }

    /// Attempts until one succeeds or the writers have their turn. Never cancelled, because a commit may be in flight.
    async fn attempts(
        &self,
        swap: Swap,
        locked_out: Instant,
        swapped: &mut Swapped,
    ) -> anyhow::Result<Round> {
        let max_wait = swap.max_wait();
        let short = WAITS.map(|(first, others, tries)| Waits {
            first: max_wait / first,
            others: max_wait / others,
            tries,
        });
        let patient = Waits { first: max_wait * PATIENT_WAIT, others: max_wait, tries: 1 };
        let mut holders = Vec::new();
        for waits in short.into_iter().chain([patient]).cycle() {
            swapped.attempts += 1;
            self.cancel_jobs().await;
            if swap.attempt(waits).await.context("exchange the tables")? {
                let readers_ms = swap.readers_waited_ms().await.context("measure the attempt")?;
                swap.commit().await.map_err(|error| self.unknown_outcome(error))?;
                let writers_ms = locked_out.elapsed().as_millis() as u64;
                return Ok(Round::Done(Paused { writers_ms, readers_ms }));
            }
            let seen = swap.holders().await.unwrap_or_default();
            if !seen.is_empty() {
                holders = seen;
            }
            if locked_out.elapsed() > ATTEMPTS_TIME || self.shutdown.is_cancelled() {
                break;
            }
            // Readers that had to wait get a moment to proceed.
            tokio::time::sleep(max_wait / 4).await;
        }
        Ok(Round::Busy(holders))
    }

    /// A job of the extension holds tables for as long as it runs; the server reruns it later.
    async fn cancel_jobs(&self) {
        match rebuild::cancel_jobs(&self.rebuild.live).await {
            Ok(0) => {}
            Ok(jobs) => tracing::info!(
                jobs,
                "cancelled jobs of TimescaleDB that held the tables, the server runs them again"
            ),
            Err(error) => tracing::warn!(%error, "jobs of TimescaleDB may hold the tables"),
        }
    }

    fn unknown_outcome(&self, error: StoreError) -> anyhow::Error {
        let before = self.rebuild.schema.before();
        anyhow::Error::new(error).context(format!(
            "it is unknown whether the tables were exchanged: they were if there is a schema {before}"
        ))
    }

    /// Brings the new tables at least to the live positions, which cannot move now, and copies the last live rows.
    async fn reach_live_positions(
        &self,
        swap: &Swap,
        checkpoint: Checkpoint,
        swapped: &mut Swapped,
    ) -> anyhow::Result<()> {
        let Self { rebuild, watcher, shutdown } = self;
        rebuild.catch_up_at(None, *watcher, shutdown).await?;
        let live = swap.positions().await.context("read the live positions")?;
        for (source, progress) in &rebuild.streams {
            let there = live.iter().find(|(stream, _)| *stream == source.stream);
            let Some((_, there)) = there else { continue };
            // The live tables may have half a block that was left for later here.
            let bounds = Bounds { to: there.sequence, tail: TailPolicy::Flush, rate: None };
            rebuild.read(source, progress, bounds, *watcher, shutdown).await?;
            self.advance_position(&source.stream, *there).await?;
        }
        let live_copy = self.live_copy().await?;
        // Everything older was copied before, unless something was lost since.
        let is_known = rebuild.lost_ranges() == checkpoint.lost_ranges;
        let span = Span::after(if is_known { checkpoint.until_us } else { i64::MIN });
        swapped.copied += copy_blocks::blocks(&live_copy, span, *watcher)
            .await
            .context("copy the last blocks")?;
        swapped.copied.rows +=
            live_copy.copy_rows_of_no_block(span).await.context("copy the last rows")?;
        let streams: Vec<&str> =
            rebuild.streams.iter().map(|(source, _)| source.stream.as_str()).collect();
        swapped.unstreamed_tables = live_copy
            .copy_unstreamed_tables(&streams)
            .await
            .context("copy tables that no stream fills")?;
        copy_block_columns(&live_copy, span).await?;
        refuse_missing_heights(&live_copy, span).await
    }

    /// Moves a position of the new tables to the live one. The stream was read to its end: messages in between have left it,
    /// and their rows come from the live tables.
    async fn advance_position(&self, stream: &str, live: StreamPosition) -> anyhow::Result<()> {
        let position = self.rebuild.position(stream).await?;
        let state = self.rebuild.state(stream).await?;
        // The live position may be of an earlier stream of that name.
        if is_of(&state, live) && position.sequence < live.sequence {
            let revision = position.revision.max(live.revision);
            let there = StreamPosition { revision, ..live };
            let moved = self.rebuild.store.move_position(stream, position, there).await;
            moved.context("move a position of the new tables")?;
        }
        Ok(())
    }

    async fn unless_stopped<T>(
        &self,
        work: impl Future<Output = anyhow::Result<T>>,
    ) -> anyhow::Result<T> {
        // Boxed, because nested futures of this size would overflow the stack.
        unless_stopped(self.shutdown, Box::pin(work)).await?
    }
}

/// Keeps the time at which each block was first stored.
async fn copy_block_columns(live_copy: &LiveCopy, span: Span) -> anyhow::Result<()> {
    let copied = live_copy.copy_unstreamed_columns(span).await;
    copied.context("copy when blocks were stored")?;
    Ok(())
}

/// The last check before a swap.
async fn refuse_missing_heights(live_copy: &LiveCopy, span: Span) -> anyhow::Result<()> {
    let missing = live_copy.count_missing_heights(span).await.context("compare the heights")?;
    if missing > 0 {
        bail!(
            "the new tables would lack {missing} canonical blocks of the live ones: nothing was exchanged"
        );
    }
    Ok(())
}
