//! Days of polling within seconds: time is paused, providers fail every fifth time.
#![allow(clippy::unwrap_used)]

use std::{sync::Arc, time::Duration};

use crypto_intel_service::{Secret, prometheus::Registry};
use parking_lot::Mutex;
use tokio::task::JoinSet;

use super::{
    board::Board, compliance::Compliance, pacer::Again, pacer::Pacer, throttle::ProviderThrottle,
    verdict::Verdict,
};
use crate::{
    clock::Clock,
    metrics::Metrics,
    quota::{
        ledger::Ledger, limits::Limits, memory::MemoryStore, record::SendRecord, signals::Signals,
        store::UsageStore,
    },
};

const DAY: Duration = Duration::from_secs(86_400);
/// 06:00 of the last day of a year.
const START_US: i64 = 1_798_696_800_000_000;

/// A provider, and the period and weight of each of its endpoints.
struct Simulated {
    name: &'static str,
    limits: Limits,
    keys: usize,
    endpoints: &'static [(u64, u32)],
}

/// What was sent with each key of a provider.
type Records = Arc<Mutex<Vec<SendRecord>>>;

/// Everything that outlives an instance.
struct World {
    clock: Clock,
    store: MemoryStore,
    metrics: Metrics,
    /// Of 100 requests, how many fail.
    failures: u64,
}

impl World {
    fn new(failures: u64) -> Self {
        let (clock, store) = (Clock::paused_at(START_US), MemoryStore::default());
        Self { clock, store, metrics: Metrics::new(&Registry::new()).unwrap(), failures }
    }

    /// Polls a provider until the tasks are dropped.
    fn poll(&self, provider: &Simulated, records: &Records, tasks: &mut JoinSet<()>) {
        let keys: Vec<Secret> =
            (0..provider.keys).map(|key| Secret::new(format!("key{key}"))).collect();
        let store = UsageStore::Memory(self.store.clone());
        let ledger = Ledger::new(provider.name, provider.limits, &keys, store, self.clock);
        let throttle = Arc::new(ProviderThrottle::new(ledger, self.clock));
        let board = Board::new(provider.name, self.metrics.clone(), self.clock);
        for (index, (seconds, weight)) in provider.endpoints.iter().enumerate() {
            let name = format!("e{index}");
            let label = format!("{}.{name}", provider.name);
            let every = Duration::from_secs(*seconds);
            let (throttle, clock) = (Arc::clone(&throttle), self.clock);
            let pacer = Pacer::new(&label, &name, every, *weight, throttle, clock);
            board.join(&name, every * 3, *pacer.schedule(), Compliance::default());
            let luck = Luck { state: label.bytes().map(u64::from).sum(), failures: self.failures };
            let sent = Sent { records: Arc::clone(records), clock, weight: *weight };
            tasks.spawn(poll_endpoint(pacer, board.clone(), name, luck, sent));
        }
    }

    fn slots(&self, provider: &str, outcome: &str) -> u64 {
        let endpoints = (0..5).map(|index| format!("e{index}"));
        let counter = |endpoint: String| {
            self.metrics.slots.with_label_values(&[provider, &endpoint, outcome]).get()
        };
        endpoints.map(counter).sum()
    }

    fn on_time_percent(&self, provider: &str) -> u64 {
        let [on_time, late, skipped] =
            ["on_time", "late", "skipped"].map(|outcome| self.slots(provider, outcome));
        on_time * 100 / (on_time + late + skipped).max(1)
    }
}

struct Sent {
    records: Records,
    clock: Clock,
    weight: u32,
}

async fn poll_endpoint(mut pacer: Pacer, board: Board, name: String, mut luck: Luck, sent: Sent) {
    let mut done = None;
    loop {
        let turn = pacer.turn(done).await;
        sent.records.lock()[turn.pass.key].add(sent.clock.now_us(), sent.weight);
        tokio::time::sleep(Duration::from_millis(50 + luck.below(1_500))).await;
        let (verdict, again) = luck.outcome();
        pacer.report(&turn, &verdict).await;
        match again {
            None => {
                done = Some(turn.slot_us);
                board.slot_done(&name, turn.slot_us);
                pacer.succeeded();
            }
            Some(again) => tokio::time::sleep(pacer.delay_after(&turn, again)).await,
        }
    }
}

/// Chance that is the same in each run.
struct Luck {
    state: u64,
    failures: u64,
}

impl Luck {
    fn below(&mut self, limit: u64) -> u64 {
        self.state = self.state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        (self.state >> 33) % limit
    }

    /// What comes of a request, and when it is repeated.
    fn outcome(&mut self) -> (Verdict, Option<Again>) {
        let answered = Verdict::Answered(Signals::default());
        if self.below(100) >= self.failures {
            return (answered, None);
        }
        let wait =
            |seconds, everybody| Verdict::Wait { wait: Duration::from_secs(seconds), everybody };
        match self.below(20) {
            0..10 => (Verdict::Failed, Some(Again::Soon)),
            10..13 => (answered, Some(Again::NextSlot)),
            13..16 => (wait(7, false), Some(Again::WhenPermitted)),
            16..17 => (wait(60, false), Some(Again::WhenPermitted)),
            _ => (wait(5, true), Some(Again::Soon)),
        }
    }
}

