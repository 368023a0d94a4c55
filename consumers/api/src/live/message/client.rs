//! What clients send.

use std::sync::Arc;

use crypto_intel_schemas::{AccountAddress, Kind};
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::Value;

use super::{
    super::{
        filter::Filter,
        kind_set::KindSet,
        position::ResumeToken,
        service::{Service, scope_of},
    },
    reading::{Reading, chain_of, dollars_of, id_of, kind_of, quoted, sorted, token_of},
};
use crate::{
    auth::Caller,
    problem::{Problem, ProblemKind},
};

pub(crate) const MAX_ADDRESSES: usize = 1_000;
const MAX_TOKENS: usize = 100;
const MAX_CHAINS: usize = 64;
const MAX_KINDS: usize = 64;
/// Maximum number of events in a snapshot.
pub(crate) const MAX_SNAPSHOT: u32 = 1_000;

/// A message of a client.
#[derive(Debug, Clone, PartialEq, Deserialize, JsonSchema)]
#[serde(tag = "action", rename_all = "snake_case")]
pub(crate) enum Request {
    /// Says who it is.
    Auth(Auth),
    /// Wants events.
    Subscribe(Subscribe),
    /// Wants them no more.
    Unsubscribe(Unsubscribe),
    /// Wants to know what it subscribed to.
    List(List),
    /// Wants an answer.
    Ping(Ping),
}

/// `auth`.
#[derive(Debug, Clone, PartialEq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Auth {
    /// The key.
    pub(crate) token: String,
}

/// `subscribe`.
#[derive(Debug, Clone, Default, PartialEq, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct Subscribe {
    /// The client's name for it; else the service's.
    pub(crate) id: Option<String>,
    /// What of.
    pub(crate) service: Option<String>,
    /// Chains by name.
    pub(crate) chains: Vec<String>,
    /// Kinds of event, of those of the service.
    pub(crate) kinds: Vec<String>,
    /// Addresses of which an event has to name one.
    pub(crate) addresses: Vec<String>,
    /// Tokens of which it has to move one: contracts, or `native`.
    pub(crate) tokens: Vec<String>,
    /// Whether it has to touch a watched address.
    pub(crate) watched: bool,
    /// Least value, as a decimal text.
    pub(crate) min_usd: Option<String>,
    /// Where to go on.
    pub(crate) resume: Option<String>,
    /// How many of the newest matching events to begin with.
    pub(crate) snapshot: Option<u32>,
}

/// `unsubscribe`, by id or by service.
#[derive(Debug, Clone, Default, PartialEq, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct Unsubscribe {
    /// The id of the subscription.
    pub(crate) id: Option<String>,
    /// All subscriptions of a service.
    pub(crate) service: Option<String>,
}

/// `list`.
#[derive(Debug, Clone, PartialEq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct List {}

/// `ping`.
#[derive(Debug, Clone, Default, PartialEq, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct Ping {
    /// Comes back as it is.
    pub(crate) data: Value,
}

impl Request {
    /// Reads a text message.
    ///
    /// # Errors
    /// A problem that names the unknown action or field.
    pub(crate) fn from_json(text: &str) -> Result<Self, Refused> {
        let value: Value = serde_json::from_str(text)
            .map_err(|error| malformed(None, &format!("the message is not JSON: {error}")))?;
        Self::from_value(value)
    }

    /// Reads a MessagePack message.
    ///
    /// # Errors
    /// As [`from_json`](Self::from_json).
    pub(crate) fn from_messagepack(bytes: &[u8]) -> Result<Self, Refused> {
        let value: Value = rmp_serde::from_slice(bytes).map_err(|error| {
            malformed(None, &format!("the message is not MessagePack: {error}"))
        })?;
        Self::from_value(value)
    }

    fn from_value(value: Value) -> Result<Self, Refused> {
        let id = value.get("id").and_then(Value::as_str).map(quoted);
        if !value.get("action").is_some_and(Value::is_string) {
            let detail = "a message is an object with an `action`: auth, subscribe, unsubscribe, list or ping";
            return Err(malformed(id, detail));
        }
        serde_json::from_value(value).map_err(|error| malformed(id, &error.to_string()))
    }
}

/// A message that cannot be read.
#[derive(Debug)]
pub(crate) struct Refused {
    /// The id in it, if there is one.
    pub(crate) id: Option<String>,
    /// What is wrong.
    pub(crate) problem: Box<Problem>,
}

fn malformed(id: Option<String>, detail: &str) -> Refused {
    Refused { id, problem: Box::new(Problem::new(ProblemKind::MalformedBody, quoted(detail))) }
}

