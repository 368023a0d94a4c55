//! Subscriptions: destinations that are told of an address or a rule beside those of the routes. Others make and end them while
//! notify runs.

use std::collections::{BTreeMap, BTreeSet};

use anyhow::{Context as _, bail};
use crypto_intel_nats::{Bucket, Kv, KvError, Nats};
use crypto_intel_schemas::{Alert, Subscription, short_code};
use crypto_intel_service::now_us;

use super::{
    judge::{By, Target, Targets},
    tree::Tree,
};

/// Every alert is compared with all of them.
const MAX_SUBSCRIPTIONS: usize = 2_000;
const MAX_OF_OWNER: usize = 50;
/// Ids are short: two may be the same.
const MAX_TRIES: u32 = 8;

/// Why there is no new subscription.
#[derive(Debug, thiserror::Error)]
pub enum NoSubscription {
    /// The owner has the same one already, by its id.
    #[error("subscription {0} is the same: end it first to change it")]
    Same(String),
    /// There are too many of this owner, or of all.
    #[error("there are {0} already, no more are kept: end some first")]
    TooMany(usize),
    /// The bucket cannot be read or written.
    #[error(transparent)]
    Bucket(#[from] anyhow::Error),
}

/// The subscriptions of a server. A change is in force within a second, without a restart.
#[derive(Debug, Clone)]
pub struct Subscriptions {
    kv: Kv,
}

impl Subscriptions {
    /// Opens the bucket.
    ///
    /// # Errors
    /// When the server does not answer or has no such bucket.
    pub async fn open(nats: &Nats) -> anyhow::Result<Self> {
        Ok(Self { kv: nats.kv(Bucket::Subscriptions).await.context("open bucket subscriptions")? })
    }

    /// Makes one, whose id and time are given here.
    ///
    /// # Errors
    /// When its owner has the same one already, or too many, or it cannot be written.
    pub async fn add(&self, mut new: Subscription) -> Result<Subscription, NoSubscription> {
        let known = self.list().await?;
        let mut own = known.iter().filter(|one| one.owner == new.owner);
        let is_same =
            |one: &&Subscription| one.target == new.target && one.destination == new.destination;
        if let Some(same) = own.clone().find(is_same) {
            return Err(NoSubscription::Same(same.id.clone()));
        }
        if known.len() >= MAX_SUBSCRIPTIONS {
            return Err(NoSubscription::TooMany(MAX_SUBSCRIPTIONS));
        }
        if own.nth(MAX_OF_OWNER - 1).is_some() {
            return Err(NoSubscription::TooMany(MAX_OF_OWNER));
        }
        new.created_at_us = now_us();
        for salt in 0..MAX_TRIES {
            new.id = short_code(&format!("{new:?} {salt}"));
            let value = serde_json::to_vec(&new).context("encode the subscription")?;
            match self.kv.create(&new.id, value).await {
                Ok(_) => return Ok(new),
                Err(KvError::AlreadyExists { .. }) => {}
                Err(error) => {
                    return Err(anyhow::Error::new(error).context("write the subscription").into());
                }
            }
        }
        Err(anyhow::anyhow!("no id is free").into())
    }

    /// All of them, by their time.
    ///
    /// # Errors
    /// When the bucket cannot be read.
    pub async fn list(&self) -> anyhow::Result<Vec<Subscription>> {
        let entries = self.kv.entries("").await.context("read the subscriptions")?;
        let mut all: Vec<Subscription> =
            entries.iter().filter_map(|(_, entry)| decode(&entry.value)).collect();
        all.sort_by(|one, two| (one.created_at_us, &one.id).cmp(&(two.created_at_us, &two.id)));
        Ok(all)
    }

    /// Ends one.
    ///
    /// # Errors
    /// When there is none of that id, or the bucket cannot be written.
    pub async fn end(&self, id: &str) -> anyhow::Result<()> {
        if self.kv.get(id).await.context("read the subscription")?.is_none() {
            bail!("there is no subscription {id}");
        }
        self.kv.delete(id).await.context("end the subscription")?;
        Ok(())
    }
}

fn decode(value: &[u8]) -> Option<Subscription> {
    serde_json::from_slice(value).ok()
}

/// Those in force, by their ids.
#[derive(Debug, Default)]
pub(crate) struct SubscriptionList(BTreeMap<String, Subscription>);

impl SubscriptionList {
    /// Those that the bucket holds now.
    pub(crate) async fn read(nats: &Nats) -> anyhow::Result<Self> {
        let all = Subscriptions::open(nats).await?.list().await?;
        Ok(Self(all.into_iter().map(|one| (one.id.clone(), one)).collect()))
    }

    /// Takes a value of the bucket. `None` removes it.
    pub(crate) fn set(&mut self, id: &str, value: Option<&[u8]>) {
        self.0.remove(id);
        let Some(value) = value else { return };
        match decode(value) {
            Some(subscription) => _ = self.0.insert(id.to_owned(), subscription),
            None => tracing::error!(id, "a subscription that cannot be read is ignored"),
        }
    }

    /// Adds the destinations that want to hear of an alert, each once, with the settings of the root.
    pub(crate) fn add_to<'t>(
        &self,
        all: &mut Targets<'t>,
        tree: &'t Tree,
        alert: &Alert,
        destinations: &BTreeSet<String>,
    ) {
        for (id, subscription) in self.0.iter().filter(|(_, one)| one.matches(alert)) {
            let name = &subscription.destination;
            let is_new = all.known.iter().all(|target| target.destination != *name);
            // A destination that is gone since is as one that was never named.
            if is_new && destinations.contains(name) {
                let by = By::Subscription(id.clone());
                all.known.push(Target { destination: name.clone(), node: &tree.root, by });
            }
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use crypto_intel_schemas::SubscriptionTarget;

    use super::*;
    use crate::routing::judge::targets;

    #[test]
    fn a_subscription_adds_its_destination_and_takes_none_away() {
        let mut list = SubscriptionList::default();
        for (id, rule, destination) in
            [("A", "gas", "desk"), ("B", "gas", "ops"), ("C", "gas", "gone"), ("D", "depeg", "ops")]
        {
            let subscription = Subscription {
                id: id.to_owned(),
                owner: "k".to_owned(),
                author: "desk".to_owned(),
                target: SubscriptionTarget::Rule(rule.to_owned()),
                chains: None,
                min_usd: None,
                label: None,
                destination: destination.to_owned(),
                created_at_us: 1,
            };
            list.set(id, Some(&serde_json::to_vec(&subscription).unwrap()));
        }
        let (tree, known) = (Tree::default(), ["ops".to_owned(), "desk".to_owned()].into());
        let unrouted = "ops".to_owned();
        let of = |list: &SubscriptionList| {
            let alert = Alert { rule: "gas".into(), ..Alert::empty() };
            let mut all = targets(&tree, &alert, &known, Some(&unrouted));
            list.add_to(&mut all, &tree, &alert, &known);
            all.known.into_iter().map(|one| (one.destination, one.by)).collect::<Vec<_>>()
        };
        let ops = ("ops".to_owned(), By::Unrouted);
        let desk = ("desk".to_owned(), By::Subscription("A".to_owned()));
        assert_eq!(of(&list), [ops.clone(), desk]);
        list.set("A", None);
        assert_eq!(of(&list), [ops]);
    }
}
