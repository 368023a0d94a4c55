//! Subscriptions: a destination that is configured is told of an address or a rule, beside those of the routes.

use axum::{
    Extension, Json,
    extract::State,
    http::{HeaderName, StatusCode, header},
};
use crypto_intel_alerts::{ListedRule, rules_in_force};
use crypto_intel_evm::Watchlist;
use crypto_intel_notify::{NoSubscription, Subscriptions};
use crypto_intel_schemas::{
    AccountAddress, ApiRole, Decimal, Subscription, SubscriptionTarget, WatchChain, WatchEntry,
};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use utoipa_axum::{router::OpenApiRouter, routes};

use crate::{
    auth::{Caller, scopes::Scope},
    change::Changed,
    guard::Guard,
    limits::cost,
    page::Page,
    parameters::{
        Asked, At, NoParameters,
        body::Body,
        path_parameters,
        values::{AddressValue, ChainSlug, Dollars, Name, Value as _},
    },
    problem::{Problem, ProblemKind},
    routes::alias::also_at,
    state::ApiState,
};

const MAX_CHAINS: usize = 64;

pub(super) fn routes() -> OpenApiRouter<ApiState> {
    let guard = Guard::new(Scope::SubscriptionsWrite, cost::LIST);
    OpenApiRouter::new()
        .routes(guard.of(routes!(list)))
        .routes(guard.of(routes!(destinations)))
        .routes(also_at("/subscribe", guard.doing("subscription.add").of(routes!(add))))
        .routes(guard.doing("subscription.end").of(routes!(end)))
}

/// Who is told of what.
#[derive(Debug, Clone, Serialize, ToSchema)]
struct SubscriptionItem {
    /// Five characters that people read out.
    id: String,
    /// An address, or the id of a rule.
    target: String,
    /// address or rule.
    kind: &'static str,
    /// Chains that it is about; null for all.
    chains: Option<Vec<String>>,
    /// Dollars from which on an event of the address counts, as decimal text; null: also those without a worth.
    min_usd: Option<String>,
    /// What its owner calls it.
    label: Option<String>,
    /// Name of the destination that is told.
    destination: String,
    /// Name of the key that made it.
    author: String,
    /// When it was made, microseconds UTC.
    created_at_us: i64,
}

impl From<Subscription> for SubscriptionItem {
    fn from(subscription: Subscription) -> Self {
        let (kind, target) = match subscription.target {
            SubscriptionTarget::Address(address) => ("address", address),
            SubscriptionTarget::Rule(rule) => ("rule", rule),
        };
        Self {
            id: subscription.id,
            target,
            kind,
            chains: subscription.chains,
            min_usd: subscription.min_usd.map(|usd| usd.to_string()),
            label: subscription.label,
            destination: subscription.destination,
            author: subscription.author,
            created_at_us: subscription.created_at_us,
        }
    }
}

/// Those of a caller, newest first: admins decide for all, a key of some chains never for others.
async fn own(subscriptions: &Subscriptions, caller: &Caller) -> Result<Vec<Subscription>, Problem> {
    let mut all = subscriptions.list().await?;
    all.reverse();
    let id = caller.id();
    let keeps_to = |chains: &Option<Vec<String>>| match (&caller.chains, chains) {
        (None, _) => true,
        (Some(_), None) => false,
        (Some(_), Some(chains)) => chains.iter().all(|chain| caller.sees(chain)),
    };
    all.retain(|one| one.owner == id || caller.role == ApiRole::Admin && keeps_to(&one.chains));
    Ok(all)
}

/// The caller's subscriptions, newest first; those of all for a key of role admin.
#[utoipa::path(
    get,
    path = "/api/v1/subscriptions",
    tag = "alerts",
    responses((status = 200, body = Page<SubscriptionItem>))
)]
async fn list(
    State(state): State<ApiState>,
    caller: Caller,
    _: Asked<NoParameters>,
) -> Result<Page<SubscriptionItem>, Problem> {
    let found = own(&Subscriptions::open(&state.nats).await?, &caller).await?;
    Ok(Page::whole(found.into_iter().map(SubscriptionItem::from).collect()))
}

/// A chat, a mailbox or another place where alerts are told.
#[derive(Debug, Serialize, ToSchema)]
struct DestinationItem {
    /// Its name in the configuration.
    name: String,
}

