//! One request to several endpoints: one after the other, and two at once when the first is late.

use std::sync::Arc;

use futures::{StreamExt as _, future::BoxFuture, stream::FuturesUnordered};
use tokio::time::Instant;

use super::{
    Fetcher,
    cross_check::CrossCheck,
    error::{BlockId, FetchError},
    rotation::EndpointRotation,
};
use crate::{
    endpoint::{Class, Endpoint, EndpointError},
    verify::Checks,
};

/// An endpoint's answer, on its way.
pub(super) type Attempt<T> = BoxFuture<'static, Result<T, FetchError>>;

/// Whether another endpoint is asked as well when the first is late.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Hedging {
    /// No: nothing waits for this block.
    Off,
    /// Yes, and the first good answer is taken.
    On,
}

impl Fetcher {
    /// The first answer that passes the checks, from any endpoint.
    ///
    /// # Errors
    /// The last failure, after every endpoint was asked several times.
    pub(super) async fn ask<T: Send + 'static>(
        &self,
        id: BlockId,
        hedging: Hedging,
        attempt: impl Fn(Arc<Endpoint>, Checks) -> Attempt<T> + Send + Sync,
    ) -> Result<T, FetchError> {
        let mut rotation = EndpointRotation::of(Class::Blocks);
        let mut cross_check = CrossCheck::new(self.checks);
        let mut rounds = 0;
        let mut running = FuturesUnordered::new();
        let start = |endpoint: Arc<Endpoint>, checks: Checks| {
            answered_by(Arc::clone(&endpoint), attempt(endpoint, checks))
        };
        let mut late = Instant::now();
        // At most one hedged request per endpoint: the hedged one is not hedged itself.
        let mut may_hedge = false;
        let mut first = String::new();
        loop {
            if running.is_empty() {
                let Some(endpoint) = rotation.next(&self.pool).await else {
                    return Err(rotation.last);
                };
                if rotation.rounds() > rounds {
                    rounds = rotation.rounds();
                    cross_check.relax(&self.pool);
                }
                late = Instant::now() + self.pool.late_after(rotation.class());
                may_hedge = hedging == Hedging::On;
                endpoint.operator().clone_into(&mut first);
                running.push(start(endpoint, cross_check.checks()));
            }
            let answered = tokio::select! {
                answered = running.next() => answered,
                () = tokio::time::sleep_until(late), if may_hedge => None,
            };
            let Some((endpoint, outcome)) = answered else {
                may_hedge = false;
                if let Some(second) = rotation.beside(&self.pool, &first) {
                    self.metrics.hedged(second.label());
                    running.push(start(second, cross_check.checks()));
                }
                continue;
            };
            let error = match outcome {
                Ok(answer) => {
                    self.note_good(&endpoint, &cross_check);
                    // The slower request has not failed: it may finish, and is judged by its outcome.
                    if !running.is_empty() {
                        tokio::spawn(async move { while running.next().await.is_some() {} });
                    }
                    return Ok(answer);
                }
                Err(error) => error,
            };
            if let FetchError::InvalidResponse { endpoint: label, source } = &error {
                self.metrics.untrue_answers(label, source.reason());
                tracing::warn!(endpoint = label, block = %id, error = %source, "answer cannot be true, asking again");
            }
            cross_check.note(&endpoint, &error);
            self.note_failure(&endpoint, Class::Blocks, &error);
            rotation.note(error, id);
            if !running.is_empty()
                && let Some(next) = rotation.beside(&self.pool, &first)
            {
                running.push(start(next, cross_check.checks()));
            }
        }
    }

    fn note_good(&self, endpoint: &Endpoint, cross_check: &CrossCheck) {
        endpoint.record_validity(Class::Blocks, true);
        // If another operator gave the same answer, the endpoint is not at fault.
        for other in self.pool.all() {
            if cross_check.is_shared_by(other.label()) {
                other.record_validity(Class::Blocks, true);
            }
        }
    }

    /// Updates the judgement of an endpoint after a failure.
    pub(crate) fn note_failure(&self, endpoint: &Endpoint, class: Class, error: &FetchError) {
        match error {
            // No request was sent.
            FetchError::Endpoint(EndpointError::Resting { .. }) | FetchError::NoEndpoint => {}
            FetchError::Endpoint(error) => {
                self.metrics.request_failures(endpoint.label(), error.reason());
                let is_refusal = matches!(
                    error,
                    EndpointError::Refused { .. } | EndpointError::Unsupported { .. }
                );
                if is_refusal && !error.is_outage() {
                    endpoint.note_refusal(class);
                }
            }
            FetchError::InvalidResponse { .. } => endpoint.record_validity(class, false),
            // Its head is at or above this block, but it does not have it.
            FetchError::NotFound { block: BlockId::Number(number), .. }
                if endpoint.head().is_some_and(|head| head.number >= *number) =>
            {
                endpoint.record_validity(class, false);
            }
            FetchError::NotFound { .. } | FetchError::OfBlock { .. } => {}
        }
    }
}

async fn answered_by<T>(
    endpoint: Arc<Endpoint>,
    attempt: Attempt<T>,
) -> (Arc<Endpoint>, Result<T, FetchError>) {
    (endpoint, attempt.await)
}
