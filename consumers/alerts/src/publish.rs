//! Alerts onto the stream ALERT, each exactly once: a subject holds one message, and a second one
//! is refused.

use std::{collections::BTreeSet, time::Duration};

use anyhow::Context as _;
use crypto_intel_nats::{Nats, NatsError, OutMessage, PublishError};
use crypto_intel_schemas::{Alert, Event, Kind, subjects};
use crypto_intel_service::{Backoff, Retryable, retry_forever};
use futures::future::try_join_all;
use tokio_util::sync::CancellationToken;

use crate::metrics::Metrics;

/// Alerts under way at once.
const AT_ONCE: usize = 64;

/// Name of the stream of alerts.
const ALERT_STREAM: &str = "ALERT";

/// `maximum messages per subject exceeded`
const SUBJECT_IS_TAKEN: u64 = 10_077;

#[derive(Debug, thiserror::Error)]
enum AlertError {
    #[error("publish alert")]
    Publish(#[source] PublishError),
    #[error("look for alert that was refused as a duplicate")]
    Look(#[source] NatsError),
    #[error("stream {ALERT_STREAM} refuses {subject} as a duplicate but does not hold it")]
    RefusedWithoutReason { subject: String },
}

impl Retryable for AlertError {
    fn is_retryable(&self) -> bool {
        match self {
            Self::Publish(error) => error.is_retryable(),
            Self::Look(error) => error.is_retryable(),
            Self::RefusedWithoutReason { .. } => true,
        }
    }

    fn retry_after(&self) -> Option<Duration> {
        match self {
            Self::Publish(error) => error.retry_after(),
            Self::Look(_) | Self::RefusedWithoutReason { .. } => None,
        }
    }
}

/// Publishes alerts in order and waits until all are on disk; `false` when `stop` fired first.
pub(crate) async fn publish_alerts(
    nats: &Nats,
    alerts: &mut Vec<Alert>,
    metrics: &Metrics,
    stop: &CancellationToken,
) -> anyhow::Result<bool> {
    while !alerts.is_empty() {
        let length = independent(alerts);
        let attempts = alerts[..length].iter().map(|alert| publish_one(nats, alert, metrics, stop));
        let done = try_join_all(attempts).await?;
        if done.contains(&false) {
            return Ok(false);
        }
        alerts.drain(..length);
    }
    Ok(true)
}

/// How many alerts from the first on may be under way at once: two messages of one alert never
/// overtake each other.
fn independent(alerts: &[Alert]) -> usize {
    let mut keys = BTreeSet::new();
    alerts.iter().take(AT_ONCE).take_while(|alert| keys.insert(&alert.alert)).count()
}

async fn publish_one(
    nats: &Nats,
    alert: &Alert,
    metrics: &Metrics,
    stop: &CancellationToken,
) -> anyhow::Result<bool> {
    let subject = subjects::alert(alert.severity, &alert.rule, &alert.alert, alert.state, alert.n);
    let body = Event::from(alert.clone()).encode();
    let message = OutMessage::new(subject, body).schema(Kind::Alert.schema());
    let stored =
        retry_forever("publish alert", Backoff::default(), stop, || store(nats, message.clone()));
    match stored.await {
        None => Ok(false),
        Some(Ok(true)) => {
            metrics.published.inc();
            tracing::info!(
                rule = alert.rule,
                alert = alert.code,
                state = alert.state.as_str(),
                title = alert.title,
                "alert"
            );
            Ok(true)
        }
        Some(Ok(false)) => {
            metrics.duplicates.inc();
            Ok(true)
        }
        Some(Err(error)) => {
            Err(error).with_context(|| format!("publish alert of rule {}", alert.rule))
        }
    }
}

/// `false` = the stream had it already.
async fn store(nats: &Nats, message: OutMessage) -> Result<bool, AlertError> {
    let subject = message.subject.clone();
    match nats.publish(message).await {
        Ok(ack) => Ok(!ack.duplicate),
        // The same code says that the stream is full: only what is there makes it a duplicate.
        Err(PublishError::Full { code: SUBJECT_IS_TAKEN, .. }) => {
            match nats.last_on_subject(ALERT_STREAM, &subject).await.map_err(AlertError::Look)? {
                Some(_) => Ok(false),
                None => Err(AlertError::RefusedWithoutReason { subject }),
            }
        }
        Err(error) => Err(AlertError::Publish(error)),
    }
}
