//! Balances of watched wallets, read from the chain beside the live lane and never in it.
//!
//! This reads the chain's own stream: copies for watched addresses say what was touched, markers at which block, and
//! balances what was read already. So the live lane does nothing for it, nothing waits in memory, and after a crash the
//! stream says what is left to do ([ADR](../../../docs/adr/0019-balances.md)).

mod event;
mod fold;
mod holding;
mod holdings;
mod plan;
mod progress;
mod reading;
mod rest;

use std::{
    collections::{BTreeMap, BTreeSet},
    convert::Infallible,
    time::Duration,
};

use anyhow::Context as _;
use crypto_intel_nats::{
    Bucket, Kv, Nats, Notice, ReadBatch, ReaderOptions, Start, StreamMessage, StreamReader,
};
use crypto_intel_schemas::{
    AccountAddress, Address, BalanceReason, Event, Kind, Stream,
    subjects::{self, Lane},
};
use crypto_intel_service::now_us;
use tokio::time::{Instant, timeout};

use self::{
    event::BalanceEvents,
    fold::Fold,
    holding::{Holding, changed_by},
    holdings::Holdings,
    plan::{Schedule, next_turn},
    progress::Progress,
    reading::BalanceReader,
    rest::{BACKOFF, Rest},
};
use crate::{
    config::ChainConfig,
    enrich::{
        assets::AssetRegistry,
        prices::PriceCache,
        tokens::TokenMetadataCache,
        watch::{WatchView, WatchlistCache},
    },
    fetch::Fetcher,
    metrics::ChainMetrics,
};

/// Messages that are taken from the stream at once.
const READ_BATCH: usize = 1_000;
/// The stream is not read on while so much waits to be read from the chain: it holds the rest.
const MAX_WAITING: usize = 10_000;
/// How often the watch-list and the schedule are looked at while nothing else happens.
const LOOK_INTERVAL: Duration = Duration::from_millis(500);
/// What was published comes back within this time, or the server has trouble.
const ECHO_TIMEOUT: Duration = Duration::from_secs(30);

/// What balances are read with.
#[derive(Debug)]
pub(crate) struct BalanceParts {
    pub(crate) chain: String,
    pub(crate) nats: Nats,
    pub(crate) fetcher: Fetcher,
    pub(crate) assets: AssetRegistry,
    pub(crate) tokens: TokenMetadataCache,
    pub(crate) prices: PriceCache,
    pub(crate) watched: WatchlistCache,
    pub(crate) metrics: ChainMetrics,
}

/// Reads the balances of one chain.
#[derive(Debug)]
pub(crate) struct Balances {
    chain: String,
    nats: Nats,
    fetcher: Fetcher,
    multicall: Option<Address>,
    every_us: i64,
    most: usize,
    events: BalanceEvents,
    watched: WatchlistCache,
    metrics: ChainMetrics,
}

/// What is known while the stream is followed.
struct Following {
    reader: StreamReader,
    fold: Fold,
    holdings: Holdings,
    schedule: Schedule,
    chain_reader: BalanceReader,
    watched: WatchView,
    cursors: Kv,
    progress: Progress,
    rest: Rest,
}

/// What came of a turn.
enum Turn {
    /// There was nothing to read, or it is not the time.
    Nothing,
    /// Something was read and published.
    Read,
}

impl Balances {
    pub(crate) fn new(parts: BalanceParts, config: &ChainConfig) -> Self {
        let BalanceParts { chain, nats, fetcher, assets, tokens, prices, watched, metrics } = parts;
        let events = BalanceEvents {
            chain: chain.clone(),
            chain_id: config.chain_id,
            native: config.native.clone(),
            assets,
            tokens,
            prices,
        };
        Self {
            chain,
            nats,
            fetcher,
            multicall: config.multicall.parse().ok(),
            every_us: i64::try_from(config.balances_seconds.saturating_mul(1_000_000))
                .unwrap_or(i64::MAX),
            most: config.balances_calls,
            events,
            watched,
            metrics,
        }
    }

    /// Reads while this instance leads the chain, from when live is near the head. Cancel-safe: what is cut off is done again by the
    /// next leader.
    pub(crate) async fn run(&self, is_near_head: impl Fn() -> bool) -> Infallible {
        let mut delays = BACKOFF.delays();
        loop {
            let began = Instant::now();
            let Err(error) = self.follow(&is_near_head).await;
            if began.elapsed() > BACKOFF.longest {
                delays = BACKOFF.delays();
            }
            let delay = delays.next().unwrap_or(BACKOFF.longest);
            tracing::warn!(chain = self.chain, error = %format!("{error:#}"), delay_ms = delay.as_millis() as u64, "balances cannot be read, trying again");
            tokio::time::sleep(delay).await;
        }
    }

