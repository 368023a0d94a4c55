//! What became of earlier messages, where that decides about an alert: of those that follow-ups follow, and of what comes again
//! because an instance died over it.

use std::collections::BTreeMap;

use crypto_intel_schemas::{Alert, AlertState};
use futures::{
    future::{BoxFuture, FutureExt as _},
    stream::{self, StreamExt as _, TryStreamExt as _},
};

use super::{dispatch::Dispatcher, judge::Kept, open::AT_ONCE};
use crate::records::{delivery::delivery_id, record::UnreadableRecord};

/// What became of an earlier message.
#[derive(Debug, Clone)]
pub(crate) enum Before {
    /// It was kept back.
    Kept(Kept),
    /// Its sender has it, or has sent it.
    Told,
}

/// What became of earlier messages, by alert and destination.
pub(crate) type LookedBack = BTreeMap<(String, String), Option<Before>>;

impl Dispatcher<'_> {
    /// Reads what became of earlier messages, where that decides about alerts: of those that follow-ups follow, and of what
    /// comes again because an instance died over it.
    pub(crate) async fn look_back(
        &self,
        alerts: impl Iterator<Item = &Alert>,
    ) -> anyhow::Result<LookedBack> {
        let mut looks: Vec<BoxFuture<'_, anyhow::Result<_>>> = Vec::new();
        for alert in alerts {
            for target in self.targets(&self.tree, alert).known {
                let (name, alert) = (target.destination, alert.clone());
                let look = async move {
                    let before = self.told_before(&alert, &name).await?;
                    Ok(((alert.alert, name), before))
                };
                looks.push(look.boxed());
            }
        }
        stream::iter(looks).buffer_unordered(AT_ONCE).try_collect().await
    }

    /// What became of the message that said that it fired; `None` where nothing is known of it.
    pub(super) async fn told_before(
        &self,
        alert: &Alert,
        name: &str,
    ) -> anyhow::Result<Option<Before>> {
        let n = match alert.state {
            AlertState::Fired => alert.n,
            _ => self.open.0.get(&alert.alert).map_or(1, |open| open.record.fired_n),
        };
        let fired = Alert { state: AlertState::Fired, n, ..alert.clone() };
        let loaded = self.records.load(name, &delivery_id(&fired, name)).await;
        let stored = match loaded {
            Err(error) if error.is::<UnreadableRecord>() => None,
            other => other?,
        };
        let Some(record) = stored.map(|stored| stored.record) else { return Ok(None) };
        Ok(Some(match record.ending().filter(|ending| ending.state.is_kept_back()) {
            None => Before::Told,
            Some(ending) => Before::Kept(Kept {
                state: ending.state,
                cause: record.cause,
                why: format!("as what it follows: {}", ending.error.unwrap_or_default()),
                source: None,
            }),
        }))
    }
}
