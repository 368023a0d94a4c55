//! Token metadata as contracts report it: symbol, name and decimals, requested once and kept in memory and in the
//! bucket `tokens`. A block never waits longer for it than configured.

mod call;
mod clean;
mod lookup;

use std::{
    collections::{HashMap, HashSet},
    sync::Arc,
    time::Duration,
};

use crypto_intel_nats::Nats;
use crypto_intel_schemas::{Address, TokenEntry};
use parking_lot::{Mutex, MutexGuard};
use tokio::{
    sync::{mpsc, watch},
    task::JoinSet,
    time::Instant,
};
use tokio_util::sync::CancellationToken;

use crate::{config::ChainConfig, endpoint::Pool, metrics::ChainMetrics};
use lookup::Lookups;

/// Each of the two halves of the cache holds this many tokens.
const HALF: usize = 50_000;
/// Maximum number of queued look-ups; when the queue is full, a token is queued when it is seen again.
const QUEUE: usize = 4_096;

/// Self-reported metadata of a token, sanitized and bounded, but not verified.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct TokenInfo {
    pub(crate) symbol: Option<String>,
    pub(crate) name: Option<String>,
    pub(crate) decimals: Option<u8>,
}

impl From<TokenEntry> for TokenInfo {
    fn from(entry: TokenEntry) -> Self {
        let TokenEntry { symbol, name, decimals, at_us: _ } = entry;
        Self { symbol, name, decimals }
    }
}

impl TokenInfo {
    fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    /// As the bucket has it.
    fn entry(self, at_us: i64) -> TokenEntry {
        TokenEntry { symbol: self.symbol, name: self.name, decimals: self.decimals, at_us }
    }

    fn is_whole(&self) -> bool {
        self.symbol.is_some() && self.name.is_some() && self.decimals.is_some()
    }
}

/// Metadata of a block's tokens that is known when it is decoded.
#[derive(Debug, Clone, Default)]
pub(crate) struct Tokens(Arc<HashMap<Address, Arc<TokenInfo>>>);

impl Tokens {
    pub(crate) fn of(&self, token: &Address) -> Option<&TokenInfo> {
        self.0.get(token).map(AsRef::as_ref)
    }
}

/// A chain's tokens.
#[derive(Debug, Clone)]
pub(crate) struct TokenMetadataCache {
    cache: Cache,
    requests: Option<mpsc::Sender<Address>>,
    wait: Duration,
}

/// Known metadata, shared with the task that looks tokens up.
#[derive(Debug, Clone)]
struct Cache {
    state: Arc<Mutex<State>>,
    /// Number of look-ups resolved so far.
    resolved: Arc<watch::Sender<u64>>,
}

#[derive(Debug, Clone)]
enum Known {
    Found(Arc<TokenInfo>),
    /// It did not answer like a token, or the endpoint failed: not asked again before `until`.
    Nothing {
        until: Instant,
    },
}

/// When the young half is full it replaces the old one, and the old one's tokens are forgotten.
#[derive(Debug, Default)]
struct State {
    young: HashMap<Address, Known>,
    old: HashMap<Address, Known>,
    /// Being looked up, since when.
    pending: HashMap<Address, Instant>,
}

impl TokenMetadataCache {
    /// Starts looking tokens up, by a task in `tasks`, until `stop`.
    pub(crate) fn start(
        chain: &str,
        config: &ChainConfig,
        nats: &Nats,
        pool: &Pool,
        metrics: &ChainMetrics,
        (stop, tasks): (&CancellationToken, &mut JoinSet<()>),
    ) -> Self {
        let cache = Cache { state: Arc::default(), resolved: Arc::new(watch::Sender::new(0)) };
        let wait = Duration::from_millis(config.enrich_wait_ms);
        if !config.enrich_tokens {
            return Self { cache, requests: None, wait };
        }
        let (requests, queue) = mpsc::channel(QUEUE);
        let lookups = Lookups::new(chain, config, nats, pool, metrics, cache.clone());
        tasks.spawn(lookups.run(queue, stop.clone()));
        Self { cache, requests: Some(requests), wait }
    }

    /// Known metadata of these tokens. New ones are looked up and waited for up to the configured time, each only once,
    /// so that a slow endpoint does not delay block after block.
    pub(crate) async fn of_block(&self, wanted: &[Address]) -> Tokens {
        let Some(requests) = self.requests.as_ref().filter(|_| !wanted.is_empty()) else {
            return Tokens::default();
        };
        let mut resolved = self.cache.resolved.subscribe();
        if let Some(asked) = self.ask(requests, wanted) {
            let all = async {
                while self.cache.lock().any_pending(wanted) {
                    if resolved.changed().await.is_err() {
                        return;
                    }
                }
            };
            // Later answers are used from a later block on.
            let _ = tokio::time::timeout_at(asked + self.wait, all).await;
        }
        self.cache.lock().found(wanted)
    }