    async fn follow(&self, is_near_head: impl Fn() -> bool) -> anyhow::Result<Infallible> {
        while self.watched.view(&self.chain).is_empty() || !is_near_head() {
            tokio::time::sleep(LOOK_INTERVAL).await;
        }
        let mut following = self.begin().await?;
        // What is in the stream already may answer for what was touched: nothing is read before its end.
        while let Some(batch) = following.reader.next_until_end(READ_BATCH).await? {
            self.take(&mut following, batch);
        }
        loop {
            self.look(&mut following);
            match self.turn(&mut following).await {
                Ok(Turn::Read) => following.rest.after_success(),
                Ok(Turn::Nothing) => {}
                Err(error) => {
                    let delay = following.rest.after_failure(Instant::now());
                    self.metrics.balance_turn_failed();
                    tracing::warn!(chain = self.chain, error = %format!("{error:#}"), delay_ms = delay.as_millis() as u64, "balances are not read now, trying again");
                }
            }
            following.holdings.save().await?;
            self.save_progress(&mut following).await?;
            self.wait_for_messages(&mut following).await?;
        }
    }

    async fn begin(&self) -> anyhow::Result<Following> {
        let cursors = self.nats.kv(Bucket::Cursors).await.context("open bucket cursors")?;
        let progress = Progress::read(&cursors, &self.chain).await?;
        let stream = Stream::Evm.name();
        let marker = subjects::chain(Lane::Live, &self.chain, Kind::Block);
        // The first time from the stream's beginning: whatever it tells of touches before is all that is known of what wallets hold.
        let after = progress.sequence.unwrap_or(0);
        let filters = [
            marker,
            subjects::watch_chain_all(&self.chain),
            subjects::balance_chain_all(&self.chain),
        ];
        let name = format!("evm-balances-{}", self.chain);
        let options = ReaderOptions::new(stream, name, Start::Sequence(after + 1)).filters(filters);
        let reader = StreamReader::open(&self.nats, options).await.context("open the reader")?;
        Ok(Following {
            reader,
            fold: Fold::after(after),
            holdings: Holdings::load(&self.nats, &self.chain).await?,
            schedule: Schedule::default(),
            chain_reader: BalanceReader::new(&self.chain, self.fetcher.clone(), self.multicall),
            watched: WatchView::default(),
            cursors,
            progress,
            rest: Rest::new(),
        })
    }

    /// Takes in what the stream says.
    fn take(&self, following: &mut Following, batch: ReadBatch) {
        for notice in batch.notices {
            match notice {
                // With filters such a range need not have held anything of ours.
                Notice::LostRange { from, to } => {
                    tracing::debug!(chain = self.chain, from, to, "messages are gone unread");
                }
                Notice::StreamReset { first_sequence, .. } => {
                    following.fold = Fold::after(first_sequence.saturating_sub(1));
                }
            }
            // Whatever was missed is made good by the schedule.
            following.progress.note_missed();
        }
        for message in batch.messages {
            self.take_message(following, &message);
        }
    }

    fn take_message(&self, following: &mut Following, message: &StreamMessage) {
        // What others wrote here is set aside by the chain itself.
        let Ok(event) = Event::decode(&message.payload) else { return };
        match &event {
            Event::Block(marker) => following.fold.mark(marker, message.sequence),
            Event::Balance(balance) => {
                if let Some(holding) = Holding::of(balance) {
                    following.holdings.note(balance, holding);
                    following.fold.read(balance, holding);
                }
            }
            event => {
                let watched = subjects::watched_address(&message.subject);
                let Some(wallet) = watched.and_then(|address| address.evm()) else { return };
                for holding in changed_by(event, wallet) {
                    following.fold.touch(holding);
                }
            }
        }
    }

