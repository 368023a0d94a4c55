//! Endpoints that another instance polls: their progress in KV says when they last gave a valid answer.

use std::time::Duration;

use crypto_intel_nats::Nats;
use crypto_intel_service::now_us;

use crate::polling::progress::ProgressStore;

/// How long ago an endpoint completed a slot, whichever instance polls it; `None` when it never did, or that is not known.
pub(super) async fn last_slot_age(nats: &Nats, label: &str) -> Option<Duration> {
    let slot_us = ProgressStore::new(nats.clone(), label).peek().await?.slot_us?;
    Some(Duration::from_micros(now_us().saturating_sub(slot_us).try_into().unwrap_or(0)))
}
