use serde::{Deserialize, Serialize};

use crate::{events::alert::Alert, types::decimal::Decimal};

/// What a subscription is to.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SubscriptionTarget {
    /// Alerts whose events touch this address, as its chain writes it.
    Address(String),
    /// Alerts of the rule with this id.
    Rule(String),
}

/// A destination that is told of an address or a rule, beside those of the routes: a value of the bucket `subscriptions`, as JSON.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Subscription {
    /// Five characters that people can read out; also its key.
    pub id: String,
    /// Whose it is: the id of an API key.
    pub owner: String,
    /// What that key is called, for people.
    pub author: String,
    /// What it is to.
    pub target: SubscriptionTarget,
    /// Chains that it is about; absent: all.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub chains: Option<Vec<String>>,
    /// Dollars from which on an address's events count; absent: also those without a worth.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub min_usd: Option<Decimal>,
    /// What its owner calls it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub label: Option<String>,
    /// Name of the destination that is told.
    pub destination: String,
    /// When it was made, microseconds UTC.
    pub created_at_us: i64,
}

impl Subscription {
    /// Whether its destination is to be told of an alert.
    #[must_use]
    pub fn matches(&self, alert: &Alert) -> bool {
        let is_of_chain = self
            .chains
            .as_ref()
            .is_none_or(|chains| alert.chain.as_ref().is_some_and(|chain| chains.contains(chain)));
        is_of_chain
            && match &self.target {
                SubscriptionTarget::Rule(rule) => *rule == alert.rule,
                SubscriptionTarget::Address(address) => alert
                    .addresses
                    .iter()
                    .any(|one| one.address == *address && self.is_enough(one.usd.as_ref())),
            }
    }

    fn is_enough(&self, usd: Option<&Decimal>) -> bool {
        self.min_usd
            .as_ref()
            .is_none_or(|least| usd.is_some_and(|usd| least.is_larger(usd) == Some(false)))
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;
    use crate::types::alert_types::AlertAddress;

    #[test]
    fn it_matches_by_address_worth_chain_and_rule() {
        let subscription = |json: &str| {
            let rest =
                r#""id":"A","owner":"k","author":"desk","destination":"ops","created_at_us":1"#;
            serde_json::from_str::<Subscription>(&format!("{{{json},{rest}}}")).unwrap()
        };
        let of = |address: &str, usd: Option<&str>| AlertAddress {
            address: address.to_owned(),
            usd: usd.map(|usd| Decimal::parse(usd).unwrap()),
        };
        let alert = Alert {
            rule: "depeg".into(),
            chain: Some("base".into()),
            addresses: vec![of("0xa1", Some("100")), of("0xb2", None)],
            ..Alert::empty()
        };
        for (json, matches) in [
            (r#""target":{"rule":"depeg"}"#, true),
            (r#""target":{"rule":"gas"}"#, false),
            (r#""target":{"rule":"depeg"},"chains":["ethereum"]"#, false),
            (r#""target":{"address":"0xa1"}"#, true),
            (r#""target":{"address":"0xc3"}"#, false),
            (r#""target":{"address":"0xa1"},"min_usd":"100","chains":["base"]"#, true),
            (r#""target":{"address":"0xa1"},"min_usd":"100.01""#, false),
            (r#""target":{"address":"0xb2"}"#, true),
            (r#""target":{"address":"0xb2"},"min_usd":"0.01""#, false),
        ] {
            assert_eq!(subscription(json).matches(&alert), matches, "{json}");
        }
        let of_no_chain = Alert { chain: None, ..alert };
        assert!(subscription(r#""target":{"rule":"depeg"}"#).matches(&of_no_chain));
        assert!(
            !subscription(r#""target":{"rule":"depeg"},"chains":["base"]"#).matches(&of_no_chain)
        );
    }
}
