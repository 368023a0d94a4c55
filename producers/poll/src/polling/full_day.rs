//! A day of every provider that is polled by default, each endpoint on its own schedule, through the real schedule,
//! throttle, quota and breaker. Time is paused, and requests are counted instead of sent: what filters make of answers is
//! not part of it.
#![allow(clippy::unwrap_used)]

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use crypto_intel_service::prometheus::Registry;
use parking_lot::Mutex;
use tokio::task::JoinSet;

use super::{
    board::Board, compliance, compliance::Compliance, compliance::SlotOutcome, failure::PollError,
    failure::verdict_of, pacer::Pacer, throttle::ProviderThrottle,
};
use crate::{
    catalogue::{Endpoint, Provider, ProviderFile, WithKeys, shipped_providers},
    clock::Clock,
    fetch::FetchError,
    metrics::Metrics,
    quota::{
        ledger::Ledger, limits::Limits, memory::MemoryStore, record::SendRecord, signals::Signals,
        store::UsageStore,
    },
    reference::assert_reference,
};

const DAY: Duration = Duration::from_secs(86_400);
/// How often what is kept is counted.
const COUNT_INTERVAL: Duration = Duration::from_secs(1_200);
/// How often a provider is looked at; the role does so every two seconds.
const LOOK_INTERVAL: Duration = Duration::from_secs(300);
/// Midnight of a day within a month.
const START_US: i64 = 1_797_033_600_000_000;
/// Share of all slots that have to be on time, percent.
const ENOUGH_ON_TIME_PERCENT: u64 = 80;
/// The same for one provider: one that permits a request a minute cannot repeat five that are due at once in time.
const ENOUGH_OF_ONE_PERCENT: u64 = 75;
/// A provider with fewer slots a day is judged with the others only.
const ENOUGH_SLOTS: u64 = 200;

/// How the day of one provider was.
#[derive(Debug)]
pub(crate) struct Day {
    pub(crate) requests: usize,
    endpoints: usize,
    failed: usize,
    limits: Limits,
    /// More than the quota has in one of its windows.
    exceeded: Option<String>,
    /// Slots on time, late and skipped.
    slots: [u64; 3],
    /// Most entries and bytes that were kept in each half of the day.
    kept: [Kept; 2],
}

#[derive(Debug, Clone, Copy, Default)]
struct Kept {
    refusals: usize,
    series: usize,
    /// Of the endpoint that has the most.
    remembered_slots: usize,
    /// Of what is stored of the quota.
    bytes: usize,
}

impl Day {
    pub(crate) fn has_enough_slots(&self) -> bool {
        self.slots.iter().sum::<u64>() >= ENOUGH_SLOTS
    }

    pub(crate) fn on_time_percent(&self) -> u64 {
        self.slots[0] * 100 / self.slots.iter().sum::<u64>().max(1)
    }
}

/// A day of each provider that is polled by default, by name, with every fifth request failing. Those that share a quota
/// have one runtime, so that a day does not depend on the others.
fn days() -> BTreeMap<String, Day> {
    let is_default =
        |file: &ProviderFile| file.enabled && !file.key.as_ref().is_some_and(|key| key.required);
    let shipped = shipped_providers(WithKeys::Required).unwrap().into_iter();
    let mut groups: BTreeMap<String, Vec<Provider>> = BTreeMap::new();
    for (_, provider) in shipped.filter(|(file, _)| is_default(file)) {
        groups.entry(provider.quota_of.clone()).or_default().push(provider);
    }
    let queue = Mutex::new(groups.into_values());
    let days = Mutex::new(BTreeMap::new());
    let work = || {
        loop {
            let next = queue.lock().next();
            let Some(group) = next else { return };
            let builder = &mut tokio::runtime::Builder::new_current_thread();
            let runtime = builder.enable_time().start_paused(true).build().unwrap();
            days.lock().extend(runtime.block_on(days_of(group)));
        }
    };
    std::thread::scope(|scope| {
        let threads = std::thread::available_parallelism().map_or(1, usize::from);
        (0..threads).for_each(|_| drop(scope.spawn(work)));
    });
    days.into_inner()
}