    /// Queues unknown tokens; returns when the newest of those still pending was queued.
    fn ask(&self, requests: &mpsc::Sender<Address>, wanted: &[Address]) -> Option<Instant> {
        let now = Instant::now();
        let mut state = self.cache.lock();
        let mut newest = None;
        for token in wanted {
            if state.is_known(token, now) {
                continue;
            }
            let asked = match state.pending.get(token) {
                Some(asked) => Some(*asked),
                None if requests.try_send(*token).is_ok() => {
                    state.pending.insert(*token, now);
                    Some(now)
                }
                None => None,
            };
            newest = newest.max(asked);
        }
        newest
    }
}

impl Cache {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock()
    }

    fn resolve(&self, token: Address, known: Known) {
        {
            let mut state = self.lock();
            state.pending.remove(&token);
            state.insert(token, known);
        }
        self.resolved.send_modify(|count| *count += 1);
    }
}

impl State {
    fn insert(&mut self, token: Address, known: Known) {
        if self.young.len() >= HALF {
            self.old = std::mem::take(&mut self.young);
        }
        self.young.insert(token, known);
    }

    fn get(&self, token: &Address) -> Option<&Known> {
        self.young.get(token).or_else(|| self.old.get(token))
    }

    fn is_known(&self, token: &Address, now: Instant) -> bool {
        match self.get(token) {
            Some(Known::Found(_)) => true,
            Some(Known::Nothing { until }) => *until > now,
            None => false,
        }
    }

    fn any_pending(&self, wanted: &[Address]) -> bool {
        wanted.iter().any(|token| self.pending.contains_key(token))
    }

    /// The known ones of these tokens, which move to the young half.
    fn found(&mut self, wanted: &[Address]) -> Tokens {
        let mut found = HashMap::new();
        let mut aging = HashSet::new();
        for token in wanted {
            let Some(Known::Found(info)) = self.get(token) else { continue };
            found.insert(*token, Arc::clone(info));
            if !self.young.contains_key(token) {
                aging.insert(*token);
            }
        }
        for token in aging {
            if let Some(known) = self.old.remove(&token) {
                self.insert(token, known);
            }
        }
        Tokens(Arc::new(found))
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    fn book(queue: usize) -> (TokenMetadataCache, mpsc::Receiver<Address>) {
        let (requests, receiver) = mpsc::channel(queue);
        let cache = Cache { state: Arc::default(), resolved: Arc::new(watch::Sender::new(0)) };
        (
            TokenMetadataCache { cache, requests: Some(requests), wait: Duration::from_millis(50) },
            receiver,
        )
    }

    fn named(symbol: &str) -> Known {
        Known::Found(Arc::new(TokenInfo { symbol: Some(symbol.into()), ..TokenInfo::default() }))
    }

    #[tokio::test(start_paused = true)]
    async fn a_block_waits_for_a_new_token_once_and_not_longer_than_configured() {
        let (book, mut queue) = book(8);
        let token = Address::repeat_byte(1);
        let started = Instant::now();
        assert!(book.of_block(&[token]).await.of(&token).is_none());
        assert_eq!(started.elapsed().as_millis(), 50);
        assert_eq!(queue.recv().await, Some(token));
        let again = Instant::now();
        assert!(book.of_block(&[token]).await.of(&token).is_none());
        assert_eq!(again.elapsed().as_millis(), 0, "the second block does not wait for it");
        book.cache.resolve(token, named("T"));
        assert_eq!(book.of_block(&[token]).await.of(&token).unwrap().symbol.as_deref(), Some("T"));
        assert!(queue.try_recv().is_err(), "it was asked for once");
    }

    #[tokio::test(start_paused = true)]
    async fn an_answer_ends_the_wait() {
        let (book, _queue) = book(8);
        let token = Address::repeat_byte(1);
        let waiting = tokio::spawn({
            let book = book.clone();
            async move { (book.of_block(&[token]).await, Instant::now()) }
        });
        let started = Instant::now();
        tokio::time::sleep(Duration::from_millis(10)).await;
        book.cache.resolve(token, named("T"));
        let (tokens, ended) = waiting.await.unwrap();
        assert!(tokens.of(&token).is_some());
        assert_eq!((ended - started).as_millis(), 10);
    }

    #[tokio::test(start_paused = true)]
    async fn a_contract_that_is_no_token_is_asked_again_later() {
        let (book, mut queue) = book(8);
        let token = Address::repeat_byte(1);
        let until = Instant::now() + Duration::from_secs(60);
        book.cache.resolve(token, Known::Nothing { until });
        book.of_block(&[token]).await;
        assert!(queue.try_recv().is_err());
        tokio::time::advance(Duration::from_secs(61)).await;
        book.of_block(&[token]).await;
        assert_eq!(queue.try_recv().ok(), Some(token));
    }

    #[tokio::test(start_paused = true)]
    async fn a_flood_of_new_tokens_delays_nothing_and_is_bounded() {
        let (book, _queue) = book(2);
        let flood: Vec<Address> = (0..9).map(Address::repeat_byte).collect();
        let started = Instant::now();
        book.of_block(&flood).await;
        assert_eq!(started.elapsed().as_millis(), 50);
        assert_eq!(book.cache.lock().pending.len(), 2);
        for index in 0..HALF as u64 * 3 {
            book.cache.resolve(Address::left_padding_from(&index.to_be_bytes()), named("T"));
        }
        let state = book.cache.lock();
        assert!(state.young.len() + state.old.len() <= 2 * HALF);
    }
}