/// A subscription that was understood.
#[derive(Debug, Clone)]
pub(crate) struct Wish {
    pub(crate) id: Arc<str>,
    pub(crate) service: Service,
    pub(crate) filter: Filter,
    pub(crate) resume: Option<ResumeToken>,
    pub(crate) snapshot: u32,
}

impl Subscribe {
    /// Understands it, for a client with these rights.
    ///
    /// # Errors
    /// Everything that is wrong, at once; or the scope that is missing.
    pub(crate) fn understand(&self, caller: &Caller) -> Result<Wish, Problem> {
        let mut reading = Reading::default();
        let service =
            reading.one("service", self.service.as_deref(), |text| text.parse::<Service>());
        let service = service.unwrap_or(Service::All);
        let id = reading.one("id", self.id.as_deref(), id_of);
        let kinds = reading.list("kinds", &self.kinds, MAX_KINDS, |text| kind_of(text, service));
        let chains = reading.list("chains", &self.chains, MAX_CHAINS, chain_of);
        let addresses =
            reading.list("addresses", &self.addresses, MAX_ADDRESSES, str::parse::<AccountAddress>);
        let tokens = reading.list("tokens", &self.tokens, MAX_TOKENS, token_of);
        let usd = self.min_usd.as_deref().or(service.least_usd());
        let least_micro_usd = reading.one("min_usd", usd, dollars_of);
        let resume =
            reading.one("resume", self.resume.as_deref(), |text| text.parse::<ResumeToken>());
        let snapshot = self.snapshot.unwrap_or(0);
        if snapshot > MAX_SNAPSHOT {
            reading.refuse("snapshot", format!("{snapshot} is more than {MAX_SNAPSHOT}"));
        }
        reading.finish()?;
        let asked = if kinds.is_empty() { service.kinds() } else { KindSet::of(&kinds) };
        let filter = Filter {
            kinds: visible(asked, service, caller)?,
            chains,
            visible_chains: caller.chains.as_ref().map(|chains| sorted(chains.clone())),
            addresses,
            tokens,
            is_watched: self.watched,
            least_micro_usd,
        };
        let id = id.unwrap_or_else(|| service.as_str().into());
        Ok(Wish { id, service, filter, resume, snapshot })
    }
}

/// Of the kinds that were asked for, those that the client may see.
fn visible(asked: KindSet, service: Service, caller: &Caller) -> Result<KindSet, Problem> {
    let may_see = |kind: &Kind| scope_of(*kind).is_some_and(|scope| caller.may(scope));
    let seen: Vec<Kind> = asked.iter().filter(may_see).collect();
    if !seen.is_empty() {
        return Ok(KindSet::of(&seen));
    }
    let needed = asked.iter().find_map(scope_of);
    let scope = needed.map_or("", |scope| scope.as_str());
    let detail =
        format!("{service} needs the scope {scope}, which the role {} has not", caller.role);
    Err(Problem::new(ProblemKind::Forbidden, detail))
}

#[cfg(test)]
mod tests {
    use crypto_intel_schemas::ApiRole;
    use serde_json::json;

    use super::{super::reading::MAX_QUOTED, *};

    pub(crate) fn caller(role: ApiRole) -> Caller {
        Caller {
            key: None,
            name: "test".to_owned(),
            role,
            chains: None,
            credential: crate::auth::Credential::None,
            address: [127, 0, 0, 1].into(),
        }
    }

