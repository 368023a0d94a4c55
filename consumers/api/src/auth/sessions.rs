//! Sessions of the dashboard: a browser holds a random id in a cookie that scripts cannot read, the bucket `sessions` its hash. A code,
//! which `crypto-intel keys login` prints, begins one without the key being typed.

use anyhow::{Context as _, bail};
use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use crypto_intel_nats::{Bucket, Kv, Nats};
use crypto_intel_schemas::{ApiKeyEntry, ApiRole};
use crypto_intel_service::now_us;
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

use super::{key::hex, keys::Keys, ring::Ring};

const SECOND_US: i64 = 1_000_000;
/// A session that is not used for so long ends.
const IDLE_US: i64 = 12 * 3_600 * SECOND_US;
/// A session lasts no longer, however much it is used; entries of the bucket go after the same time.
pub(crate) const MAX_AGE_US: i64 = 7 * 86_400 * SECOND_US;
/// Its use is written down no more often than this.
const SEEN_US: i64 = 300 * SECOND_US;
/// How long a code counts.
const CODE_US: i64 = 300 * SECOND_US;
const CODE_PREFIX: &str = "cl_";
/// Keys of sessions in the bucket.
const SESSION_PREFIX: &str = "session.";

/// Whose a session is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Holder {
    /// Of an API key, by its id: what the key may do now counts.
    Key(String),
    /// Of a person whom an identity provider knows, as long as the token said.
    Person { id: String, name: String, role: ApiRole, until_us: i64 },
}

/// A session, as the bucket holds it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Session {
    pub(crate) holder: Holder,
    /// When it began, microseconds UTC.
    pub(crate) began_us: i64,
    /// When it was used last, microseconds UTC, to some minutes.
    pub(crate) seen_us: i64,
}

impl Session {
    /// When it ends if it is not used again.
    pub(crate) fn ends_us(&self) -> i64 {
        let by_use = self.seen_us.saturating_add(IDLE_US);
        let ends = by_use.min(self.began_us.saturating_add(MAX_AGE_US));
        match self.holder {
            Holder::Key(_) => ends,
            Holder::Person { until_us, .. } => ends.min(until_us),
        }
    }
}

/// A code that begins a session, as the bucket holds it.
#[derive(Debug, Serialize, Deserialize)]
struct Code {
    /// Id of the API key.
    key: String,
    made_us: i64,
}

/// Random text of 256 bits.
fn random() -> String {
    URL_SAFE_NO_PAD.encode(rand::random::<[u8; 32]>())
}

fn place(prefix: &str, secret: &str) -> String {
    format!("{prefix}{}", hex(&Sha256::digest(secret.as_bytes())))
}

/// A code that begins a session, to be shown to its holder; `Debug` leaves it out.
pub struct LoginCode {
    /// The code itself: it counts once, for five minutes.
    pub code: String,
    /// Id of the API key whose session it begins.
    pub key: String,
    /// What the key may do.
    pub entry: ApiKeyEntry,
}

impl std::fmt::Debug for LoginCode {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("LoginCode").field("key", &self.key).finish_non_exhaustive()
    }
}

/// Makes a code that begins a session of the key with this name or id.
///
/// # Errors
/// When no key of that name counts, or several do, or the bucket cannot be written.
pub async fn login_code(nats: &Nats, name_or_id: &str) -> anyhow::Result<LoginCode> {
    let keys = Keys::open(nats).await?.list().await?;
    let now = now_us();
    let mut valid = keys.into_iter().filter(|(id, entry)| {
        (id == name_or_id || entry.name == name_or_id) && entry.is_valid(now)
    });
    let Some((id, entry)) = valid.next() else {
        bail!("no key {name_or_id:?} counts; `crypto-intel keys list` shows them");
    };
    if valid.next().is_some() {
        bail!(
            "several keys are named {name_or_id:?}: give the id, as `crypto-intel keys list` shows it"
        );
    }
    let code = format!("{CODE_PREFIX}{}", random());
    let kept = Code { key: id.clone(), made_us: now };
    let value = serde_json::to_vec(&kept).context("encode the code")?;
    let kv = nats.kv(Bucket::Sessions).await.context("open bucket sessions")?;
    kv.create(&place("code.", &code), value).await.context("write the code")?;
    Ok(LoginCode { code, key: id, entry })
}

/// The sessions in memory.
#[derive(Debug, Clone)]
pub(crate) struct Sessions {
    pub(crate) ring: Ring<Session>,
}