/// The destinations that are configured, by their names alone.
#[utoipa::path(
    get,
    path = "/api/v1/destinations",
    tag = "alerts",
    responses((status = 200, body = Page<DestinationItem>))
)]
async fn destinations(
    State(state): State<ApiState>,
    _: Asked<NoParameters>,
) -> Page<DestinationItem> {
    let names = state.config.destinations.iter().flatten().cloned();
    Page::whole(names.map(|name| DestinationItem { name }).collect())
}

/// A subscription to be made.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct NewSubscription {
    /// An address, which is watched from then on, or the id of a rule in force.
    #[schema(min_length = 1, max_length = 128)]
    target: String,
    /// Chains that it is about; without a word all that the key may see.
    #[schema(min_items = 1, max_items = 64)]
    chains: Option<Vec<String>>,
    /// For an address: dollars from which on its events count, as decimal text.
    #[schema(pattern = r"^[0-9]{1,15}(\.[0-9]{1,6})?$")]
    min_usd: Option<String>,
    /// What to call it, and the address where that is not watched yet; 1 to 64 printable characters.
    label: Option<String>,
    /// Name of a destination, as `GET /api/v1/destinations` lists them.
    #[schema(min_length = 1, max_length = 128)]
    destination: String,
}

impl NewSubscription {
    /// The subscription, checked against what is configured and in force.
    fn read(
        self,
        state: &ApiState,
        caller: &Caller,
        rules: &[ListedRule],
    ) -> Result<Subscription, Problem> {
        let chains = chains_of(caller, self.chains)?;
        if !state.config.destinations.iter().flatten().any(|name| *name == self.destination) {
            let detail =
                "destination: none of this name is configured; /api/v1/destinations lists them";
            return Err(Problem::unprocessable(detail));
        }
        let target = target_of(rules, &self.target)?;
        let min_usd = self.min_usd.as_deref().map(|text| least(&target, text)).transpose()?;
        let entry = WatchEntry { label: self.label, ..WatchEntry::default() };
        entry.validate().map_err(Problem::unprocessable)?;
        Ok(Subscription {
            id: String::new(),
            owner: caller.id(),
            author: caller.name.clone(),
            target,
            chains,
            min_usd,
            label: entry.label,
            destination: self.destination,
            created_at_us: 0,
        })
    }
}

fn target_of(rules: &[ListedRule], text: &str) -> Result<SubscriptionTarget, Problem> {
    if text.starts_with("0x") {
        let address = AddressValue::parse(text)
            .map_err(|reason| Problem::unprocessable(format!("target: {reason}")))?;
        return Ok(SubscriptionTarget::Address(AccountAddress::from(address.0).to_string()));
    }
    if rules.iter().any(|rule| rule.id == text) {
        return Ok(SubscriptionTarget::Rule(text.to_owned()));
    }
    let detail =
        "target: it is neither an address nor the id of a rule in force; /api/v1/rules lists them";
    Err(Problem::unprocessable(detail))
}

fn least(target: &SubscriptionTarget, text: &str) -> Result<Decimal, Problem> {
    if matches!(target, SubscriptionTarget::Rule(_)) {
        let detail = "min_usd: is for addresses; what a rule asks for is in the rule";
        return Err(Problem::unprocessable(detail));
    }
    let dollars = Dollars::parse(text);
    let dollars = dollars.and_then(|usd| Decimal::parse(&usd.0).map_err(|error| error.to_string()));
    dollars.map_err(|reason| Problem::unprocessable(format!("min_usd: {reason}")))
}

/// Chains of a subscription: a key of some chains hears of no others.
fn chains_of(caller: &Caller, asked: Option<Vec<String>>) -> Result<Option<Vec<String>>, Problem> {
    let Some(asked) = asked else { return Ok(caller.chains.clone()) };
    if !(1..=MAX_CHAINS).contains(&asked.len()) {
        let detail = format!("chains: name 1 to {MAX_CHAINS}, or leave it out for all");
        return Err(Problem::unprocessable(detail));
    }
    for chain in &asked {
        ChainSlug::parse(chain)
            .map_err(|reason| Problem::unprocessable(format!("chains: {chain:?}: {reason}")))?;
        if !caller.sees(chain) {
            let detail = format!("the key is not for {chain}");
            return Err(Problem::new(ProblemKind::Forbidden, detail));
        }
    }
    Ok(Some(asked))
}

