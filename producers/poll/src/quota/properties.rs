#![allow(clippy::unwrap_used)]

use crypto_intel_service::Secret;
use proptest::prelude::*;

use super::{
    calendar::end_us,
    ledger::Ledger,
    limits::{Limits, Window},
    memory::MemoryStore,
    record::SendRecord,
    signals::Signals,
    store::UsageStore,
    usage::Usage,
};
use crate::clock::Clock;

/// A quarter of an hour before a month ends.
const START_US: i64 = 1_798_761_600_000_000 - 900_000_000;

prop_compose! {
    fn limits()(
        second in proptest::option::of(3_u32..6),
        minute in proptest::option::of(5_u32..40),
        day in proptest::option::of(10_u32..80),
        month in proptest::option::of(20_u32..120),
        burst in 3_u32..8,
    ) -> Limits {
        Limits { second, minute, day, month, burst }
    }
}

/// What happens to a ledger.
#[derive(Debug, Clone)]
enum Step {
    Ask {
        instance: usize,
        weight: u32,
    },
    Advance {
        milliseconds: u64,
    },
    /// An instance starts again and knows only what is stored.
    Restart {
        instance: usize,
    },
    Says {
        instance: usize,
        used: u64,
    },
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        12 => (0_usize..2, 1_u32..4).prop_map(|(instance, weight)| Step::Ask { instance, weight }),
        4 => (1_u64..900).prop_map(|milliseconds| Step::Advance { milliseconds }),
        2 => (1_000_u64..100_000).prop_map(|milliseconds| Step::Advance { milliseconds }),
        1 => (0_usize..2).prop_map(|instance| Step::Restart { instance }),
        1 => (0_usize..2, 0_u64..50).prop_map(|(instance, used)| Step::Says { instance, used }),
    ]
}

proptest! {
    /// Requests that are sent as soon as they may be never exceed a window, and wait no longer than they must for a
    /// window alone.
    #[test]
    fn no_window_is_ever_exceeded(
        limits in limits(),
        asks in proptest::collection::vec((0_i64..20_000_000, 1_u32..4), 1..200),
    ) {
        let mut usage = Usage::default();
        let mut record = SendRecord::default();
        let mut now_us = START_US;
        for (gap_us, weight) in asks {
            now_us += gap_us;
            while let Err(blocked) = usage.check(&limits, weight, now_us) {
                prop_assert!(blocked.until_us > now_us, "{blocked:?} is past");
                prop_assert!(blocked.until_us < now_us + 32 * 86_400_000_000, "{blocked:?}");
                now_us = blocked.until_us;
            }
            usage.take(&limits, weight, now_us);
            record.add(now_us, weight);
            prop_assert_eq!(record.exceeded(&limits), None);
        }
        let stored = serde_json::to_string(&usage).unwrap();
        prop_assert!(stored.len() < 4_000, "{} bytes", stored.len());
        prop_assert_eq!(serde_json::from_str::<Usage>(&stored).unwrap(), usage);
    }

    /// Two instances that share a store, with restarts and lost acknowledgements, do not exceed a window either.
    #[test]
    fn neither_restarts_nor_races_renew_a_window(
        limits in limits(),
        steps in proptest::collection::vec(step(), 1..200),
        lose_every in 0_u64..5,
    ) {
        let lose_every = if lose_every == 1 { 0 } else { lose_every };
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build().unwrap();
        let exceeded = runtime.block_on(async {
            let clock = Clock::paused_at(START_US);
            let store = UsageStore::Memory(MemoryStore::losing(lose_every));
            let start = || Ledger::new("p", limits, &[Secret::new("a")], store.clone(), clock);
            let mut instances = [start(), start()];
            let mut record = SendRecord::default();
            for step in steps {
                match step {
                    Step::Ask { instance, weight } => {
                        if instances[instance].reserve(0, weight).await.is_ok() {
                            record.add(clock.now_us(), weight);
                        }
                    }
                    Step::Advance { milliseconds } => {
                        tokio::time::advance(std::time::Duration::from_millis(milliseconds)).await;
                    }
                    Step::Restart { instance } => instances[instance] = start(),
                    Step::Says { instance, used } => {
                        let used = Some((Window::Day, used));
                        instances[instance].settle(0, 1, &Signals { used, ..Signals::default() }).await;
                    }
                }
            }
            record.exceeded(&limits)
        });
        prop_assert_eq!(exceeded, None);
    }
}

#[test]
fn a_spent_day_ends_at_midnight_and_a_spent_month_with_it() {
    let limits = Limits { day: Some(3), month: Some(5), burst: 9, ..Limits::default() };
    let mut usage = Usage::default();
    let noon = START_US - 10 * 86_400_000_000;
    for _ in 0..3 {
        usage.check(&limits, 1, noon).unwrap();
        usage.take(&limits, 1, noon);
    }
    let blocked = usage.check(&limits, 1, noon).unwrap_err();
    assert_eq!((blocked.window, blocked.until_us), (Window::Day, end_us(Window::Day, noon)));
    let tomorrow = blocked.until_us;
    usage.check(&limits, 2, tomorrow).unwrap();
    usage.take(&limits, 2, tomorrow);
    let blocked = usage.check(&limits, 1, tomorrow).unwrap_err();
    assert_eq!((blocked.window, blocked.until_us), (Window::Month, end_us(Window::Month, noon)));
    assert_eq!(usage.spent(&limits, tomorrow), Some(blocked));
    usage.check(&limits, 3, blocked.until_us).unwrap();
}

#[test]
fn a_clock_that_was_ahead_neither_renews_a_day_nor_blocks_it() {
    let limits = Limits { minute: Some(5), day: Some(5), burst: 5, ..Limits::default() };
    let mut usage = Usage::default();
    let year = 365 * 86_400_000_000;
    usage.take(&limits, 4, START_US + year);
    assert_eq!(usage.used(Window::Day, START_US), 4, "counts for today");
    let blocked = usage.check(&limits, 2, START_US).unwrap_err();
    assert_eq!(blocked.window, Window::Day);
    let blocked = usage.check(&limits, 5, blocked.until_us);
    assert_eq!(blocked, Ok(()), "and for no longer than a day");
}

#[test]
fn what_the_provider_says_counts_when_it_is_more() {
    let limits = Limits { minute: Some(10), day: Some(100), burst: 10, ..Limits::default() };
    let mut usage = Usage::default();
    usage.take(&limits, 2, START_US);
    usage.state(Window::Minute, 9, None, START_US);
    assert_eq!(usage.used(Window::Minute, START_US), 9);
    assert_eq!(usage.check(&limits, 2, START_US).unwrap_err().window, Window::Minute);
    usage.state(Window::Minute, 10, Some(START_US + 5_000_000), START_US);
    let blocked = usage.check(&limits, 1, START_US).unwrap_err();
    assert_eq!(blocked.until_us, START_US + 5_000_000, "its own end of the minute");
    usage.state(Window::Minute, 1, None, START_US);
    assert_eq!(usage.used(Window::Minute, START_US), 2, "less is not believed");
    usage.state(Window::Day, 80, None, START_US);
    assert_eq!(usage.warn(&limits, START_US), [Window::Day]);
    assert_eq!(usage.warn(&limits, START_US), [], "once a day");
    usage.correct(&limits, 2, 12, START_US);
    assert_eq!(usage.used(Window::Day, START_US), 90);
    usage.correct(&limits, 2, 1, START_US);
    assert_eq!(usage.used(Window::Day, START_US), 89);
}