/// A day of those that share a quota.
async fn days_of(group: Vec<Provider>) -> Vec<(String, Day)> {
    let (clock, store) = (Clock::paused_at(START_US), MemoryStore::without_json());
    let sent = Arc::new(Mutex::new(SendRecord::default()));
    let day = |provider| day_of(provider, clock, store.clone(), Arc::clone(&sent));
    let mut days = futures::future::join_all(group.into_iter().map(day)).await;
    let exceeded = |(_, day): &mut (String, Day)| day.exceeded = sent.lock().exceeded(&day.limits);
    days.iter_mut().for_each(exceeded);
    days
}

/// What the tasks of one provider share.
#[derive(Clone)]
struct World {
    throttle: Arc<ProviderThrottle>,
    board: Board,
    clock: Clock,
    /// Of all that share the quota.
    sent: Arc<Mutex<SendRecord>>,
    /// Requests of this provider, and how many of them failed.
    counts: Arc<Mutex<[usize; 2]>>,
}

async fn day_of(
    provider: Provider,
    clock: Clock,
    store: MemoryStore,
    sent: Arc<Mutex<SendRecord>>,
) -> (String, Day) {
    let registry = Registry::new();
    let metrics = Metrics::new(&registry).unwrap();
    let usage = UsageStore::Memory(store.clone());
    let ledger = Ledger::new(&provider.quota_of, provider.limits, &provider.keys, usage, clock);
    let world = World {
        throttle: Arc::new(ProviderThrottle::new(ledger, clock)),
        board: Board::new(&provider.name, metrics.clone(), clock),
        clock,
        sent,
        counts: Arc::default(),
    };
    let mut tasks = JoinSet::new();
    for endpoint in &provider.endpoints {
        tasks.spawn(world.clone().poll(Arc::clone(endpoint)));
    }
    let kept = world.watch(&store, &registry).await;
    tasks.shutdown().await;
    let slots = |outcome: SlotOutcome| {
        let count = |endpoint: &Arc<Endpoint>| {
            let labels = [provider.name.as_str(), endpoint.name.as_str(), outcome.as_str()];
            metrics.slots.with_label_values(&labels).get()
        };
        provider.endpoints.iter().map(count).sum()
    };
    let [requests, failed] = *world.counts.lock();
    let day = Day {
        requests,
        failed,
        endpoints: provider.endpoints.len(),
        limits: provider.limits,
        exceeded: None,
        slots: SlotOutcome::ALL.map(slots),
        kept,
    };
    (provider.name, day)
}

impl World {
    /// Looks at the provider for a day, and counts what is kept of it.
    async fn watch(&self, store: &MemoryStore, registry: &Registry) -> [Kept; 2] {
        let mut kept = [Kept::default(); 2];
        for half in &mut kept {
            for _ in 0..DAY.as_secs() / 2 / COUNT_INTERVAL.as_secs() {
                for _ in 0..COUNT_INTERVAL.as_secs() / LOOK_INTERVAL.as_secs() {
                    tokio::time::sleep(LOOK_INTERVAL).await;
                    self.board.look();
                }
                let notes = self.board.look();
                let slots = notes.values().map(|note| note.slots.kept()).max().unwrap_or(0);
                let series: usize =
                    registry.gather().iter().map(|family| family.get_metric().len()).sum();
                half.refusals = half.refusals.max(self.throttle.kept());
                half.series = half.series.max(series);
                half.remembered_slots = half.remembered_slots.max(slots);
                half.bytes = half.bytes.max(store.bytes());
            }
        }
        kept
    }

    /// Polls an endpoint until this is dropped, as a poller does.
    async fn poll(self, endpoint: Arc<Endpoint>) {
        let label = endpoint.label();
        let (every, weight) = (endpoint.every, endpoint.weight.get());
        let throttle = Arc::clone(&self.throttle);
        let mut pacer = Pacer::new(&label, &endpoint.name, every, weight, throttle, self.clock);
        let slots = Compliance::default();
        self.board.join(&endpoint.name, endpoint.stale_after, *pacer.schedule(), slots);
        let mut luck = Luck { state: label.bytes().map(u64::from).sum() };
        let mut done = None;
        loop {
            let mut turn = pacer.turn(done).await;
            let mut error = None;
            // Each answer has all the pages that it may have.
            for page in 0..endpoint.page_limit {
                if page > 0 {
                    turn.pass = pacer.further().await;
                }
                self.sent.lock().add(self.clock.now_us(), weight);
                self.counts.lock()[0] += 1;
                error = luck.request(&endpoint).await;
                let verdict = verdict_of(error.as_ref(), Signals::default());
                pacer.report(&turn, &verdict).await;
                if error.is_some() {
                    self.counts.lock()[1] += 1;
                    break;
                }
            }
            match error {
                None => {
                    done = Some(turn.slot_us);
                    self.board.slot_done(&endpoint.name, turn.slot_us);
                    pacer.succeeded();
                }
                Some(error) => {
                    let again = PollError::Fetch(error).again();
                    tokio::time::sleep(pacer.delay_after(&turn, again)).await;
                }
            }
        }
    }
}

