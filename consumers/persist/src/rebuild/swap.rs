//! The exchange of new and live tables, by ADR 6.

use std::time::Duration;

use anyhow::{Context as _, bail};
use crypto_intel_service::{Backoff, now_us};
use crypto_intel_store::{
    ErrorClass, StoreError, StreamPosition,
    rebuild::{self, CopyCounts, LiveCopy, Span, Swap, Waits},
};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::{Bounds, Rebuild, Stage, Watcher, carry, is_of};
use crate::intake::Rest;

/// A round of reading with fewer messages than this means that the new tables are close to the streams' ends.
const CLOSE_MESSAGES: u64 = 20_000;
/// A round that was quicker than this means the same.
const CLOSE_TIME: Duration = Duration::from_secs(2);
/// Writers wait so long for attempts, then they have their turn.
const ATTEMPTS_TIME: Duration = Duration::from_secs(10);
/// And no longer than this for the new tables to reach their positions.
const WRITERS_WAIT: Duration = Duration::from_secs(60);
/// Parts of the longest wait that an attempt waits for its first lock and for each of the others, and its tries. Most give
/// up at once where they would wait in vain, so that many transactions are no obstacle; some have the patience for long
/// queries.
const WAITS: [(u32, u32, u32); 4] = [(8, 300, 40), (2, 15, 1), (8, 300, 40), (1, 1, 1)];
/// For transactions that are longer than that: so many times the longest wait for the first lock, for which nobody waits in
/// vain, and the whole of it for the others.
const PATIENT_WAIT: u32 = 6;
/// What was stored in this time before a round may still be under way to the new tables.
const SLACK_US: i64 = 60_000_000;

/// How long others waited, in milliseconds.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, serde::Serialize)]
pub struct Paused {
    /// Writers, in the exchange that succeeded.
    pub writers_ms: u64,
    /// A reader at most, in the attempt that succeeded.
    pub readers_ms: u64,
}

/// What an exchange did.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct Swapped {
    /// Schema of the tables that were live before.
    pub before: String,
    /// Blocks and rows that came from the live tables.
    pub carried: CopyCounts,
    /// Tables that no stream fills and that were taken over whole.
    pub untold_tables: Vec<String>,
    /// Continuous aggregates that were computed for the new tables.
    pub aggregates: Vec<String>,
    /// Rights and options of the live tables that the server refuses to give to the new ones, as statements, and why.
    pub rights_left_out: Vec<String>,
    /// How often it was tried.
    pub attempts: u64,
    /// How long others waited.
    pub paused: Paused,
}

/// Up to where the live tables were looked through while nobody waited.
#[derive(Debug, Clone, Copy)]
struct Taken {
    until_us: i64,
    /// How many ranges had been lost by then.
    lost_ranges: u64,
}

/// How one round of attempts ended.
enum Round {
    Done(Paused),
    /// Somebody was in the way.
    Busy(Vec<String>),
    Shutdown,
}

