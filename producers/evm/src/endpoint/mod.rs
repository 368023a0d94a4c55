//! One JSON-RPC endpoint: its connection, its head, and how it answers.
//!
//! The websocket is a hint: a head only says that there is something to fetch. Our own loop reconnects; alloy's
//! reconnect is switched off, because it resends requests and loses what was pushed in between.

mod budget;
mod check_traces;
pub(crate) mod config;
mod heights;
mod judgement;
mod nodes;
mod pool;
mod score;
mod session;
mod transport;

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use crypto_intel_schemas::BlockRef;
use crypto_intel_service::{Admission, BreakerSettings, BreakerState, Retryable as _};
use parking_lot::{Mutex, MutexGuard};
use serde::Serialize;
use tokio::{sync::watch, time::Instant};

use budget::Budget;
pub(crate) use budget::by_rate;
pub use check_traces::check_traces;
pub(crate) use heights::Head;
use heights::{Announced, Heights};
pub(crate) use judgement::Class;
use judgement::Judgement;
pub(crate) use nodes::NodeWatch;
pub(crate) use pool::Pool;
pub use session::{EndpointReport, check_endpoint};
pub use transport::error::EndpointError;
pub(crate) use transport::{answer::Answer, client::Client};

use self::config::{EndpointConfig, Role};
use crate::{
    config::ChainConfig,
    fetch::log_range::{LogScope, Width},
};

/// Pause after a rate limit that names no time.
const USUAL_HOLD: Duration = Duration::from_secs(5);
/// Upper bound of the pauses between trials.
const MAX_OPEN: Duration = Duration::from_secs(600);

/// One endpoint of a chain.
#[derive(Debug)]
pub(crate) struct Endpoint {
    label: String,
    operator: String,
    role: Role,
    timeout: Duration,
    budget: Arc<Budget>,
    heights: Arc<Heights>,
    state: Mutex<State>,
    /// How many blocks a request for all logs covers.
    width_of_all: Mutex<Width>,
    /// The same for the logs of one address.
    width_of_few: Mutex<Width>,
    /// It does not offer `eth_getBlockReceipts`.
    without_block_receipts: AtomicBool,
    changed: watch::Sender<u64>,
}

#[derive(Debug)]
struct State {
    client: Option<Arc<Client>>,
    head: Option<Head>,
    /// On any connection.
    announced: Announced,
    last_error: Option<String>,
    /// By class, in the order of [`Class`].
    judgements: [Judgement; Class::COUNT],
}

impl State {
    fn of(&mut self, class: Class) -> &mut Judgement {
        &mut self.judgements[class as usize]
    }
}

/// A request that waits for its answer.
#[derive(Debug)]
struct Waiting<'a> {
    endpoint: &'a Endpoint,
    class: Class,
    number: u64,
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        self.endpoint.lock().of(self.class).ended(self.number);
    }
}

impl Endpoint {
    fn new(
        chain: &ChainConfig,
        config: &EndpointConfig,
        heights: Arc<Heights>,
        changed: watch::Sender<u64>,
    ) -> Self {
        let settings = BreakerSettings {
            failures: chain.breaker.failures,
            open_for: Duration::from_secs(chain.breaker.open_seconds),
            longest_open: MAX_OPEN.max(Duration::from_secs(chain.breaker.open_seconds)),
            successes: chain.breaker.successes,
        };
        let state = State {
            client: None,
            head: None,
            announced: Announced::default(),
            last_error: None,
            judgements: std::array::from_fn(|_| Judgement::new(settings)),
        };
        Self {
            label: config.label(),
            operator: config.operator(),
            role: config.role,
            timeout: Duration::from_millis(chain.request_timeout_ms),
            budget: Arc::new(Budget::new(config)),
            heights,
            state: Mutex::new(state),
            width_of_all: Mutex::default(),
            width_of_few: Mutex::new(Width::of_few()),
            without_block_receipts: AtomicBool::new(false),
            changed,
        }
    }

    /// Its name in logs and metrics.
    pub(crate) fn label(&self) -> &str {
        &self.label
    }

    /// Who runs it: answers of one operator count once, however many of its endpoints give them.
    pub(crate) fn operator(&self) -> &str {
        &self.operator
    }

    pub(crate) fn role(&self) -> Role {
        self.role
    }

    fn budget(&self) -> Arc<Budget> {
        Arc::clone(&self.budget)
    }

    /// Whether requests are let through now.
    pub(crate) fn admits(&self, class: Class, now: Instant) -> bool {
        self.lock().of(class).would_admit(now)
    }

    pub(crate) fn breaker(&self) -> BreakerState {
        self.lock().of(Class::Blocks).breaker()
    }

    /// Share of recent requests that failed, 0 to 1.
    pub(crate) fn error_rate(&self, class: Class, now: Instant) -> f64 {
        self.lock().of(class).score().error_rate(now)
    }

    /// Whether a request failed a moment ago.
    fn failed_just_now(&self, class: Class, now: Instant) -> bool {
        self.lock().of(class).score().failed_just_now(now)
    }

    /// Mean time to an answer; `None` without recent requests.
    pub(crate) fn latency_ms(&self, class: Class, now: Instant) -> Option<f64> {
        self.lock().of(class).score().latency_ms(now)
    }

    /// For how long its oldest open request has been waiting.
    fn waits_for(&self, class: Class, now: Instant) -> Duration {
        self.lock().of(class).waits_for(now)
    }

    /// How long ago an endpoint first announced a block above this.
    fn behind_for(&self, number: u64) -> Duration {
        self.heights.behind_for(number, Instant::now())
    }