impl Default for Sessions {
    fn default() -> Self {
        Self { ring: Ring::new(Bucket::Sessions, "session.*") }
    }
}

impl Sessions {
    /// The session of a cookie's id, if it lasts, with its key in the bucket.
    pub(crate) fn find(&self, id: &str) -> Option<(String, Session)> {
        let key = place(SESSION_PREFIX, id);
        let session = self.at(&key)?;
        Some((key, session))
    }

    /// The session of a key of the bucket, if it lasts.
    pub(crate) fn at(&self, key: &str) -> Option<Session> {
        let session = self.ring.get(key)?.value;
        (now_us() < session.ends_us()).then_some(session)
    }

    /// Begins one; what is returned is the id for the cookie.
    ///
    /// # Errors
    /// When the bucket cannot be written.
    pub(crate) async fn begin(
        &self,
        nats: &Nats,
        holder: Holder,
    ) -> anyhow::Result<(String, Session)> {
        let (id, now) = (random(), now_us());
        let session = Session { holder, began_us: now, seen_us: now };
        let value = serde_json::to_vec(&session).context("encode the session")?;
        let key = place(SESSION_PREFIX, &id);
        let revision = open(nats).await?.create(&key, value).await.context("write the session")?;
        self.ring.hold(key, session.clone(), revision);
        Ok((id, session))
    }

    /// Ends one.
    ///
    /// # Errors
    /// When the bucket cannot be written.
    pub(crate) async fn end(&self, nats: &Nats, key: &str) -> anyhow::Result<()> {
        open(nats).await?.delete(key).await.context("end the session")?;
        self.ring.forget(key);
        Ok(())
    }

    /// Writes down that a session is used, where that is some minutes old.
    pub(crate) fn touch(&self, nats: &Nats, key: &str) {
        let Some(held) = self.ring.get(key) else { return };
        let now = now_us();
        if now - held.value.seen_us < SEEN_US {
            return;
        }
        let session = Session { seen_us: now, ..held.value };
        // Once, however many requests come meanwhile; if it fails, others know the older time until the next try.
        self.ring.hold(key.to_owned(), session.clone(), held.revision);
        let (nats, key) = (nats.clone(), key.to_owned());
        tokio::spawn(async move {
            let written = async {
                let value = serde_json::to_vec(&session).context("encode the session")?;
                // Another process may have written it, or ended it: then this is void.
                open(&nats).await?.update(&key, value, held.revision).await.context("write")
            };
            if let Err(error) = written.await {
                tracing::debug!(error = %format!("{error:#}"), "the use of a session is not written");
            }
        });
    }

    /// Whose key a code stands for; it counts once.
    ///
    /// # Errors
    /// When the bucket cannot be read or written.
    pub(crate) async fn redeem(&self, nats: &Nats, code: &str) -> anyhow::Result<Option<String>> {
        if !code.starts_with(CODE_PREFIX) {
            return Ok(None);
        }
        let (kv, place) = (open(nats).await?, place("code.", code));
        let Some(entry) = kv.get(&place).await.context("read the code")? else {
            return Ok(None);
        };
        // Of two who bring it one deletes it.
        if kv.delete_revision(&place, entry.revision).await.is_err() {
            return Ok(None);
        }
        let code: Code = serde_json::from_slice(&entry.value).context("read the code")?;
        let age_us = now_us() - code.made_us;
        Ok((0..CODE_US).contains(&age_us).then_some(code.key))
    }
}

async fn open(nats: &Nats) -> anyhow::Result<Kv> {
    nats.kv(Bucket::Sessions).await.context("open bucket sessions")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_session_ends_by_disuse_by_age_and_with_its_token() {
        let of_key = Session { holder: Holder::Key("a".into()), began_us: 0, seen_us: 0 };
        assert_eq!(of_key.ends_us(), IDLE_US);
        let used = Session { seen_us: MAX_AGE_US - 1, ..of_key.clone() };
        assert_eq!(used.ends_us(), MAX_AGE_US);
        let (id, name) = ("p".to_owned(), "p".to_owned());
        let person = Holder::Person { id, name, role: ApiRole::Viewer, until_us: 7 };
        assert_eq!(Session { holder: person, ..of_key }.ends_us(), 7);
    }

    #[test]
    fn secrets_are_kept_as_hashes() {
        let id = random();
        assert_eq!(id.len(), 43);
        let place = place(SESSION_PREFIX, &id);
        assert!(!place.contains(&id) && place.len() == SESSION_PREFIX.len() + 64);
    }
}
