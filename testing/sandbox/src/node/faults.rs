//! How a scripted node misbehaves.

use std::collections::{HashMap, HashSet};
use std::time::Duration;

/// In which form a rate limit is reported.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RateLimitForm {
    /// Status 429 with `Retry-After` (over a websocket: as `JsonRpc`).
    Http,
    /// Status 200 with the JSON-RPC error -32005.
    JsonRpc,
}

/// Refuses the next requests.
#[derive(Debug, Clone, Copy)]
pub struct RateLimit {
    /// How many requests are refused.
    pub requests: u64,
    /// In which form.
    pub form: RateLimitForm,
    /// How long the client is told to wait.
    pub retry_after_seconds: u64,
}

#[derive(Debug, Default)]
pub(super) struct Faults {
    pub(super) silent: bool,
    /// Heads are not pushed, logs are.
    pub(super) headless: bool,
    pub(super) unresponsive: bool,
    pub(super) unavailable: bool,
    pub(super) empty_logs: bool,
    pub(super) empty_receipts: bool,
    pub(super) no_block_receipts: bool,
    /// The last log of a block is left out.
    pub(super) omitting: bool,
    pub(super) frozen_at: Option<u64>,
    pub(super) wrong_chain_id: Option<u64>,
    pub(super) delay: Option<Duration>,
    pub(super) rate_limit: Option<RateLimit>,
    /// Methods that are never answered over a websocket.
    pub(super) muted: HashSet<String>,
    /// Fixed answers (JSON text) by method.
    pub(super) answers: HashMap<String, String>,
    /// Fixed answers of `eth_call` by lower-case address and data, both with 0x.
    pub(super) call_answers: HashMap<(String, String), String>,
}

impl Faults {
    /// Takes one request off the rate limit.
    pub(super) fn refuse_one(&mut self) -> Option<RateLimit> {
        let limit = self.rate_limit.as_mut()?;
        limit.requests = limit.requests.checked_sub(1)?;
        Some(*limit)
    }
}