    /// Lets trial requests through although it failed: nothing else can serve.
    fn try_early(&self, class: Class) {
        self.lock().of(class).try_early(Instant::now());
    }

    /// Leaves it alone for as long as it asked: limits apply to the provider and not to a method.
    pub(crate) fn hold(&self, asked: Option<Duration>) {
        let (now, wait) = (Instant::now(), asked.unwrap_or(USUAL_HOLD));
        self.lock().judgements.iter_mut().for_each(|judgement| judgement.hold(now, wait));
    }

    /// Whether an answer was valid, which is known only after it was verified.
    pub(crate) fn record_validity(&self, class: Class, is_true: bool) {
        self.lock().of(class).was_true(is_true, Instant::now());
    }

    /// It did not answer in time.
    pub(crate) fn note_late(&self, class: Class) {
        self.lock().of(class).failed(Instant::now());
    }

    /// It refused a request that it should have served.
    pub(crate) fn note_refusal(&self, class: Class) {
        self.lock().of(class).refused(Instant::now());
    }

    fn note_outcome(
        &self,
        class: Class,
        latency: Duration,
        outcome: &Result<Answer, EndpointError>,
    ) {
        let now = Instant::now();
        let error = match outcome {
            Ok(_) => {
                self.lock().of(class).answered(now, latency);
                return;
            }
            Err(error) => error,
        };
        match error {
            EndpointError::RateLimited { .. } => {
                let wait = error.retry_after().unwrap_or(USUAL_HOLD);
                self.hold(Some(wait));
                tracing::info!(
                    endpoint = self.label,
                    wait_ms = wait.as_millis() as u64,
                    "endpoint limits the rate, leaving it alone"
                );
            }
            error if error.is_outage() => {
                if self.lock().of(class).failed(now) {
                    tracing::warn!(endpoint = self.label, ?class, %error, "endpoint fails, leaving it alone");
                }
            }
            // It responded; only the caller knows whether a refusal is a fault: a node that does not know `finalized`
            // answers with an error.
            _ => self.lock().of(class).responded(),
        }
    }

    pub(crate) fn is_connected(&self) -> bool {
        self.lock().client.is_some()
    }

    /// The newest block that it announced on its current connection.
    pub(crate) fn head(&self) -> Option<Head> {
        let state = self.lock();
        state.client.as_ref().and(state.head)
    }

    /// The newest blocks that it announced as heads, in the order of their numbers.
    pub(crate) fn announced(&self) -> Vec<BlockRef> {
        self.lock().announced.blocks().collect()
    }

    pub(crate) fn offers_block_receipts(&self) -> bool {
        !self.without_block_receipts.load(Ordering::Relaxed)
    }

    pub(crate) fn set_without_block_receipts(&self) {
        if !self.without_block_receipts.swap(true, Ordering::Relaxed) {
            tracing::info!(
                endpoint = self.label,
                "endpoint does not offer eth_getBlockReceipts: logs are taken by block hash"
            );
        }
    }

    /// Reads or changes what was learnt about ranges of logs.
    pub(crate) fn log_width<T>(&self, scope: LogScope, with: impl FnOnce(&mut Width) -> T) -> T {
        let width = match scope {
            LogScope::All => &self.width_of_all,
            LogScope::Few => &self.width_of_few,
        };
        with(&mut width.lock())
    }

    pub(crate) fn last_error(&self) -> Option<String> {
        self.lock().last_error.clone()
    }

    /// One request.
    ///
    /// # Errors
    /// When it is not connected, does not answer in time, or refuses.
    pub(crate) async fn call(
        &self,
        method: &'static str,
        params: impl Serialize + Send,
    ) -> Result<Answer, EndpointError> {
        self.call_as(Class::of(method), method, params).await
    }

    /// The same, judged in this class.
    ///
    /// # Errors
    /// As [`call`](Self::call).
    pub(crate) async fn call_as(
        &self,
        class: Class,
        method: &'static str,
        params: impl Serialize + Send,
    ) -> Result<Answer, EndpointError> {
        let client = self.lock().client.clone();
        let Some(client) = client else {
            return Err(EndpointError::Disconnected { endpoint: self.label.clone() });
        };
        let admission = self.lock().of(class).admit(Instant::now());
        if let Admission::Wait(wait) = admission {
            return Err(EndpointError::Resting { endpoint: self.label.clone(), wait });
        }
        self.budget.wait(method).await;
        let started = Instant::now();
        let number = self.lock().of(class).began(started);
        let waiting = Waiting { endpoint: self, class, number };
        let outcome = client.call(&self.label, self.timeout, method, params).await;
        drop(waiting);
        self.note_outcome(class, started.elapsed(), &outcome);
        outcome
    }

    fn wake(&self) {
        self.changed.send_modify(|version| *version += 1);
    }

    fn set_client(&self, client: Option<Arc<Client>>, error: Option<String>) {
        {
            let mut state = self.lock();
            state.client = client;
            state.head = None;
            if error.is_some() || state.client.is_some() {
                state.last_error = error;
            }
        }
        self.wake();
    }

    fn set_head(&self, head: Head) {
        {
            let mut state = self.lock();
            // The first time it was seen counts: latency is measured from it.
            if state.head.is_some_and(|known| known.hash == head.hash) {
                return;
            }
            state.head = Some(head);
            state.announced.add(head);
        }
        self.heights.saw(head.number, Instant::now());
        self.wake();
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock()
    }
}