/// Watches what is not watched yet, by the function of `watch add`. Others may rely on it: it stays when the subscription ends.
async fn watch(state: &ApiState, subscription: &Subscription) -> Result<(), Problem> {
    let SubscriptionTarget::Address(address) = &subscription.target else { return Ok(()) };
    let address: AccountAddress =
        address.parse().map_err(|reason: String| Problem::new(ProblemKind::Internal, reason))?;
    let list = Watchlist::open(&state.nats).await?;
    if list.get(&WatchChain::All, &address).await?.is_some() {
        return Ok(());
    }
    let chains = match &subscription.chains {
        None => vec![WatchChain::All],
        Some(chains) => chains.iter().cloned().map(WatchChain::One).collect(),
    };
    for chain in chains {
        if list.get(&chain, &address).await?.is_none() {
            let label = subscription.label.clone();
            list.add(&chain, &address, WatchEntry { label, ..WatchEntry::default() }).await?;
        }
    }
    Ok(())
}

/// A subscription that was made.
#[derive(Debug, Serialize, ToSchema)]
struct MadeSubscription {
    #[serde(flatten)]
    subscription: SubscriptionItem,
    /// Why its destination may hear nothing.
    warnings: Vec<String>,
}

type Made = (StatusCode, [(HeaderName, String); 1], Extension<Changed>, Json<MadeSubscription>);

/// Of an address people hear what rules tell: without a rule about watched addresses that is little.
fn warnings_of(rules: &[ListedRule], wanted: &Subscription) -> Vec<String> {
    let tells = match &wanted.target {
        SubscriptionTarget::Address(_) => rules.iter().any(|rule| {
            rule.enabled && rule.when.as_deref().is_some_and(|when| when.contains("watched"))
        }),
        SubscriptionTarget::Rule(id) => rules.iter().any(|rule| rule.enabled && rule.id == *id),
    };
    match (&wanted.target, tells) {
        (_, true) => Vec::new(),
        (SubscriptionTarget::Address(_), false) => {
            vec!["no rule in force is about watched addresses, such as watched-wallet-moved: only alerts of other rules are told".to_owned()]
        }
        (SubscriptionTarget::Rule(_), false) => vec!["the rule is not enabled".to_owned()],
    }
}

/// Has a destination told of an address (what rules tell of it from that worth on) or of a rule, beside those of the routes. An
/// address that is not watched is watched from the next block on.
#[utoipa::path(
    post,
    path = "/api/v1/subscriptions",
    tag = "alerts",
    request_body = NewSubscription,
    responses((status = 201, body = MadeSubscription))
)]
async fn add(
    State(state): State<ApiState>,
    caller: Caller,
    _: Asked<NoParameters>,
    Body(new): Body<NewSubscription>,
) -> Result<Made, Problem> {
    let rules = rules_in_force(&state.nats).await?.rules;
    let wanted = new.read(&state, &caller, &rules)?;
    let warnings = warnings_of(&rules, &wanted);
    let subscriptions = Subscriptions::open(&state.nats).await?;
    let made = subscriptions.add(wanted).await.map_err(|error| match error {
        NoSubscription::Bucket(error) => Problem::from(error),
        refused => Problem::unprocessable(refused.to_string()),
    })?;
    if let Err(problem) = watch(&state, &made).await {
        subscriptions.end(&made.id).await?;
        return Err(problem);
    }
    let subscription = SubscriptionItem::from(made);
    let place = [(header::LOCATION, format!("/api/v1/subscriptions/{}", subscription.id))];
    let changed = Changed::of(&subscription.id).to(&subscription);
    let answer = MadeSubscription { subscription, warnings };
    Ok((StatusCode::CREATED, place, Extension(changed), Json(answer)))
}

path_parameters!(OfSubscription { id: Name = "Its id." });

/// Ends a subscription; its address stays watched, since others may rely on it.
#[utoipa::path(
    delete,
    path = "/api/v1/subscriptions/{id}",
    tag = "alerts",
    params(OfSubscription),
    responses((status = 204), (status = 404, body = Problem, content_type = "application/problem+json"))
)]
async fn end(
    State(state): State<ApiState>,
    caller: Caller,
    At(id): At<Name>,
    _: Asked<NoParameters>,
) -> Result<(StatusCode, Extension<Changed>), Problem> {
    let subscriptions = Subscriptions::open(&state.nats).await?;
    let known = own(&subscriptions, &caller).await?;
    // Another's is as one that is not there.
    let found = known.into_iter().find(|one| one.id.eq_ignore_ascii_case(&id.0));
    let found = found.ok_or_else(|| Problem::not_found("there is no subscription of this id"))?;
    subscriptions.end(&found.id).await?;
    let before = SubscriptionItem::from(found);
    Ok((StatusCode::NO_CONTENT, Extension(Changed::of(&before.id).from(Some(&before)))))
}