    /// Looks whether the watch-list changed, and whether a round is due.
    fn look(&self, following: &mut Following) {
        let view = self.watched.view(&self.chain);
        if !view.is_same(&following.watched) {
            let gone: Vec<Address> = following
                .holdings
                .wallets()
                .filter(|wallet| !view.has(&AccountAddress::from(**wallet)))
                .copied()
                .collect();
            gone.iter().for_each(|wallet| following.holdings.forget(wallet));
            let before = std::mem::replace(&mut following.watched, view);
            let new = following.watched.addresses().filter(|address| !before.has(address));
            // One may be on both lists.
            let new: BTreeSet<Address> = new.filter_map(AccountAddress::evm).collect();
            for wallet in new.into_iter().filter(|wallet| !following.holdings.has(wallet)) {
                following.schedule.add(wallet);
            }
        }
        let now = now_us();
        if !following.schedule.is_in_round() && following.progress.is_due(now, self.every_us) {
            let wallets: Vec<Address> = following.holdings.wallets().copied().collect();
            following.progress.round_begins();
            following.chain_reader.begin_round();
            following.schedule.begin(wallets, now);
        }
        let waiting = following.fold.waiting() + following.schedule.waiting();
        self.metrics.balances_waiting(waiting);
    }

    /// One call to the chain, where something is to be read.
    async fn turn(&self, following: &mut Following) -> anyhow::Result<Turn> {
        if following.rest.lasts(Instant::now()) {
            return Ok(Turn::Nothing);
        }
        let Some(block) = following.fold.top() else { return Ok(Turn::Nothing) };
        let listed: Vec<Address> = self.events.listed().collect();
        let mut wanted = next_turn(
            &following.fold,
            &mut following.schedule,
            (&following.holdings, &listed),
            self.most,
        );
        wanted.retain(|holding, _| {
            let is_watched = following.watched.has(&AccountAddress::from(holding.wallet));
            if !is_watched {
                following.fold.forget(holding);
            }
            is_watched
        });
        if wanted.is_empty() {
            return Ok(Turn::Nothing);
        }
        let told = self.read_and_publish(following, block, &wanted).await;
        if told.is_err() {
            following.schedule.put_back(&wanted);
        }
        told.map(|()| Turn::Read)
    }

    async fn read_and_publish(
        &self,
        following: &mut Following,
        block: fold::Top,
        wanted: &BTreeMap<Holding, BalanceReason>,
    ) -> anyhow::Result<()> {
        let holdings: Vec<Holding> = wanted.keys().copied().collect();
        let readings = following.chain_reader.read(block, &holdings).await?;
        for (_, answer) in &readings.answers {
            self.metrics.balance_read(answer.outcome());
        }
        let reason = |holding: &Holding| wanted.get(holding).copied().unwrap_or_default();
        let answers: Vec<_> = readings
            .answers
            .into_iter()
            .map(|(holding, answer)| (holding, reason(&holding), answer))
            .collect();
        let messages = self.events.messages(readings.block, &answers, &following.watched).await;
        if messages.is_empty() {
            return Ok(());
        }
        let published = self.nats.publish_together(&messages, None).await;
        let published = published.context("publish balances")?;
        // They are taken in as any other message: what they answer for is known by one way only.
        while following.reader.position().sequence < published.last_sequence {
            let batch = timeout(ECHO_TIMEOUT, following.reader.next(READ_BATCH)).await;
            let batch = batch.context("read back what was published")??;
            self.take(following, batch);
        }
        Ok(())
    }

    async fn save_progress(&self, following: &mut Following) -> anyhow::Result<()> {
        if let Some(began_at_us) = following.schedule.ended() {
            following.progress.round_ended(began_at_us);
        }
        following.progress.sequence = Some(following.fold.resume_after());
        following.progress.write(&following.cursors, &self.chain).await
    }

    /// Waits for messages, unless there is something to read from the chain at once.
    async fn wait_for_messages(&self, following: &mut Following) -> anyhow::Result<()> {
        let rests = following.rest.is_on();
        // Without a newest block, only the stream can say what the next one is.
        let has_block = following.fold.top().is_some();
        if has_block && following.fold.waiting() >= MAX_WAITING {
            if rests {
                tokio::time::sleep(LOOK_INTERVAL).await;
            }
            return Ok(());
        }
        let is_busy = following.fold.waiting() > 0 || !following.schedule.is_empty();
        let patience = match is_busy && has_block && !rests {
            true => Duration::ZERO,
            false => LOOK_INTERVAL,
        };
        match timeout(patience, following.reader.next(READ_BATCH)).await {
            Ok(batch) => self.take(following, batch?),
            Err(_) => return Ok(()),
        }
        // Whatever else has arrived belongs to the same turn.
        while following.fold.waiting() < MAX_WAITING {
            let messages = following.reader.try_more(READ_BATCH);
            if messages.is_empty() {
                break;
            }
            self.take(following, ReadBatch { messages, notices: Vec::new() });
        }
        Ok(())
    }
}
