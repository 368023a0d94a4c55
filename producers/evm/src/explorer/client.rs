//! One explorer over HTTP: its rate, its pauses, and what its answers mean.

use std::{
    collections::HashMap,
    time::{Duration, Instant},
};

use crypto_intel_schemas::Address;
use crypto_intel_service::{
    Backoff, OutboundGuard, Secret, error_chain, now_us, outbound_client,
    prometheus::IntCounterVec, retry_after,
};
use governor::DefaultDirectRateLimiter;
use parking_lot::Mutex;
use reqwest::{Client, StatusCode};
use serde_json::{Value, json};

use super::{
    alchemy,
    answer::{self, Verdict},
    claim::Claim,
    config::{ExplorerConfig, ExplorerKind},
    error::ExplorerError,
    list::List,
    rows,
};
use crate::endpoint::by_rate;

/// Largest answer: 10,000 rows with long inputs.
const MAX_BODY_BYTES: usize = 64 << 20;
const EXCERPT_CHARACTERS: usize = 160;
/// Attempts for one page, within a few seconds; the past then rests and is tried again.
const ATTEMPTS: usize = 4;
const RETRY: Backoff =
    Backoff { first: Duration::from_millis(500), longest: Duration::from_secs(3) };
/// Longest pause that is waited for at once.
const MAX_WAIT_HERE: Duration = Duration::from_secs(5);
/// Where a limit names no time.
const USUAL_WAIT: Duration = Duration::from_secs(5);
/// After a refusal it is not asked for this long: the plan may be another by then.
const REFUSED_FOR: Duration = Duration::from_secs(3_600);
const USER_AGENT: &str = concat!("crypto-intel/", env!("CARGO_PKG_VERSION"));

/// Blocks of which a list is asked for, both included.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Window {
    pub(crate) from: u64,
    pub(crate) to: u64,
}

/// An explorer of one chain.
#[derive(Debug)]
pub(crate) struct ExplorerClient {
    label: String,
    kind: ExplorerKind,
    chain_id: u64,
    url: Result<Secret, String>,
    key: Option<Secret>,
    rows: u32,
    timeout: Duration,
    client: Client,
    guard: OutboundGuard,
    limiter: Option<DefaultDirectRateLimiter>,
    pauses: Mutex<Pauses>,
    requests: IntCounterVec,
    chain: String,
}

#[derive(Debug, Default)]
struct Pauses {
    /// Nothing is asked for until then, and why.
    all: Option<(Instant, ExplorerError)>,
    /// The same for single lists, by their action.
    lists: HashMap<&'static str, (Instant, ExplorerError)>,
}

/// What a chain tells its explorers.
#[derive(Debug, Clone, Copy)]
pub(crate) struct OfChain<'a> {
    pub(crate) chain: &'a str,
    pub(crate) chain_id: u64,
    pub(crate) timeout: Duration,
    pub(crate) requests: &'a IntCounterVec,
}

impl ExplorerClient {
    /// # Errors
    /// When TLS cannot be set up.
    pub(crate) fn new(config: &ExplorerConfig, of: OfChain<'_>) -> Result<Self, reqwest::Error> {
        let guard = OutboundGuard::new([config.host()]);
        Ok(Self {
            label: config.label().to_owned(),
            kind: config.kind,
            chain_id: of.chain_id,
            url: config.full_url(of.chain_id),
            key: config.has_key_parameter().then(|| config.key.clone()),
            rows: config.rows(),
            timeout: of.timeout,
            client: outbound_client(&guard, USER_AGENT)?,
            guard,
            limiter: by_rate(config.rate()),
            pauses: Mutex::default(),
            requests: of.requests.clone(),
            chain: of.chain.to_owned(),
        })
    }

    pub(crate) fn label(&self) -> &str {
        &self.label
    }