const fn limits(
    second: Option<u32>,
    minute: Option<u32>,
    day: Option<u32>,
    month: Option<u32>,
    burst: u32,
) -> Limits {
    Limits { second, minute, day, month, burst }
}

/// Each at up to 80 % of its tightest window, as shipped files are.
fn modest() -> [Simulated; 4] {
    [
        Simulated {
            name: "fast",
            limits: limits(Some(5), Some(60), None, None, 5),
            keys: 0,
            endpoints: &[(30, 1), (30, 5), (60, 2), (60, 3)],
        },
        Simulated {
            name: "heavy",
            limits: limits(None, Some(300), None, None, 160),
            keys: 1,
            endpoints: &[(30, 80), (60, 40)],
        },
        Simulated {
            name: "daily",
            limits: limits(None, Some(5), Some(360), None, 2),
            keys: 1,
            endpoints: &[(600, 1), (600, 1)],
        },
        Simulated {
            name: "monthly",
            limits: limits(Some(20), None, None, Some(10_000), 20),
            keys: 1,
            endpoints: &[(3_600, 10)],
        },
    ]
}

fn records(provider: &Simulated) -> Records {
    Arc::new(Mutex::new(vec![SendRecord::default(); provider.keys.max(1)]))
}

fn assert_not_exceeded(provider: &Simulated, records: &Records) {
    for (key, record) in records.lock().iter().enumerate() {
        assert_eq!(record.exceeded(&provider.limits), None, "{} key {key}", provider.name);
        assert!(!record.sent.is_empty(), "{} key {key} was never used", provider.name);
    }
}

#[tokio::test(start_paused = true)]
async fn a_day_with_every_fifth_request_failing_keeps_quotas_and_schedules() {
    let world = World::new(20);
    let providers = modest();
    let all: Vec<Records> = providers.iter().map(records).collect();
    let mut bytes = Vec::new();
    // Three instances, one after the other: restarts.
    for _ in 0..3 {
        let mut tasks = JoinSet::new();
        for (provider, records) in providers.iter().zip(&all) {
            world.poll(provider, records, &mut tasks);
        }
        tokio::time::sleep(DAY / 3).await;
        tasks.shutdown().await;
        bytes.push(world.store.bytes());
    }
    for (provider, records) in providers.iter().zip(&all) {
        assert_not_exceeded(provider, records);
        let percent = world.on_time_percent(provider.name);
        assert!(percent > 80, "{}: {percent} % on time", provider.name);
    }
    assert!(bytes.iter().all(|bytes| *bytes < 6_000), "memory is flat: {bytes:?}");
    assert_eq!(world.store.keys().len(), providers.len());
}

#[tokio::test(start_paused = true)]
async fn who_wants_more_than_the_quota_gets_the_quota() {
    let world = World::new(20);
    let greedy = Simulated {
        name: "greedy",
        limits: limits(Some(1), Some(20), Some(500), Some(600), 3),
        keys: 0,
        endpoints: &[(1, 1), (2, 3), (5, 2)],
    };
    let records = records(&greedy);
    let mut tasks = JoinSet::new();
    // Two instances at once, each of which believes that it polls alone.
    world.poll(&greedy, &records, &mut tasks);
    world.poll(&Simulated { limits: greedy.limits, ..greedy }, &records, &mut tasks);
    tokio::time::sleep(DAY).await;
    let units = || records.lock()[0].sent.iter().map(|(_, weight)| weight).sum::<u32>();
    assert_not_exceeded(&greedy, &records);
    // 18 hours are of the old month, 6 of the new one.
    assert!((990..=1_000).contains(&units()), "{} units", units());
    assert!(world.slots("greedy", "skipped") > 1_000);
    tokio::time::sleep(DAY).await;
    assert_not_exceeded(&greedy, &records);
    assert!((1_090..=1_100).contains(&units()), "the month is spent: {} units", units());
}

#[tokio::test(start_paused = true)]
async fn a_spent_key_gives_way_to_the_next_until_its_day_begins_again() {
    let world = World::new(0);
    let keyed = Simulated {
        name: "keyed",
        limits: limits(None, Some(10), Some(80), None, 2),
        keys: 2,
        endpoints: &[(600, 1)],
    };
    let records = records(&keyed);
    let mut tasks = JoinSet::new();
    world.poll(&keyed, &records, &mut tasks);
    tokio::time::sleep(DAY * 2).await;
    assert_not_exceeded(&keyed, &records);
    let sent = |key: usize| records.lock()[key].sent.clone();
    let first: Vec<i64> = sent(1).iter().map(|(time_us, _)| *time_us).collect();
    let spent_at = sent(0)[79].0;
    assert!(first[0] > spent_at, "the second key is for when the first is spent");
    let midnight = START_US + 18 * 3_600_000_000;
    assert!(sent(0)[80].0 >= midnight && sent(0)[80].0 < midnight + 700_000_000);
    assert!(world.on_time_percent("keyed") >= 99);
}
