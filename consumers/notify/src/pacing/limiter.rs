//! Pacing that holds at the service: at most N messages in any window of time.
//!
//! A sliding log, stamped when the request *ends*: of token buckets, fixed windows and logs stamped
//! at the start, each lets more than N messages arrive in some window once the network's delay
//! varies. A message under way occupies its slot until its outcome is known.

use std::{collections::VecDeque, sync::Arc, time::Duration};

use parking_lot::{Mutex, MutexGuard};
use tokio::{sync::Notify, time::Instant};

use crate::config::Limit;

/// Pacing of one chat, webhook or bot; shared by all destinations that write to it. Stamps live in
/// memory: a restart begins with an empty window, and a 429 then corrects it.
#[derive(Debug)]
pub(crate) struct Limiter {
    limits: Vec<Limit>,
    log: Mutex<Log>,
    freed: Notify,
}

#[derive(Debug, Default)]
struct Log {
    /// When messages ended, oldest first, as far back as the longest window.
    ended: VecDeque<Instant>,
    under_way: usize,
    frozen_until: Option<Instant>,
    /// Critical messages that wait for a slot: no other goes before them.
    critical_waiting: usize,
}

/// Instead of a time that no clock can hold.
const MAX_FREEZE: Duration = Duration::from_secs(86_400);

/// A critical message waits while this lives.
#[derive(Debug)]
struct CriticalWait<'a>(&'a Limiter);

impl Drop for CriticalWait<'_> {
    fn drop(&mut self) {
        self.0.log.lock().critical_waiting -= 1;
        self.0.freed.notify_waiters();
    }
}

/// The slot of one message, freed when dropped: the message has ended.
#[derive(Debug)]
pub(crate) struct Slot {
    limiter: Arc<Limiter>,
}

/// A time as much later, or the latest that the clock can hold in good measure.
pub(super) fn later(now: Instant, duration: Duration) -> Instant {
    now.checked_add(duration).unwrap_or_else(|| now + MAX_FREEZE)
}

enum Turn {
    Now,
    At(Instant),
    AfterAnother,
}

impl Limiter {
    pub(crate) fn new(limits: Vec<Limit>) -> Self {
        Self { limits, log: Mutex::default(), freed: Notify::new() }
    }

    /// Waits for a slot. Cancel-safe.
    pub(crate) async fn acquire(self: &Arc<Self>, critical: bool) -> Slot {
        let _first = critical.then(|| {
            self.lock().critical_waiting += 1;
            CriticalWait(self)
        });
        loop {
            let freed = self.freed.notified();
            let turn = {
                let mut log = self.lock();
                let turn = self.turn(&mut log, Instant::now(), critical);
                if matches!(turn, Turn::Now) {
                    log.under_way += 1;
                }
                turn
            };
            match turn {
                Turn::Now => return Slot { limiter: Arc::clone(self) },
                Turn::At(when) => tokio::time::sleep_until(when).await,
                Turn::AfterAnother => freed.await,
            }
        }
    }

    /// Nothing is sent before this has passed: the service asked to wait.
    pub(crate) fn freeze(&self, duration: Duration) {
        let until = later(Instant::now(), duration);
        let mut log = self.lock();
        log.frozen_until = Some(log.frozen_until.map_or(until, |frozen| frozen.max(until)));
    }

    /// How long one message takes on average, at full use.
    pub(crate) fn per_message(&self) -> Duration {
        self.limits
            .iter()
            .map(|limit| Duration::from_millis(limit.per_ms) / limit.messages.max(1))
            .max()
            .unwrap_or_default()
    }

    fn turn(&self, log: &mut Log, now: Instant, critical: bool) -> Turn {
        let longest = self.limits.iter().map(|limit| limit.per_ms).max().unwrap_or(0);
        while log
            .ended
            .front()
            .is_some_and(|ended| now.duration_since(*ended) >= Duration::from_millis(longest))
        {
            log.ended.pop_front();
        }
        if !critical && log.critical_waiting > 0 {
            return Turn::AfterAnother;
        }
        let mut earliest = log.frozen_until.filter(|until| *until > now);
        for limit in &self.limits {
            let period = Duration::from_millis(limit.per_ms);
            let reserved = if critical { 0 } else { limit.reserved_for_critical };
            let allowed = limit.messages.saturating_sub(reserved).max(1) as usize;
            if log.under_way >= allowed {
                return Turn::AfterAnother;
            }
            // The message this many back must have left the window.
            let newest_blocking = allowed - log.under_way;
            if let Some(index) = log.ended.len().checked_sub(newest_blocking) {
                let free_at = log.ended[index] + period;
                if free_at > now {
                    earliest = Some(earliest.map_or(free_at, |at| at.max(free_at)));
                }
            }
        }
        earliest.map_or(Turn::Now, Turn::At)
    }