/// Chance that is the same in each run.
struct Luck {
    state: u64,
}

impl Luck {
    fn below(&mut self, limit: u64) -> u64 {
        self.state = self.state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        (self.state >> 33) % limit
    }

    /// What comes of a request: of a thousand, two hundred fail.
    async fn request(&mut self, endpoint: &Endpoint) -> Option<FetchError> {
        let wait = Duration::from_secs(1 + self.below(10));
        let text = String::new;
        let error = match self.below(1_000) {
            0..800 => None,
            800..840 => Some(FetchError::RateLimited { reason: text(), wait: Some(wait) }),
            840 => Some(FetchError::RateLimited { reason: text(), wait: None }),
            841..900 => Some(FetchError::Server { status: 500, excerpt: text(), wait: None }),
            900..910 => Some(FetchError::Server { status: 503, excerpt: text(), wait: Some(wait) }),
            910..960 => {
                let timeout_ms = u64::try_from(endpoint.timeout.as_millis()).unwrap();
                Some(FetchError::Timeout { timeout_ms })
            }
            960 => {
                let status = if self.below(2) == 0 { 401 } else { 403 };
                Some(FetchError::Refused { status, excerpt: text() })
            }
            _ => Some(FetchError::Shape { problem: text() }),
        };
        let took = match &error {
            Some(FetchError::Timeout { .. }) => endpoint.timeout,
            _ => Duration::from_millis(50 + self.below(1_500)),
        };
        tokio::time::sleep(took).await;
        error
    }
}

#[test]
fn a_day_of_the_catalogue_keeps_quotas_schedules_and_memory_and_is_in_the_reference() {
    let days = days();
    let sum = |of: fn(&Day) -> usize| days.values().map(of).sum::<usize>();
    let (requests, failed) = (sum(|day| day.requests), sum(|day| day.failed));
    assert!((18..=22).contains(&(failed * 100 / requests)), "{failed} of {requests} failed");
    let all = |place: usize| days.values().map(|day| day.slots[place]).sum::<u64>();
    let slots = [all(0), all(1), all(2)];
    let percent = slots[0] * 100 / slots.iter().sum::<u64>();
    assert!(percent > ENOUGH_ON_TIME_PERCENT, "{percent} % of all slots are on time: {slots:?}");
    for (name, day) in &days {
        assert_eq!(day.exceeded, None, "{name}");
        let is_good = day.on_time_percent() > ENOUGH_OF_ONE_PERCENT;
        assert!(
            is_good || !day.has_enough_slots(),
            "{name}: {} % on time, {day:?}",
            day.on_time_percent()
        );
        let Kept { remembered_slots, series, .. } = day.kept[1];
        assert!(remembered_slots <= compliance::REMEMBERED, "{name}: {remembered_slots} slots");
        assert!(day.kept[1].refusals <= day.endpoints * 2, "{name}: {day:?}");
        assert!(series <= day.endpoints * SlotOutcome::ALL.len(), "{name}: {series} series");
    }
    let kept = |half: usize, of: fn(&Kept) -> usize| {
        days.values().map(|day| of(&day.kept[half])).sum::<usize>()
    };
    // How many are refused at once is chance; that those of the morning do not stay is not.
    for of in [(|kept| kept.refusals) as fn(&Kept) -> usize, |kept| kept.bytes] {
        let (morning, evening) = (kept(0, of), kept(1, of));
        assert!(evening * 2 <= morning * 3, "what is kept grows: {morning}, then {evening}");
    }
    assert_reference(&days);
}
