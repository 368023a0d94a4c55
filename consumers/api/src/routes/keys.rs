//! Keys of the API, made and revoked as `crypto-intel keys` does it.

use std::time::Duration;

use axum::{
    Extension, Json,
    extract::State,
    http::{HeaderName, StatusCode, header},
};
use crypto_intel_schemas::{ApiKeyEntry, ApiRole};
use crypto_intel_service::now_us;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use utoipa_axum::{router::OpenApiRouter, routes};

use crate::{
    auth::{
        Caller,
        keys::{Keys, NewKey},
        scopes::Scope,
    },
    change::{Changed, WithoutSecret},
    guard::Guard,
    limits::cost,
    page::Page,
    parameters::{
        Asked, At, NoParameters,
        body::Body,
        path_parameters,
        values::{ChainSlug, Name, Value as _, age_us},
    },
    problem::{Problem, ProblemKind},
    state::ApiState,
};

/// Every process holds all keys in memory.
const MAX_KEYS: usize = 1_000;
const MAX_CHAINS: usize = 64;
/// Ten years: who means longer, means until it is revoked.
const MAX_LIFETIME_US: i64 = 3_650 * 86_400 * 1_000_000;

pub(super) fn routes() -> OpenApiRouter<ApiState> {
    let guard = Guard::new(Scope::Keys, cost::LIST);
    OpenApiRouter::new()
        .routes(guard.of(routes!(list)))
        .routes(guard.doing("key.add").of(routes!(add)))
        .routes(guard.doing("key.revoke").of(routes!(revoke)))
}

/// A key, without its secret, which is kept nowhere.
#[derive(Debug, Clone, Serialize, ToSchema)]
struct KeyItem {
    /// By which it is found, and named in the audit.
    id: String,
    /// Whose it is.
    name: String,
    /// viewer, analyst, operator or admin.
    role: &'static str,
    /// Chains that it may see; null for all.
    chains: Option<Vec<String>>,
    /// counts, expired or revoked.
    state: &'static str,
    /// When it was made, microseconds UTC.
    created_at_us: i64,
    /// From when on it is refused, microseconds UTC; null: until it is revoked.
    expires_at_us: Option<i64>,
    /// When it was revoked, microseconds UTC.
    revoked_at_us: Option<i64>,
}

impl KeyItem {
    fn new(id: &str, entry: ApiKeyEntry) -> Self {
        let state = match entry.revoked_at_us {
            Some(_) => "revoked",
            None if entry.is_valid(now_us()) => "counts",
            None => "expired",
        };
        let ApiKeyEntry { name, role, chains, .. } = entry;
        Self {
            id: id.to_owned(),
            name,
            role: role.as_str(),
            chains,
            state,
            created_at_us: entry.created_at_us,
            expires_at_us: entry.expires_at_us,
            revoked_at_us: entry.revoked_at_us,
        }
    }
}

/// Whether a caller decides for keys of these chains: one of some chains never for more than those.
fn decides_for(caller: &Caller, chains: Option<&[String]>) -> bool {
    match chains {
        None => caller.chains.is_none(),
        Some(chains) => chains.iter().all(|chain| caller.sees(chain)),
    }
}

/// Those that a caller decides for, oldest first.
async fn keys_of(keys: &Keys, caller: &Caller) -> Result<Vec<(String, ApiKeyEntry)>, Problem> {
    let mut all = keys.list().await?;
    all.retain(|(_, entry)| decides_for(caller, entry.chains.as_deref()));
    Ok(all)
}

/// All keys, newest first, also those that expired or were revoked.
#[utoipa::path(
    get,
    path = "/api/v1/keys",
    tag = "access",
    responses((status = 200, body = Page<KeyItem>))
)]
async fn list(
    State(state): State<ApiState>,
    caller: Caller,
    _: Asked<NoParameters>,
) -> Result<Page<KeyItem>, Problem> {
    let found = keys_of(&Keys::open(&state.nats).await?, &caller).await?;
    let items = found.into_iter().rev().map(|(id, entry)| KeyItem::new(&id, entry));
    Ok(Page::whole(items.collect()))
}

/// A key to be made.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct NewKeyBody {
    /// Whose it is, such as `desk` or `grafana`.
    #[schema(min_length = 1, max_length = 64)]
    name: String,
    /// viewer, analyst, operator or admin; each may what the one before may.
    role: String,
    /// How long it counts, such as `90d` or `12h`; without a word until it is revoked.
    #[schema(pattern = "^[1-9][0-9]{0,4}[smhd]$")]
    expires: Option<String>,
    /// Chains that it may see; all without a word.
    #[schema(min_items = 1, max_items = 64)]
    chains: Option<Vec<String>>,
}

