//! The issuer's public keys. A set is used for ten minutes; a token by a key that is not in it has the set read again, once a minute at
//! most, so that rotated keys count soon and invented ones cost the issuer nothing.

use std::{
    collections::HashMap,
    sync::Arc,
    time::{Duration, Instant},
};

use anyhow::{Context as _, ensure};
use crypto_intel_service::{OutboundGuard, outbound_client};
use jsonwebtoken::{
    Algorithm, DecodingKey,
    jwk::{Jwk, PublicKeyUse},
};
use parking_lot::RwLock;
use reqwest::{Client, Url};
use serde_json::Value;
use tokio::sync::Mutex;

use super::config::JwtConfig;

const KEEP: Duration = Duration::from_secs(600);
/// While the issuer does not answer, known keys go on counting for so long.
const KEEP_WHILE_AWAY: Duration = Duration::from_secs(3_600);
const FETCH_TIMEOUT: Duration = Duration::from_secs(5);
const MAX_BYTES: usize = 256 << 10;

/// A key of the issuer.
#[derive(Debug, Clone)]
pub(super) struct IssuerKey {
    pub(super) key: DecodingKey,
    /// For what alone it is, where the set says so.
    pub(super) algorithm: Option<Algorithm>,
}

#[derive(Debug, Default)]
struct Known {
    by_id: HashMap<String, IssuerKey>,
    /// Of a set of one, which needs no id.
    only: Option<IssuerKey>,
    read: Option<Instant>,
}

impl Known {
    fn find(&self, id: Option<&str>) -> Option<IssuerKey> {
        match id {
            Some(id) => self.by_id.get(id).cloned(),
            None => self.only.clone(),
        }
    }

    fn is_younger_than(&self, age: Duration) -> bool {
        self.read.is_some_and(|read| read.elapsed() < age)
    }
}

/// The keys of one address.
#[derive(Debug)]
pub(super) struct KeySet {
    url: Url,
    guard: OutboundGuard,
    client: Client,
    /// How soon an unknown id has the set read again.
    read_again: Duration,
    known: RwLock<Arc<Known>>,
    /// When the set was asked for last; held while it is.
    asked: Mutex<Option<Instant>>,
}

/// The issuer did not answer, and what is known of it is too old.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Away;

impl KeySet {
    /// Reads nothing yet.
    ///
    /// # Errors
    /// When the address is none, or TLS cannot be set up.
    pub(super) fn new(config: &JwtConfig) -> anyhow::Result<Self> {
        let url: Url = config.jwks_url.parse().context("read api.jwt.jwks_url")?;
        let host = url.host_str().filter(|_| config.allow_private).map(ToOwned::to_owned);
        let guard = OutboundGuard::new(host);
        let agent = concat!("crypto-intel/", env!("CARGO_PKG_VERSION"));
        let client =
            outbound_client(&guard, agent).context("make a client for api.jwt.jwks_url")?;
        let (known, asked) = (RwLock::default(), Mutex::default());
        let read_again = Duration::from_secs(config.refetch_seconds);
        Ok(Self { url, guard, client, read_again, known, asked })
    }

    /// The key of an id; none where the issuer has no such key.
    ///
    /// # Errors
    /// When the issuer cannot be asked.
    pub(super) async fn find(&self, id: Option<&str>) -> Result<Option<IssuerKey>, Away> {
        let known = Arc::clone(&self.known.read());
        if let Some(key) = known.find(id)
            && known.is_younger_than(KEEP)
        {
            return Ok(Some(key));
        }
        self.read_again().await;
        let known = Arc::clone(&self.known.read());
        if known.is_younger_than(KEEP_WHILE_AWAY) { Ok(known.find(id)) } else { Err(Away) }
    }

    /// Reads the set, unless that was tried a moment ago.
    async fn read_again(&self) {
        let mut asked = self.asked.lock().await;
        if asked.is_some_and(|asked| asked.elapsed() < self.read_again) {
            return;
        }
        *asked = Some(Instant::now());
        match self.read().await {
            Ok(known) => *self.known.write() = Arc::new(known),
            Err(error) => {
                tracing::warn!(error = %format!("{error:#}"), url = %self.url, "cannot read the issuer's keys");
            }
        }
    }

    async fn read(&self) -> anyhow::Result<Known> {
        let host = self.url.host_str().context("the address has no host")?;
        self.guard.check_host(host)?;
        let request = self.client.get(self.url.clone()).timeout(FETCH_TIMEOUT);
        let mut response = request.send().await.context("ask")?;
        ensure!(response.status().is_success(), "the answer is {}", response.status());
        let mut body = Vec::new();
        while let Some(part) = response.chunk().await.context("read the answer")? {
            body.extend_from_slice(&part);
            ensure!(body.len() <= MAX_BYTES, "the answer is larger than {MAX_BYTES} bytes");
        }
        let keys = keys_of(&body)?;
        ensure!(!keys.is_empty(), "the set has no key for signatures of a known sort");
        let only = match &keys[..] {
            [(_, only)] => Some(only.clone()),
            _ => None,
        };
        let by_id = keys.into_iter().filter_map(|(id, key)| Some((id?, key))).collect();
        Ok(Known { by_id, only, read: Some(Instant::now()) })
    }
}

/// The keys of a set that check signatures; others, and those of a sort that is not known, are left out.
fn keys_of(body: &[u8]) -> anyhow::Result<Vec<(Option<String>, IssuerKey)>> {
    let set: Value = serde_json::from_slice(body).context("the answer is no JSON")?;
    let keys = set.get("keys").and_then(Value::as_array).context("the answer has no keys")?;
    let read = |value: &Value| {
        let jwk: Jwk = serde_json::from_value(value.clone()).ok()?;
        let is_for_signatures =
            matches!(jwk.common.public_key_use, None | Some(PublicKeyUse::Signature));
        let algorithm = value.get("alg").map(|named| serde_json::from_value(named.clone()));
        let algorithm: Option<Algorithm> = algorithm.transpose().ok()?;
        let key = DecodingKey::from_jwk(&jwk).ok().filter(|_| is_for_signatures)?;
        Some((jwk.common.key_id, IssuerKey { key, algorithm }))
    };
    Ok(keys.iter().filter_map(read).collect())
}