impl Rebuild {
    /// Exchanges the new tables with the live ones; `None` when `shutdown` came first, and then nothing has changed.
    ///
    /// # Errors
    /// When something would be lost, when nobody gave way for `patience`, or when a statement fails; nothing has changed.
    pub async fn swap(
        &self,
        patience: Duration,
        watcher: Watcher<'_>,
        shutdown: &CancellationToken,
    ) -> anyhow::Result<Option<Swapped>> {
        let obstacles = self.obstacles().await?;
        if !obstacles.is_empty() {
            bail!("the exchange would lose or break something:\n  {}", obstacles.join("\n  "));
        }
        let taken_over = tokio::select! {
            taken_over = self.take_over(watcher, shutdown) => taken_over?,
            // Every statement of it may be cut off: its transaction is undone.
            () = shutdown.cancelled() => None,
        };
        let Some((mut swapped, taken)) = taken_over else { return Ok(None) };
        let deadline = Instant::now() + patience;
        let backoff =
            Backoff { first: Duration::from_millis(500), longest: Duration::from_secs(10) };
        let mut delays = backoff.delays();
        loop {
            let holders = match self.round(&mut swapped, taken, watcher, shutdown).await? {
                Round::Done(paused) => {
                    swapped.paused = paused;
                    break;
                }
                Round::Shutdown => return Ok(None),
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
            watcher(Stage::Waiting { holders });
            tokio::select! {
                () = shutdown.cancelled() => return Ok(None),
                () = tokio::time::sleep(delays.next().unwrap_or(backoff.longest)) => {}
            }
        }
        rebuild::drop_empty_schema(&self.live, &self.schema)
            .await
            .context("remove the emptied schema")?;
        Ok(Some(swapped))
    }

    /// Everything that takes long, while nobody waits.
    async fn take_over(
        &self,
        watcher: Watcher<'_>,
        shutdown: &CancellationToken,
    ) -> anyhow::Result<Option<(Swapped, Taken)>> {
        let carrier = self.carrier().await?;
        let (began_us, lost_ranges) = (now_us(), self.lost_ranges());
        if self.come_close(watcher, shutdown).await?.is_none() {
            return Ok(None);
        }
        let mut carried = carry::incomplete_blocks(&carrier, watcher)
            .await
            .context("fill up blocks from the live tables")?;
        // Whatever is newer may still be on its way through a stream.
        let taken = Taken { until_us: began_us - SLACK_US, lost_ranges };
        let span = Span::until(taken.until_us);
        let Some(blocks) = carry::blocks(&carrier, span, watcher, shutdown)
            .await
            .context("take over blocks from the live tables")?
        else {
            return Ok(None);
        };
        carried += blocks;
        watcher(Stage::Carrying { what: "rows of no block".to_owned(), blocks: carried.blocks });
        carried.rows += carrier
            .copy_rows_of_no_block(span)
            .await
            .context("take over rows from the live tables")?;
        untold_columns(&carrier, span).await?;
        refuse_bare(&carrier, span).await?;
        rebuild::analyze(&self.store).await.context("gather statistics of the new tables")?;
        let aggregates = rebuild::refresh_aggregates(&self.store, &self.location.schema)
            .await
            .context("compute continuous aggregates of the new tables")?;
        let swapped = Swapped {
            before: self.schema.before(),
            carried,
            untold_tables: Vec::new(),
            aggregates,
            rights_left_out: Vec::new(),
            attempts: 0,
            paused: Paused::default(),
        };
        Ok(Some((swapped, taken)))
    }

    async fn carrier(&self) -> anyhow::Result<LiveCopy> {
        LiveCopy::new(&self.store, &self.location.schema).await.context("compare the tables")
    }

    /// Reads until little is left; `None` on shutdown.
    async fn come_close(
        &self,
        watcher: Watcher<'_>,
        shutdown: &CancellationToken,
    ) -> anyhow::Result<Option<()>> {
        loop {
            let started = Instant::now();
            let Some(messages) = self.catch_up(watcher, shutdown).await? else { return Ok(None) };
            if messages < CLOSE_MESSAGES || started.elapsed() < CLOSE_TIME {
                return Ok(Some(()));
            }
        }
    }

    /// Locks out the writers, brings the new tables to where the live ones are, and tries to exchange them.
    async fn round(
        &self,
        swapped: &mut Swapped,
        taken: Taken,
        watcher: Watcher<'_>,
        shutdown: &CancellationToken,
    ) -> anyhow::Result<Round> {
        if self.come_close(watcher, shutdown).await?.is_none() {
            return Ok(Round::Shutdown);
        }
        let exchange = match Swap::begin(&self.live, &self.schema).await {
            Ok(exchange) => exchange,
            Err(error) if error.class() == ErrorClass::Transient => {
                return Ok(Round::Busy(vec![format!("{error}")]));
            }
            Err(error) => return Err(error).context("begin the exchange"),
        };
        let locked_out = Instant::now();
        let reaching = self.reach((&exchange, taken), swapped, watcher, shutdown);
        match tokio::time::timeout(WRITERS_WAIT, reaching).await {
            Ok(Ok(true)) => {}
            Ok(Ok(false)) => return Ok(Round::Shutdown),
            Ok(Err(error)) => return Err(error),
            Err(_) => {
                let reason = "the new tables did not reach the live ones in time".to_owned();
                return Ok(Round::Busy(vec![reason]));
            }
        }
        let mut holders = Vec::new();
        swapped.rights_left_out = exchange.grants_left_out().to_vec();
        let longest = exchange.max_wait();
        let short = WAITS.map(|(first, others, tries)| Waits {
            first: longest / first,
            others: longest / others,
            tries,
        });
        let patient = Waits { first: longest * PATIENT_WAIT, others: longest, tries: 1 };
        for waits in short.into_iter().chain([patient]).cycle() {
            swapped.attempts += 1;
            self.make_jobs_give_way().await;
            if exchange.attempt(waits).await.context("exchange the tables")? {
                let readers_ms =
                    exchange.readers_waited_ms().await.context("measure the attempt")?;
                exchange.commit().await.map_err(|error| self.doubt(error))?;
                let writers_ms = locked_out.elapsed().as_millis() as u64;
                return Ok(Round::Done(Paused { writers_ms, readers_ms }));
            }
            let seen = exchange.holders().await.unwrap_or_default();
            if !seen.is_empty() {
                holders = seen;
            }
            if locked_out.elapsed() > ATTEMPTS_TIME || shutdown.is_cancelled() {
                break;
            }
            // Readers get a moment for what they could not do.
            tokio::time::sleep(longest / 4).await;
        }
        Ok(Round::Busy(holders))
    }

    /// Jobs of the extension hold tables for as long as they work, and each is done again later.
    async fn make_jobs_give_way(&self) {
        match rebuild::cancel_jobs(&self.live).await {
            Ok(0) => {}
            Ok(jobs) => tracing::info!(
                jobs,
                "jobs of TimescaleDB held the tables: cancelled, the server runs them again"
            ),
            Err(error) => tracing::warn!(%error, "jobs of TimescaleDB may hold the tables"),
        }
    }

    fn doubt(&self, error: StoreError) -> anyhow::Error {
        let before = self.schema.before();
        anyhow::Error::new(error).context(format!(
            "it is unknown whether the tables were exchanged: they were if there is a schema {before}"
        ))
    }

    /// Brings the new tables to the live positions at least, which nobody moves now, and takes over the last of the live
    /// rows; `false` on shutdown.
    async fn reach(
        &self,
        (exchange, taken): (&Swap, Taken),
        swapped: &mut Swapped,
        watcher: Watcher<'_>,
        shutdown: &CancellationToken,
    ) -> anyhow::Result<bool> {
        if self.catch_up_at(None, watcher, shutdown).await?.is_none() {
            return Ok(false);
        }
        let live = exchange.positions().await.context("read the live positions")?;
        for (source, progress) in &self.streams {
            let there = live.iter().find(|(stream, _)| *stream == source.stream);
            let Some((_, there)) = there else { continue };
            // Live may have lost its patience with half a block that we left to later.
            let bounds = Bounds { to: there.sequence, rest: Rest::Stored, rate: None };
            if self.read(source, progress, bounds, watcher, shutdown).await?.is_none() {
                return Ok(false);
            }
            self.follow(&source.stream, *there).await?;
        }
        let carrier = self.carrier().await?;
        // All before was looked at while nobody waited; unless something was lost since, it holds.
        let is_known = self.lost_ranges() == taken.lost_ranges;
        let span = Span::after(if is_known { taken.until_us } else { i64::MIN });
        let Some(blocks) = carry::blocks(&carrier, span, watcher, shutdown)
            .await
            .context("take over the last blocks")?
        else {
            return Ok(false);
        };
        swapped.carried += blocks;
        swapped.carried.rows +=
            carrier.copy_rows_of_no_block(span).await.context("take over the last rows")?;
        let streams: Vec<&str> =
            self.streams.iter().map(|(source, _)| source.stream.as_str()).collect();
        swapped.untold_tables = carrier
            .copy_unstreamed_tables(&streams)
            .await
            .context("take over tables that no stream fills")?;
        untold_columns(&carrier, span).await?;
        refuse_bare(&carrier, span).await?;
        Ok(true)
    }

    /// The stream was read to its end: what lies between the new position and the live one has left it, and its rows
    /// come from the live tables.
    async fn follow(&self, stream: &str, live: StreamPosition) -> anyhow::Result<()> {
        let (position, state) = (self.position(stream).await?, self.state(stream).await?);
        // A live position in a stream that was made anew says nothing about the one there is.
        if is_of(&state, live) && position.sequence < live.sequence {
            let revision = position.revision.max(live.revision);
            let there = StreamPosition { revision, ..live };
            let moved = self.store.move_position(stream, position, there).await;
            moved.context("move a position of the new tables")?;
        }
        Ok(())
    }
}

/// When a block was first stored is nothing that a rebuild changes.
async fn untold_columns(carrier: &LiveCopy, span: Span) -> anyhow::Result<()> {
    carrier.copy_unstreamed_columns(span).await.context("take over when blocks were stored")?;
    Ok(())
}

/// The last look before anything is exchanged.
async fn refuse_bare(carrier: &LiveCopy, span: Span) -> anyhow::Result<()> {
    let bare = carrier.count_missing_heights(span).await.context("compare the heights")?;
    if bare > 0 {
        bail!(
            "the new tables would lack {bare} canonical blocks of the live ones: nothing was exchanged"
        );
    }
    Ok(())
}
