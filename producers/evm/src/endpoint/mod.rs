//! One JSON-RPC endpoint: its connection, its head, and how it answers.
//!
//! The websocket is a hint: a head only says that there is something to fetch. The connection is
//! made anew by a loop of our own; alloy's own reconnect is switched off, for it resends requests
//! and loses what came in between.

mod check_traces;
mod client;
mod error;
mod http;
mod pool;
mod session;
mod websocket;

use std::{
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use crypto_intel_schemas::B256;
use serde::Serialize;
use tokio::{sync::watch, time::Instant};

pub use check_traces::check_traces;
pub(crate) use client::{Answer, Client};
pub use error::EndpointError;
pub(crate) use pool::Pool;
pub use session::{EndpointReport, check_endpoint};

use crate::ranges::Width;

/// The newest block that an endpoint spoke of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Head {
    pub(crate) number: u64,
    pub(crate) hash: B256,
    /// When it was first seen, microseconds UTC.
    pub(crate) seen_at_us: i64,
}

/// One endpoint of a chain.
#[derive(Debug)]
pub(crate) struct Endpoint {
    label: String,
    timeout: Duration,
    state: Mutex<State>,
    /// How many blocks of logs it is asked for at once.
    log_width: Mutex<Width>,
    /// It does not offer `eth_getBlockReceipts`.
    without_block_receipts: AtomicBool,
    changed: watch::Sender<u64>,
}

#[derive(Debug, Default)]
struct State {
    client: Option<Arc<Client>>,
    head: Option<Head>,
    avoided_until: Option<Instant>,
    last_error: Option<String>,
}

impl Endpoint {
    pub(crate) fn new(label: String, timeout: Duration, changed: watch::Sender<u64>) -> Self {
        Self {
            label,
            timeout,
            state: Mutex::default(),
            log_width: Mutex::default(),
            without_block_receipts: AtomicBool::new(false),
            changed,
        }
    }

    /// Its name in logs and metrics.
    pub(crate) fn label(&self) -> &str {
        &self.label
    }

    pub(crate) fn is_connected(&self) -> bool {
        self.lock().client.is_some()
    }

    /// The newest block it spoke of on its present connection.
    pub(crate) fn head(&self) -> Option<Head> {
        let state = self.lock();
        state.client.as_ref().and(state.head)
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

    /// Reads or changes what is known of ranges of logs here.
    pub(crate) fn log_width<T>(&self, with: impl FnOnce(&mut Width) -> T) -> T {
        with(&mut self.log_width.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Asks others first for a while.
    pub(crate) fn avoid(&self, duration: Duration) {
        self.lock().avoided_until = Some(Instant::now() + duration);
    }

    pub(crate) fn is_avoided(&self) -> bool {
        self.lock().avoided_until.is_some_and(|until| until > Instant::now())
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
        let client = self.lock().client.clone();
        let Some(client) = client else {
            return Err(EndpointError::Disconnected { endpoint: self.label.clone() });
        };
        client.call(&self.label, self.timeout, method, params).await
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
        self.changed.send_modify(|version| *version += 1);
    }

    fn set_head(&self, head: Head) {
        {
            let mut state = self.lock();
            // The first sight counts: it is what latency is measured from.
            if state.head.is_some_and(|known| known.hash == head.hash) {
                return;
            }
            state.head = Some(head);
        }
        self.changed.send_modify(|version| *version += 1);
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        // A panic while holding the lock leaves plain data behind: it stays usable.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
