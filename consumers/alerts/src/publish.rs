//! Publishes alerts on the stream ALERT, each exactly once: a subject holds one message, and a second
//! one is refused.

use std::{collections::BTreeSet, time::Duration};

use anyhow::Context as _;
use crypto_intel_nats::{Nats, NatsError, OutMessage, PublishError, PublishedOnce, StreamMessage};
use crypto_intel_schemas::{Alert, AlertState, Event, Kind, Stream, subjects};
use crypto_intel_service::{Retryable, retry};
use futures::future::try_join_all;

use crate::metrics::Metrics;

/// Maximum number of alerts published concurrently.
const MAX_CONCURRENT: usize = 64;

/// Name of the stream of alerts.
const ALERT_STREAM: &str = Stream::Alert.name();

#[derive(Debug, thiserror::Error)]
enum AlertError {
    #[error("publish alert")]
    Publish(#[source] PublishError),
    #[error("look for the correction of an alert that was refused as a duplicate")]
    Look(#[source] NatsError),
}

impl Retryable for AlertError {
    fn is_retryable(&self) -> bool {
        match self {
            Self::Publish(error) => error.is_retryable(),
            Self::Look(error) => error.is_retryable(),
        }
    }

    fn retry_after(&self) -> Option<Duration> {
        match self {
            Self::Publish(error) => error.retry_after(),
            Self::Look(_) => None,
        }
    }
}

/// Result of publishing an alert.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Stored {
    /// It is new.
    New,
    /// The stream has it, or one with the same meaning.
    Duplicate,
    /// The stream has an older alert under its key, which was withdrawn.
    Contradicted,
}

/// Publishes alerts in order and waits until all are stored. Returns the keys of those that the
/// stream refuses although they were withdrawn.
pub(crate) async fn publish_alerts(
    nats: &Nats,
    alerts: &mut Vec<Alert>,
    metrics: &Metrics,
) -> anyhow::Result<Vec<String>> {
    let mut contradicted = Vec::new();
    while !alerts.is_empty() {
        let length = independent(alerts);
        let attempts = alerts[..length].iter().map(|alert| publish_one(nats, alert, metrics));
        let done = try_join_all(attempts).await?;
        for (alert, stored) in alerts.drain(..length).zip(done) {
            if stored == Stored::Contradicted {
                contradicted.push(alert.alert);
            }
        }
    }
    Ok(contradicted)
}

/// How many of the first alerts may be published concurrently: messages of one alert keep their order.
fn independent(alerts: &[Alert]) -> usize {
    let mut keys = BTreeSet::new();
    alerts.iter().take(MAX_CONCURRENT).take_while(|alert| keys.insert(&alert.alert)).count()
}

async fn publish_one(nats: &Nats, alert: &Alert, metrics: &Metrics) -> anyhow::Result<Stored> {
    let stored = retry("publish alert", || store(nats, alert.clone()))
        .await
        .with_context(|| format!("publish alert of rule {}", alert.rule))?;
    match stored {
        Stored::New => {
            metrics.published.inc();
            tracing::info!(
                rule = alert.rule,
                alert = alert.code,
                state = alert.state.as_str(),
                title = alert.title,
                "alert"
            );
        }
        Stored::Duplicate => metrics.duplicates.inc(),
        Stored::Contradicted => {
            metrics.contradicted.inc();
            tracing::error!(
                rule = alert.rule,
                alert = alert.code,
                title = alert.title,
                "alert was withdrawn and cannot be sent again under its key: inform people by hand"
            );
        }
    }
    Ok(stored)
}

async fn store(nats: &Nats, alert: Alert) -> Result<Stored, AlertError> {
    let subject = subject_of(&alert, alert.state, alert.n);
    let body = Event::from(alert.clone()).encode();
    let message = OutMessage::new(subject, body).schema(Kind::Alert.schema());
    match nats.publish_once(ALERT_STREAM, message).await.map_err(AlertError::Publish)? {
        PublishedOnce::New => Ok(Stored::New),
        PublishedOnce::Known(None) => Ok(Stored::Duplicate),
        PublishedOnce::Known(Some(held)) => compare(nats, &alert, &held).await,
    }
}

/// Whether the stream's alert of the same key has the same meaning: it was made of the same message, or
/// was not withdrawn since.
async fn compare(nats: &Nats, alert: &Alert, held: &StreamMessage) -> Result<Stored, AlertError> {
    let is_same = matches!(
        Event::decode(&held.payload),
        Ok(Event::Alert(held)) if held.observed_at_us == alert.observed_at_us
    );
    if is_same || alert.state != AlertState::Fired {
        return Ok(Stored::Duplicate);
    }
    let correction = subject_of(alert, AlertState::Corrected, alert.n + 1);
    let corrected = nats.last_on_subject(ALERT_STREAM, &correction).await;
    match corrected.map_err(AlertError::Look)? {
        Some(_) => Ok(Stored::Contradicted),
        None => Ok(Stored::Duplicate),
    }
}

fn subject_of(alert: &Alert, state: AlertState, n: u32) -> String {
    subjects::alert(alert.severity, &alert.rule, &alert.alert, state, n)
}
