//! Dead letters of this role, sent again by hand.

use std::collections::{BTreeMap, BTreeSet};

use anyhow::Context as _;
use crypto_intel_nats::{Bucket, DeadLetter, Nats, remove_dead_letter};
use crypto_intel_schemas::{Alert, Event};
use crypto_intel_service::{RecordingRetry, now_us};

use crate::{
    records::delivery::{CONSUMER, delivery_id, publish, sent_again},
    records::record::{closed_key, record_key},
    render::Language,
};

/// Why a dead letter was not handed back.
#[derive(Debug, thiserror::Error)]
pub enum RetryError {
    /// It cannot be handed back as it is; the text says why, and what to do.
    #[error("{0}")]
    Refused(String),
    /// Something did not answer: the same may be tried again.
    #[error(transparent)]
    Failed(#[from] anyhow::Error),
}

fn refused<T>(why: impl Into<String>) -> Result<T, RetryError> {
    Err(RetryError::Refused(why.into()))
}

/// As [`retry_dead_letter`], and removes the letter: if it fails again, there is a new one.
///
/// # Errors
/// As [`retry_dead_letter`], and when the letter cannot be removed: handed back again it is the same message.
pub async fn hand_back_dead_letter(
    nats: &Nats,
    destinations: &BTreeMap<String, Language>,
    letter: &DeadLetter,
    to: Option<&str>,
) -> Result<Vec<String>, RetryError> {
    let told = retry_dead_letter(nats, destinations, letter, to).await?;
    remove_dead_letter(nats, letter.dlq_sequence).await.context("remove the dead letter")?;
    Ok(told)
}

/// Hands a dead letter of notify to the senders of its destinations, or of `to`, as a new message; `destinations` are all that are
/// configured. Returns those of the message. The letter itself is kept.
///
/// # Errors
/// When it is not one of notify's, cannot be read, or no destination of it is configured.
pub async fn retry_dead_letter(
    nats: &Nats,
    destinations: &BTreeMap<String, Language>,
    letter: &DeadLetter,
    to: Option<&str>,
) -> Result<Vec<String>, RetryError> {
    if letter.consumer != CONSUMER {
        return refused(format!(
            "it is a letter of {}, and only those of notify can be handed back: for rows see `crypto-intel replay --to persist`",
            letter.consumer
        ));
    }
    let alert = match Event::decode(&letter.payload) {
        Ok(Event::Notification(message)) => Wanted::One(message.destination, message.alert),
        Ok(Event::Alert(alert)) => Wanted::Routes(alert),
        Ok(other) => return refused(format!("it holds {}, which cannot be sent", other.kind())),
        Err(error) => return refused(format!("it cannot be read, and stays as it is: {error}")),
    };
    let (wanted, alert) = match (to, alert) {
        (Some(to), Wanted::One(_, alert) | Wanted::Routes(alert)) => {
            ([to.to_owned()].into(), alert)
        }
        (None, Wanted::One(destination, alert)) => ([destination].into(), alert),
        (None, Wanted::Routes(alert)) => (unsent_routes(nats, &alert).await?, alert),
    };
    let known: Vec<&str> = destinations.keys().map(String::as_str).collect();
    let wanted: BTreeSet<String> =
        wanted.into_iter().filter(|name| known.contains(&name.as_str())).collect();
    if wanted.is_empty() {
        return refused(format!(
            "no destination of it is configured that was not told: name one with --to, or with the parameter `to` (known: {})",
            known.join(", ")
        ));
    }
    let retry = RecordingRetry::default();
    // A person waits: no retry.
    retry.stop().cancel();
    for destination in &wanted {
        let language = destinations.get(destination).copied().unwrap_or_default();
        let words = language.words();
        let message = sent_again(&alert, destination, letter.dlq_sequence, now_us(), words);
        publish(nats, Event::from(message), None, &retry)
            .await
            .with_context(|| {
                format!("NATS did not take the message{}", retry.last_error().suffix())
            })?
            .context("publish the message")?;
    }
    Ok(wanted.into_iter().collect())
}

/// What a letter holds.
enum Wanted {
    One(String, Alert),
    Routes(Alert),
}

/// The routes of an alert for which no message was made.
async fn unsent_routes(nats: &Nats, alert: &Alert) -> anyhow::Result<BTreeSet<String>> {
    let records = nats.kv(Bucket::Deliveries).await.context("open bucket deliveries")?;
    let mut unsent = BTreeSet::new();
    for route in &alert.routes {
        let key = record_key(route, &delivery_id(alert, route));
        if records.get(&key).await.context("read bucket deliveries")?.is_none() {
            unsent.insert(route.clone());
        }
    }
    Ok(unsent)
}

/// Opens a closed destination, so that its waiting messages are sent at once. `false` when it was not
/// closed.
///
/// # Errors
/// When the bucket cannot be read or written.
pub async fn reopen_destination(nats: &Nats, name: &str) -> anyhow::Result<bool> {
    let records = nats.kv(Bucket::Deliveries).await.context("open bucket deliveries")?;
    let key = closed_key(name);
    let closed = records.get(&key).await.context("read bucket deliveries")?.is_some();
    if closed {
        records.delete(&key).await.context("write bucket deliveries")?;
    }
    Ok(closed)
}