    pub(crate) fn lists(&self) -> &'static [List] {
        List::of(self.kind)
    }

    /// Rows of a list from the first block of the window on, as many as the explorer gives at once; none when there are none
    /// in the whole window.
    pub(crate) async fn page(
        &self,
        list: List,
        address: &Address,
        window: Window,
    ) -> Result<Vec<Claim>, ExplorerError> {
        let mut delays = RETRY.delays();
        for _ in 1..ATTEMPTS {
            let error = match self.page_once(list, address, window).await {
                Ok(claims) => return Ok(claims),
                Err(error) => error,
            };
            let wait = match &error {
                ExplorerError::Limited { wait, .. } => *wait,
                ExplorerError::Unavailable { .. } => delays.next().unwrap_or(RETRY.longest),
                _ => return Err(error),
            };
            if wait > MAX_WAIT_HERE {
                return Err(error);
            }
            tokio::time::sleep(wait).await;
        }
        self.page_once(list, address, window).await
    }

    async fn page_once(
        &self,
        list: List,
        address: &Address,
        window: Window,
    ) -> Result<Vec<Claim>, ExplorerError> {
        self.check_pauses(list)?;
        let asked = match self.kind {
            ExplorerKind::Alchemy => {
                let body = alchemy::transfers(list, address, window, self.rows);
                self.send(Some(body), &[]).await
            }
            _ => self.send(None, &self.list_query(list, address, window)).await,
        };
        let outcome = asked.and_then(|body| self.claims(list, &body, window));
        self.note(list, outcome)
    }

    fn list_query(&self, list: List, address: &Address, window: Window) -> Vec<(&str, String)> {
        vec![
            ("module", "account".to_owned()),
            ("action", list.action().to_owned()),
            ("address", format!("{address:#x}")),
            ("startblock", window.from.to_string()),
            ("endblock", window.to.to_string()),
            ("page", "1".to_owned()),
            ("offset", self.rows.to_string()),
            ("sort", "asc".to_owned()),
        ]
    }

    fn claims(&self, list: List, body: &[u8], window: Window) -> Result<Vec<Claim>, ExplorerError> {
        let claims = match self.kind {
            ExplorerKind::Alchemy => self.judge(alchemy::read(body, list)),
            _ => match answer::read(body, now_us().unsigned_abs() / 1_000_000) {
                Verdict::Rows(text) => rows::read(list, text)
                    .map_err(|problem| self.unavailable(format!("{} {problem}", list.action()))),
                verdict => self.judge(Err(verdict)),
            },
        }?;
        check_order(&claims, window)
            .map_err(|problem| self.unavailable(format!("{} {problem}", list.action())))?;
        Ok(claims)
    }

    fn judge(&self, read: Result<Vec<Claim>, Verdict<'_>>) -> Result<Vec<Claim>, ExplorerError> {
        let explorer = self.label.clone();
        let verdict = match read {
            Ok(claims) => return Ok(claims),
            Err(verdict) => verdict,
        };
        let shown = |reason: String| self.shown(&reason);
        Err(match verdict {
            Verdict::None => return Ok(Vec::new()),
            Verdict::Rows(_) => self.unavailable("rows in an unknown form".to_owned()),
            Verdict::Wait(wait, reason) => {
                ExplorerError::Limited { explorer, reason: shown(reason), wait }
            }
            Verdict::Refused(reason) => ExplorerError::Refused { explorer, reason: shown(reason) },
            Verdict::NotOffered(reason) => {
                ExplorerError::NotOffered { explorer, reason: shown(reason) }
            }
            Verdict::Failed(reason) => self.unavailable(shown(reason)),
        })
    }

    /// The newest block that the explorer has.
    pub(crate) async fn head(&self) -> Result<u64, ExplorerError> {
        let lists = self.lists();
        self.check_pauses(lists[0])?;
        let query = |module: &str, action: &str| {
            vec![("module", module.to_owned()), ("action", action.to_owned())]
        };
        let asked = match self.kind {
            ExplorerKind::Alchemy => {
                let body =
                    json!({ "jsonrpc": "2.0", "id": 1, "method": "eth_blockNumber", "params": [] });
                self.send(Some(body), &[]).await
            }
            ExplorerKind::Blockscout => self.send(None, &query("block", "eth_block_number")).await,
            _ => self.send(None, &query("proxy", "eth_blockNumber")).await,
        };
        let outcome = asked.and_then(|body| match alchemy::quantity(&body) {
            Some(head) => Ok(head),
            // A refusal has the form of all others.
            None => match answer::read(&body, now_us().unsigned_abs() / 1_000_000) {
                Verdict::Rows(_) | Verdict::None => {
                    Err(self.unavailable("no block number".to_owned()))
                }
                // Without it nothing that it says is known to be complete.
                Verdict::NotOffered(reason) => self.judge(Err(Verdict::Refused(reason))).map(|_| 0),
                verdict => self.judge(Err(verdict)).map(|_| 0),
            },
        });
        self.note(lists[0], outcome)
    }

    /// One request; the answer's body, where the status is that of an answer.
    async fn send(
        &self,
        body: Option<Value>,
        query: &[(&str, String)],
    ) -> Result<Vec<u8>, ExplorerError> {
        if let Some(limiter) = &self.limiter {
            limiter.until_ready().await;
        }
        let explorer = self.label.clone();
        let url = self.url.as_ref().map_err(|problem| ExplorerError::Refused {
            explorer: explorer.clone(),
            reason: problem.clone(),
        })?;
        let host = reqwest::Url::parse(url.expose()).ok();
        let host = host.as_ref().and_then(reqwest::Url::host_str).unwrap_or_default();
        self.guard.check_host(host).map_err(|refused| self.unavailable(refused.to_string()))?;
        let mut request = match body {
            Some(body) => self.client.post(url.expose()).json(&body),
            None => self.client.get(url.expose()).query(query),
        };
        if self.kind == ExplorerKind::Etherscan {
            request = request.query(&[("chainid", self.chain_id)]);
        }
        if let Some(key) = &self.key {
            request = request.query(&[("apikey", key.expose())]);
        }
        let work = async {
            let mut response = request.send().await.map_err(|error| self.lost(error))?;
            let status = response.status();
            let wait = retry_after(response.headers());
            let mut bytes = Vec::new();
            while let Some(chunk) = response.chunk().await.map_err(|error| self.lost(error))? {
                if bytes.len() + chunk.len() > MAX_BODY_BYTES {
                    let reason = format!("more than {MAX_BODY_BYTES} bytes: lower page_rows");
                    return Err(self.unavailable(reason));
                }
                bytes.extend_from_slice(&chunk);
            }
            self.by_status(status, wait, bytes)
        };
        tokio::time::timeout(self.timeout, work).await.unwrap_or_else(|_| {
            Err(self.unavailable(format!("nothing within {} ms", self.timeout.as_millis())))
        })
    }

    fn by_status(
        &self,
        status: StatusCode,
        wait: Option<Duration>,
        body: Vec<u8>,
    ) -> Result<Vec<u8>, ExplorerError> {
        let explorer = self.label.clone();
        let reason = || {
            let text = String::from_utf8_lossy(&body[..body.len().min(4_096)]).into_owned();
            self.shown(&format!("status {}: {text}", status.as_u16()))
        };
        match status.as_u16() {
            200..=299 => Ok(body),
            429 => Err(ExplorerError::Limited {
                explorer,
                reason: reason(),
                wait: wait.unwrap_or(USUAL_WAIT),
            }),
            401..=403 => Err(ExplorerError::Refused { explorer, reason: reason() }),
            // JSON-RPC over HTTP: the body says more than the status.
            400 if self.kind == ExplorerKind::Alchemy => Ok(body),
            _ => Err(self.unavailable(reason())),
        }
    }

    /// Why nothing is asked for now.
    fn check_pauses(&self, list: List) -> Result<(), ExplorerError> {
        let now = Instant::now();
        let pauses = self.pauses.lock();
        let of_list = pauses.lists.get(list.action());
        for (until, error) in pauses.all.iter().chain(of_list) {
            if *until > now {
                let mut error = error.clone();
                if let ExplorerError::Limited { wait, .. } = &mut error {
                    *wait = *until - now;
                }
                return Err(error);
            }
        }
        Ok(())
    }

    fn note<T>(&self, list: List, outcome: Result<T, ExplorerError>) -> Result<T, ExplorerError> {
        let label = match &outcome {
            Ok(_) => "ok",
            Err(error) => error.outcome(),
        };
        self.requests.with_label_values(&[self.chain.as_str(), self.label.as_str(), label]).inc();
        let Err(error) = &outcome else { return outcome };
        let now = Instant::now();
        let mut pauses = self.pauses.lock();
        match error {
            ExplorerError::Limited { wait, .. } => pauses.all = Some((now + *wait, error.clone())),
            ExplorerError::Refused { .. } => {
                tracing::warn!(chain = self.chain, explorer = self.label, %error, "explorer refuses, pasts of addresses go on without it");
                pauses.all = Some((now + REFUSED_FOR, error.clone()));
            }
            ExplorerError::NotOffered { .. } => {
                tracing::warn!(chain = self.chain, explorer = self.label, action = list.action(), %error, "explorer does not offer a list, pasts of addresses go on without it");
                pauses.lists.insert(list.action(), (now + REFUSED_FOR, error.clone()));
            }
            ExplorerError::Unavailable { .. } | ExplorerError::Behind { .. } => {}
        }
        drop(pauses);
        outcome
    }

    pub(crate) fn unavailable(&self, reason: String) -> ExplorerError {
        ExplorerError::Unavailable { explorer: self.label.clone(), reason }
    }

    fn lost(&self, error: reqwest::Error) -> ExplorerError {
        let reason = match self.guard.refusal(&error) {
            Some(refused) => refused.to_string(),
            None => error_chain(&error.without_url()),
        };
        self.unavailable(self.shown(&reason))
    }

    /// A text of the explorer: short, on one line, and without the key.
    fn shown(&self, text: &str) -> String {
        let mut text: String = text
            .chars()
            .map(|one| if one.is_control() { ' ' } else { one })
            .take(4 * EXCERPT_CHARACTERS)
            .collect();
        let url = self.url.as_ref().ok();
        for secret in self.key.iter().chain(url) {
            text = text.replace(secret.expose(), "…");
        }
        text.chars().take(EXCERPT_CHARACTERS).collect()
    }
}

/// Rows must begin with the window and go up: else what lies between two pages is not known.
fn check_order(claims: &[Claim], window: Window) -> Result<(), String> {
    let mut last = window.from;
    for (place, claim) in claims.iter().enumerate() {
        if claim.number < last || claim.number > window.to {
            return Err(format!(
                "row {place}: block {} is not in order, or not between {} and {}",
                claim.number, window.from, window.to
            ));
        }
        last = claim.number;
    }
    Ok(())
}
