//! Progress of a chain, for health and log.

use std::{sync::Arc, time::Duration};

use crypto_intel_service::Probe;
use parking_lot::{Mutex, MutexGuard};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::source::ChainSource;

const LOOK_INTERVAL: Duration = Duration::from_millis(500);
const RECONNECT_TOLERANCE: Duration = Duration::from_secs(5);
const SUMMARY_INTERVAL: Duration = Duration::from_secs(30);

/// Progress of one chain, for the health probe and the log.
#[derive(Debug, Clone)]
pub(crate) struct Status {
    chain: String,
    stale: Duration,
    state: Arc<Mutex<State>>,
}

#[derive(Debug)]
struct State {
    leads: bool,
    published: Option<u64>,
    /// Highest block of the live lane whose events are decided on, published or not.
    decided: u64,
    /// First block of the live lane that this process may publish.
    first: Option<u64>,
    progressed: Instant,
    head: Option<u64>,
    head_moved: Instant,
    /// When an endpoint was last seen connected.
    connected: Instant,
    blocks: u64,
    events: u64,
    trouble: Option<String>,
}

impl Status {
    pub(crate) fn new(chain: &str, stale: Duration) -> Self {
        let now = Instant::now();
        let state = State {
            leads: false,
            published: None,
            decided: 0,
            first: None,
            progressed: now,
            head: None,
            head_moved: now,
            connected: now,
            blocks: 0,
            events: 0,
            trouble: None,
        };
        Self { chain: chain.to_owned(), stale, state: Arc::new(Mutex::new(state)) }
    }

    pub(crate) fn standing_by(&self) {
        self.lock().leads = false;
    }

    pub(crate) fn leads(&self) {
        let mut state = self.lock();
        state.leads = true;
        state.progressed = Instant::now();
    }

    pub(crate) fn resumed(&self, top: Option<u64>, next: Option<u64>) {
        let mut state = self.lock();
        state.published = top;
        state.first = state.first.or(next);
        state.progressed = Instant::now();
    }

    /// First block of the live lane that this process may publish; `None` until it resumed.
    pub(crate) fn first_number(&self) -> Option<u64> {
        self.lock().first
    }

    pub(crate) fn published(&self, top: u64, blocks: u64, events: u64) {
        let mut state = self.lock();
        state.published = Some(top);
        state.progressed = Instant::now();
        state.blocks += blocks;
        state.events += events;
        state.trouble = None;
    }

    /// The newest published block.
    pub(crate) fn published_number(&self) -> Option<u64> {
        self.lock().published
    }

    /// The events of a block are about to be decided on.
    pub(crate) fn decides(&self, number: u64) {
        let mut state = self.lock();
        state.decided = state.decided.max(number);
    }

    /// The highest block whose events were decided on, published or on its way.
    pub(crate) fn decided_number(&self) -> u64 {
        let state = self.lock();
        state.published.map_or(state.decided, |published| published.max(state.decided))
    }

    pub(crate) fn trouble(&self, trouble: impl Into<String>) {
        self.lock().trouble = Some(trouble.into());
    }

    /// Sets the probe and logs a summary regularly, until `stop`.
    pub(crate) async fn watch<S: ChainSource>(
        self,
        source: Arc<S>,
        probe: Probe,
        stop: CancellationToken,
    ) {
        let mut summarised = Instant::now();
        loop {
            match self.judge(source.as_ref()) {
                Ok(detail) => probe.healthy(detail),
                Err(reason) => probe.unhealthy(reason),
            }
            if summarised.elapsed() >= SUMMARY_INTERVAL {
                self.summarise(summarised.elapsed());
                summarised = Instant::now();
            }
            tokio::select! {
                () = stop.cancelled() => return,
                () = tokio::time::sleep(LOOK_INTERVAL) => {}
            }
        }
    }

    fn judge<S: ChainSource>(&self, source: &S) -> Result<String, String> {
        let head = source.head().map(|head| head.block.number);
        let mut state = self.lock();
        if head.is_some() && head != state.head {
            state.head = head;
            state.head_moved = Instant::now();
        }
        let Some(head) = head else {
            // A connection that is back within seconds is no reason for an alarm.
            if let Some(known) =
                state.head.filter(|_| state.connected.elapsed() < RECONNECT_TOLERANCE)
            {
                return Ok(format!("reconnecting, last head {known}"));
            }
            return Err(format!("no endpoint is connected: {}", source.trouble()));
        };
        state.connected = Instant::now();
        let quiet = state.head_moved.elapsed();
        if quiet > self.stale {
            return Err(format!("head stays at {head} for {} s", quiet.as_secs()));
        }
        if !state.leads {
            return Ok(format!("standing by at head {head}: waiting for the lead"));
        }
        let published = state.published;
        if published.is_none_or(|published| published < head)
            && state.progressed.elapsed() > self.stale
        {
            let seconds = state.progressed.elapsed().as_secs();
            let trouble = state.trouble.as_deref().unwrap_or("no error was seen");
            return Err(format!(
                "nothing published for {seconds} s at {published:?}, head is {head}: {trouble}"
            ));
        }
        match published {
            Some(published) if published > head => Err(format!(
                "head {head} is below published block {published}: the endpoint is behind, or the chain was made anew"
            ))
            .or_else(|reason| if quiet > self.stale / 4 { Err(reason) } else { Ok(reason) }),
            Some(published) => Ok(format!("published {published}, head {head}")),
            None => Ok(format!("nothing published yet, head {head}")),
        }
    }

    fn summarise(&self, elapsed: Duration) {
        let mut state = self.lock();
        let seconds = elapsed.as_secs().max(1);
        tracing::info!(
            chain = self.chain,
            leads = state.leads,
            head = state.head,
            published = state.published,
            blocks = state.blocks,
            events = state.events,
            events_per_second = state.events / seconds,
            "chain summary"
        );
        state.blocks = 0;
        state.events = 0;
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock()
    }
}