    fn lock(&self) -> MutexGuard<'_, Log> {
        self.log.lock()
    }
}

impl Drop for Slot {
    fn drop(&mut self) {
        let mut log = self.limiter.lock();
        log.under_way = log.under_way.saturating_sub(1);
        log.ended.push_back(Instant::now());
        drop(log);
        self.limiter.freed.notify_waiters();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn limit(messages: u32, per_ms: u64, reserved_for_critical: u32) -> Limit {
        Limit { messages, per_ms, reserved_for_critical }
    }

    /// Arrivals at a service whose one-way delays vary up to 300 ms, by a fixed pattern.
    async fn arrivals(limits: Vec<Limit>, messages: usize) -> Vec<Instant> {
        let limiter = Arc::new(Limiter::new(limits));
        let mut arrivals = Vec::new();
        for number in 0..messages {
            let slot = limiter.acquire(false).await;
            let delay =
                |salt: usize| Duration::from_millis(10 + ((number * 7919 + salt) % 290) as u64);
            tokio::time::sleep(delay(0)).await;
            arrivals.push(Instant::now());
            tokio::time::sleep(delay(131)).await;
            drop(slot);
        }
        arrivals
    }

    fn most_in_any(window: Duration, arrivals: &[Instant]) -> usize {
        arrivals
            .iter()
            .map(|from| arrivals.iter().filter(|at| **at >= *from && **at < *from + window).count())
            .max()
            .unwrap_or(0)
    }

    #[tokio::test(start_paused = true)]
    async fn never_more_than_the_limit_arrive_in_any_window() {
        let arrivals = arrivals(vec![limit(5, 2_000, 0), limit(20, 60_000, 0)], 100).await;
        assert_eq!(most_in_any(Duration::from_secs(2), &arrivals), 5);
        assert_eq!(most_in_any(Duration::from_secs(60), &arrivals), 20);
    }

    #[tokio::test(start_paused = true)]
    async fn wastes_little_of_the_limit() {
        let start = Instant::now();
        let arrivals = arrivals(vec![limit(20, 60_000, 0)], 100).await;
        let took = arrivals[99].duration_since(start);
        assert!(took < Duration::from_secs(4 * 60 + 30), "{took:?}");
    }

    #[tokio::test(start_paused = true)]
    async fn critical_messages_have_reserved_slots() {
        let limiter = Arc::new(Limiter::new(vec![limit(3, 60_000, 1)]));
        let start = Instant::now();
        drop(limiter.acquire(false).await);
        drop(limiter.acquire(false).await);
        drop(limiter.acquire(true).await);
        assert_eq!(start.elapsed(), Duration::ZERO);
        drop(limiter.acquire(false).await);
        assert!(start.elapsed() >= Duration::from_secs(60));
    }

    #[tokio::test(start_paused = true)]
    async fn a_message_under_way_keeps_its_slot() {
        let limiter = Arc::new(Limiter::new(vec![limit(1, 1_000, 0)]));
        let first = limiter.acquire(false).await;
        let waiting = Arc::clone(&limiter);
        let second = tokio::spawn(async move {
            drop(waiting.acquire(false).await);
            Instant::now()
        });
        let started = Instant::now();
        tokio::time::sleep(Duration::from_secs(15)).await;
        assert!(!second.is_finished(), "its outcome is not known yet");
        drop(first);
        let at = second.await.map(|at| at.duration_since(started)).unwrap_or_default();
        assert!(at >= Duration::from_secs(16), "{at:?}");
    }

    #[tokio::test(start_paused = true)]
    async fn a_time_that_no_clock_can_hold_freezes_for_a_day() {
        let limiter = Arc::new(Limiter::new(vec![limit(100, 1_000, 0)]));
        limiter.freeze(Duration::MAX);
        let start = Instant::now();
        drop(limiter.acquire(true).await);
        assert!(start.elapsed() >= MAX_FREEZE, "{:?}", start.elapsed());
    }

    #[tokio::test(start_paused = true)]
    async fn frozen_means_nothing_until_then() {
        let limiter = Arc::new(Limiter::new(vec![limit(100, 1_000, 0)]));
        limiter.freeze(Duration::from_secs(30));
        limiter.freeze(Duration::from_secs(3));
        let start = Instant::now();
        drop(limiter.acquire(true).await);
        assert!(start.elapsed() >= Duration::from_secs(30));
    }
}