impl NewKeyBody {
    fn read(self) -> Result<NewKey, Problem> {
        let role: ApiRole = self
            .role
            .parse()
            .map_err(|reason: String| Problem::unprocessable(format!("role: {reason}")))?;
        let lifetime = self.expires.as_deref().map(lifetime).transpose()?;
        let chains = self.chains.map(chains).transpose()?;
        let new = NewKey { name: self.name, role, chains, lifetime };
        new.validate().map_err(|reason| Problem::unprocessable(format!("name: {reason}")))?;
        Ok(new)
    }
}

fn lifetime(text: &str) -> Result<Duration, Problem> {
    let is_plain = text.len() <= 6 && !text.starts_with('0');
    let span = age_us(text).filter(|span| is_plain && (1..=MAX_LIFETIME_US).contains(span));
    span.map(|span| Duration::from_micros(span.unsigned_abs())).ok_or_else(|| {
        Problem::unprocessable("expires: write a time such as 90d or 12h, of ten years at most")
    })
}

fn chains(named: Vec<String>) -> Result<Vec<String>, Problem> {
    if !(1..=MAX_CHAINS).contains(&named.len()) {
        let detail = format!("chains: name 1 to {MAX_CHAINS}, or leave it out for all");
        return Err(Problem::unprocessable(detail));
    }
    for chain in &named {
        ChainSlug::parse(chain)
            .map_err(|reason| Problem::unprocessable(format!("chains: {chain:?}: {reason}")))?;
    }
    Ok(named)
}

/// A key that was made.
#[derive(Debug, Clone, Serialize, ToSchema)]
struct MadeKey {
    #[serde(flatten)]
    key: KeyItem,
    /// The key itself, to be sent as `Authorization: Bearer`. Only the first answer has it; null where the request is repeated by its
    /// `Idempotency-Key`: if the first answer was lost, revoke this key and make another.
    secret: Option<String>,
}

type Made = (
    StatusCode,
    [(HeaderName, String); 2],
    Extension<Changed>,
    Extension<WithoutSecret>,
    Json<MadeKey>,
);

/// Makes a key and shows it, this once. It counts within a second, in every process.
#[utoipa::path(
    post,
    path = "/api/v1/keys",
    tag = "access",
    request_body = NewKeyBody,
    responses((status = 201, body = MadeKey))
)]
async fn add(
    State(state): State<ApiState>,
    caller: Caller,
    _: Asked<NoParameters>,
    Body(new): Body<NewKeyBody>,
) -> Result<Made, Problem> {
    let new = new.read()?;
    if new.role > caller.role || !decides_for(&caller, new.chains.as_deref()) {
        let detail = "the new key would have more rights than the one that makes it: name its chains among yours";
        return Err(Problem::new(ProblemKind::Forbidden, detail));
    }
    let keys = Keys::open(&state.nats).await?;
    let now = now_us();
    if keys.list().await?.iter().filter(|(_, entry)| entry.is_valid(now)).count() >= MAX_KEYS {
        let detail = format!("{MAX_KEYS} keys count already: revoke some first");
        return Err(Problem::unprocessable(detail));
    }
    let (secret, entry) = keys.add(new).await?;
    let key = KeyItem::new(secret.id(), entry);
    let headers = [
        (header::LOCATION, format!("/api/v1/keys/{}", key.id)),
        (header::CACHE_CONTROL, "no-store".to_owned()),
    ];
    let changed = Changed::of(&key.id).to(&key);
    let kept = WithoutSecret::of(&MadeKey { key: key.clone(), secret: None });
    let made = MadeKey { key, secret: Some(secret.reveal().to_owned()) };
    Ok((StatusCode::CREATED, headers, Extension(changed), Extension(kept), Json(made)))
}

path_parameters!(OfKey { id: Name = "Its id, as the list has it; never the key itself." });

/// Refuses a key from now on, within a second, in every process; its sessions end.
#[utoipa::path(
    delete,
    path = "/api/v1/keys/{id}",
    tag = "access",
    params(OfKey),
    responses((status = 204), (status = 404, body = Problem, content_type = "application/problem+json"))
)]
async fn revoke(
    State(state): State<ApiState>,
    caller: Caller,
    At(id): At<Name>,
    _: Asked<NoParameters>,
) -> Result<(StatusCode, Extension<Changed>), Problem> {
    let keys = Keys::open(&state.nats).await?;
    let found = keys_of(&keys, &caller).await?.into_iter().find(|(one, _)| *one == id.0);
    let Some((id, before)) = found else {
        return Err(Problem::not_found("there is no key of this id"));
    };
    keys.revoke(&id).await?;
    let changed = Changed::of(&id).from(Some(&KeyItem::new(&id, before)));
    Ok((StatusCode::NO_CONTENT, Extension(changed)))
}
