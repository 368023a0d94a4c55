//! Looks at the health of others beside the routing.

use std::{collections::BTreeSet, time::Duration};

use anyhow::Context as _;
use crypto_intel_nats::Nats;
use tokio::time::{Interval, MissedTickBehavior};
use tokio_util::task::AbortOnDropHandle;

use super::{dispatch::Dispatcher, sight::Sight};
use crate::{records::record::Records, router::Router};

/// How often it is looked at.
const SIGHT_INTERVAL: Duration = Duration::from_secs(5);

/// Tells what the health of others says. What is not known is not well.
pub(crate) async fn tell(
    router: &Router,
    dispatcher: &Dispatcher<'_>,
    sight: anyhow::Result<Sight>,
) {
    let told = match sight {
        Ok(sight) => {
            if sight.is_well() {
                router.pulse.beat();
            }
            router.watchdog.tell(dispatcher, sight).await
        }
        Err(error) => Err(error),
    };
    if let Err(error) = told {
        tracing::warn!(error = %format!("{error:#}"), "health of others is not known");
    }
}

/// Looks at the health of others beside the routing, one look at a time.
pub(crate) struct Sights {
    nats: Nats,
    records: Records,
    destinations: BTreeSet<String>,
    due: Interval,
    look: Option<AbortOnDropHandle<anyhow::Result<Sight>>>,
}

impl Sights {
    pub(crate) fn new(dispatcher: &Dispatcher<'_>) -> Self {
        let mut due = tokio::time::interval(SIGHT_INTERVAL);
        due.set_missed_tick_behavior(MissedTickBehavior::Delay);
        Self {
            nats: dispatcher.setup.nats.clone(),
            records: dispatcher.records.clone(),
            destinations: dispatcher.setup.destinations.clone(),
            due,
            look: None,
        }
    }

    /// What the next look shows. Cancel-safe.
    pub(crate) async fn next(&mut self) -> anyhow::Result<Sight> {
        if self.look.is_none() {
            self.due.tick().await;
        }
        let Self { nats, records, destinations, look, .. } = self;
        let seen = look
            .get_or_insert_with(|| {
                let (nats, records) = (nats.clone(), records.clone());
                let destinations = destinations.clone();
                let take = async move { Sight::take(&nats, &records, &destinations).await };
                AbortOnDropHandle::new(tokio::spawn(take))
            })
            .await;
        *look = None;
        seen.context("look at the health of others")?
    }
}