    fn subscribe(value: Value) -> Subscribe {
        match Request::from_value(value).unwrap() {
            Request::Subscribe(subscribe) => subscribe,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn every_action_is_read_in_both_formats() {
        for value in [
            json!({"action": "auth", "token": "ci_x"}),
            json!({"action": "subscribe", "id": "a", "service": "onchain", "chains": ["base"], "kinds": ["swap"],
                "addresses": [], "tokens": ["native"], "watched": true, "min_usd": "1", "resume": "EVM.1", "snapshot": 5}),
            json!({"action": "subscribe"}),
            json!({"action": "unsubscribe", "id": "a"}),
            json!({"action": "list"}),
            json!({"action": "ping", "data": {"n": [1]}}),
        ] {
            let read = Request::from_json(&value.to_string()).unwrap();
            let bytes = rmp_serde::to_vec_named(&value).unwrap();
            assert_eq!(Request::from_messagepack(&bytes).unwrap(), read, "{value}");
        }
    }

    #[test]
    fn what_is_unknown_is_named() {
        for (text, part) in [
            ("hello", "not JSON"),
            ("[]", "an `action`"),
            ("{\"action\":7}", "an `action`"),
            ("{\"action\":\"subscribed\"}", "subscribed"),
            ("{\"action\":\"subscribe\",\"wallets\":[]}", "wallets"),
            ("{\"action\":\"subscribe\",\"watched\":\"yes\"}", "yes"),
            ("{\"action\":\"list\",\"id\":\"b\"}", "id"),
            ("{\"action\":\"auth\"}", "token"),
        ] {
            let Refused { problem, .. } = Request::from_json(text).unwrap_err();
            assert!(problem.detail.contains(part), "{text}: {}", problem.detail);
            assert!(problem.detail.len() <= MAX_QUOTED * 4);
        }
        let Refused { id, .. } =
            Request::from_json("{\"action\":\"nonsense\",\"id\":\"b\"}").unwrap_err();
        assert_eq!(id.as_deref(), Some("b"));
    }

    #[test]
    fn equal_wishes_are_equal_filters() {
        let viewer = caller(ApiRole::Viewer);
        let (one, two) = (
            "0x5fbdb2315678afecb367f032d93f642f64180aa3",
            "0x28c6c06298d514db089934071355e5743bf21d60",
        );
        let wish = |value: Value| subscribe(value).understand(&viewer).unwrap().filter;
        let first = wish(
            json!({"action": "subscribe", "service": "onchain", "chains": ["base", "ethereum", "base"],
            "addresses": [one, two], "min_usd": "100000.00"}),
        );
        let second = wish(
            json!({"action": "subscribe", "service": "onchain", "chains": ["ethereum", "base"],
            "addresses": [two.to_uppercase().replace("0X", "0x"), one], "min_usd": "100000"}),
        );
        assert_eq!(first, second);
        assert_eq!(first.addresses.len(), 2);
    }

    #[test]
    fn everything_that_is_wrong_is_told_at_once() {
        let wrong = subscribe(
            json!({"action": "subscribe", "service": "on_chain", "chains": ["Base"],
            "kinds": ["price"], "addresses": ["0x1"], "min_usd": "-5", "resume": "EVM", "snapshot": 5000, "id": ""}),
        );
        let problem = wrong.understand(&caller(ApiRole::Viewer)).unwrap_err();
        let names: Vec<&str> =
            problem.errors.iter().map(|error| error.parameter.as_str()).collect();
        // Without a known service every kind of any service counts.
        assert_eq!(
            names,
            ["service", "id", "chains[0]", "addresses[0]", "min_usd", "resume", "snapshot"]
        );
        let too_many = Subscribe { addresses: vec!["x".to_owned(); 1_001], ..Subscribe::default() };
        let problem = too_many.understand(&caller(ApiRole::Viewer)).unwrap_err();
        assert!(problem.detail.contains("1001 are more than 1000"), "{}", problem.detail);
        let of_another =
            subscribe(json!({"action": "subscribe", "service": "alerts", "kinds": ["swap"]}));
        let problem = of_another.understand(&caller(ApiRole::Viewer)).unwrap_err();
        assert!(problem.detail.contains("no kind of alerts"), "{}", problem.detail);
    }

    #[test]
    fn rights_narrow_what_is_seen() {
        let viewer = caller(ApiRole::Viewer);
        let all = Subscribe::default().understand(&viewer).unwrap();
        assert_eq!((all.service, &*all.id), (Service::All, "all"));
        assert!(
            all.filter.kinds.contains(Kind::Swap) && !all.filter.kinds.contains(Kind::NodeStatus)
        );
        let nodes = Subscribe { service: Some("rpc-nodes".to_owned()), ..Subscribe::default() };
        let problem = nodes.understand(&viewer).unwrap_err();
        assert_eq!(problem.status, 403);
        assert!(problem.detail.contains("ops"), "{}", problem.detail);
        assert!(nodes.understand(&caller(ApiRole::Operator)).is_ok());
        let of_base = Caller { chains: Some(vec!["base".to_owned()]), ..viewer };
        let seen = Subscribe::default().understand(&of_base).unwrap();
        assert_eq!(seen.filter.visible_chains, Some(vec!["base".to_owned()]));
    }

    #[test]
    fn whales_are_of_a_million_dollars_unless_another_bound_is_given() {
        let whales = |min_usd: Option<&str>| {
            let wish = Subscribe {
                service: Some("whale_tracking".to_owned()),
                min_usd: min_usd.map(ToOwned::to_owned),
                ..Subscribe::default()
            };
            wish.understand(&caller(ApiRole::Viewer)).unwrap().filter.least_micro_usd
        };
        assert_eq!(whales(None), Some(1_000_000_000_000));
        assert_eq!(whales(Some("5")), Some(5_000_000));
    }
}
