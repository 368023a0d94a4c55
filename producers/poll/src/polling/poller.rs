use std::{collections::HashSet, convert::Infallible, sync::Arc, time::Duration};

use crypto_intel_nats::{Nats, PublishError};
use crypto_intel_schemas::Event;
use crypto_intel_service::{Backoff, Probe, Retryable, now_us};
use tokio::time::Instant;

use crate::{
    catalogue::{Endpoint, Provider},
    facts::freshness::EndpointFreshness,
    facts::prices::PriceWriter,
    fetch::{Answer, Ask, FetchError, Fetcher, Interpreted, Page, Pages, REFUSED_PAUSE, interpret},
    metrics::Metrics,
    polling::progress::{Progress, ProgressStore},
    polling::schedule::Schedule,
    polling::throttle::ProviderThrottle,
    publish::{Published, publish},
};

/// Delays between attempts within one slot.
const BACKOFF: Backoff =
    Backoff { first: Duration::from_secs(1), longest: Duration::from_secs(60) };

/// Polls one endpoint, slot after slot.
#[derive(Debug)]
pub(crate) struct EndpointPoller {
    pub(crate) provider: Arc<Provider>,
    pub(crate) endpoint: Arc<Endpoint>,
    pub(crate) throttle: Arc<ProviderThrottle>,
    pub(crate) fetcher: Fetcher,
    pub(crate) nats: Nats,
    pub(crate) prices: PriceWriter,
    pub(crate) metrics: Metrics,
    pub(crate) probe: Probe,
    pub(crate) freshness: EndpointFreshness,
    /// The last good answer, if the provider can say that it has not changed.
    pub(crate) known: Option<Answer>,
}

/// Why a slot is not done yet.
#[derive(Debug, thiserror::Error)]
enum PollError {
    #[error(transparent)]
    Fetch(#[from] FetchError),
    #[error("the stream refuses the events: {0}")]
    Publish(PublishError),
}

impl EndpointPoller {
    /// Polls until it is dropped. What was fetched but not acknowledged by then is fetched again
    /// by the next poller.
    pub(crate) async fn run(mut self) -> Infallible {
        let schedule = Schedule::new(self.endpoint.every, &self.endpoint.label());
        let store = ProgressStore::new(self.nats.clone(), &self.endpoint.label());
        let mut progress = store.load().await;
        if progress.slot_us.is_some_and(|slot| schedule.slot_at(now_us()) == slot) {
            self.probe.healthy("this slot was polled by an earlier start or another instance");
            self.freshness.fresh();
        }
        let mut last_success = None;
        let mut missing = Vec::new();
        let mut delays = BACKOFF.delays();
        loop {
            schedule.wait_after(progress.slot_us).await;
            let waited = self.throttle.pass(self.endpoint.weight).await;
            self.count_wait(waited.for_quota);
            // The throttle may have waited: the slot is that of the request.
            let slot_us = schedule.slot_at(now_us());
            match self.poll(slot_us, &mut progress).await {
                Ok(interpreted) => {
                    store.save(&progress).await;
                    last_success = Some(Instant::now());
                    delays = BACKOFF.delays();
                    self.report_missing(&mut missing, &interpreted);
                    self.report_success(&interpreted, slot_us);
                }
                Err(error) => {
                    let until_next = schedule.until_next(slot_us, now_us());
                    let delay = delay_after(&error, delays.next(), until_next);
                    self.report_failure(&error, slot_us, delay, last_success);
                    tokio::time::sleep(delay).await;
                }
            }
        }
    }

    /// One request and what follows from it; `progress` moves when its events are acknowledged.
    async fn poll(
        &mut self,
        slot_us: i64,
        progress: &mut Progress,
    ) -> Result<Interpreted, PollError> {
        let outcome = self.request_pages(slot_us).await;
        let label = match &outcome {
            Ok(_) => "ok",
            Err(error) => error.outcome(),
        };
        let [provider, endpoint] = self.labels();
        self.metrics.requests.with_label_values(&[provider, endpoint, label]).inc();
        let interpreted = outcome?;
        self.report_problems(&interpreted);
        let known: HashSet<&str> = progress.ids.iter().map(String::as_str).collect();
        let events: Vec<Event> = interpreted
            .events
            .iter()
            .filter(|event| !known.contains(event.id()))
            .cloned()
            .collect();
        let unchanged = interpreted.events.len() - events.len();
        self.metrics.unchanged.with_label_values(&[provider, endpoint]).inc_by(unchanged as u64);
        let mut ids = interpreted.events.iter().map(|event| event.id().to_owned()).collect();
        if !events.is_empty() {
            let message_id = format!("{provider}:{endpoint}:{}", slot_us / 1_000_000);
            match publish(&self.nats, &message_id, &events).await.map_err(PollError::Publish)? {
                Published::Stored => {
                    let published = self.metrics.published.with_label_values(&[provider, endpoint]);
                    published.inc_by(events.len() as u64);
                }
                Published::Before => {
                    self.metrics.duplicates.with_label_values(&[provider, endpoint]).inc();
                    // The stream holds another instance's answer for this slot, which may be older
                    // than ours: the next slot publishes all its events.
                    ids = Vec::new();
                }
            }
        }
        progress.slot_us = Some(slot_us);
        progress.ids = ids;
        self.prices.offer(&interpreted.events).await;
        Ok(interpreted)
    }

    /// Requests all pages of an answer. Each is a request of its own under the quota.
    async fn request_pages(&mut self, slot_us: i64) -> Result<Interpreted, FetchError> {
        let mut pages = Pages::of(&self.endpoint);
        while let Some(page) = pages.next() {
            if !page.is_empty() {
                let waited = self.throttle.pass(self.endpoint.weight).await;
                self.count_wait(waited.for_quota);
            }
            let read = self.request(slot_us, &page).await;
            pages.add(read)?;
        }
        Ok(pages.finish())
    }

    /// Fetches and reads a page, and reports the outcome to the throttle.
    async fn request(&mut self, slot_us: i64, page: &Page) -> Result<Interpreted, FetchError> {
        let started = Instant::now();
        // The first of several pages may stay as it is while the others change.
        let known = self.known.take().filter(|_| self.endpoint.page_limit == 1);
        let ask = Ask { key: self.provider.first_key(), page, known: known.as_ref() };
        let fetched = self.fetcher.fetch(&self.provider, &self.endpoint, ask).await;
        self.metrics
            .request_duration
            .with_label_values(&self.labels())
            .observe(started.elapsed().as_secs_f64());
        let outcome = match fetched {
            Ok(answer) => {
                let (provider, endpoint) = (self.provider.clone(), self.endpoint.clone());
                let read = answer.clone();
                // Filtering a large answer would block the runtime.
                let reading = move || interpret(&provider, &endpoint, &read, slot_us);
                let outcome = tokio::task::spawn_blocking(reading).await.unwrap_or_else(|error| {
                    Err(FetchError::Shape { problem: format!("the filter panicked: {error}") })
                });
                // A bad answer is asked for as a whole again.
                self.known = outcome.is_ok().then_some(answer).filter(Answer::can_be_confirmed);
                outcome
            }
            Err(error) => {
                self.known = known;
                Err(error)
            }
        };
        self.report_to_throttle(outcome.as_ref().err());
        outcome
    }

    fn report_to_throttle(&self, error: Option<&FetchError>) {
        let provider = self.provider.name.as_str();
        match error {
            // Perhaps our plan excludes this path alone: the others continue.
            Some(FetchError::Refused { .. }) => {
                if self.throttle.refused(&self.endpoint.name) {
                    self.throttle.hold(REFUSED_PAUSE);
                    tracing::warn!(
                        provider,
                        wait_seconds = REFUSED_PAUSE.as_secs(),
                        "provider rejects several endpoints, all of them pause"
                    );
                }
            }
            Some(error) if error.retry_after().is_some() => {
                let wait = error.retry_after().unwrap_or_default();
                self.throttle.hold(wait);
                tracing::warn!(
                    provider,
                    wait_seconds = wait.as_secs(),
                    "provider asked for a pause, all its endpoints wait"
                );
            }
            Some(error) if error.is_of_host() => {
                if self.throttle.failure() {
                    tracing::warn!(provider, "provider keeps failing, pausing requests");
                }
            }
            _ => self.throttle.success(&self.endpoint.name),
        }
        self.metrics.held.with_label_values(&[provider]).set(i64::from(self.throttle.is_open()));
    }

    fn report_success(&self, interpreted: &Interpreted, slot_us: i64) {
        let now = now_us();
        self.metrics.last_success.with_label_values(&self.labels()).set(now / 1_000_000);
        // The slot's own time means that the provider gave none.
        let stated = interpreted.events.iter().map(Event::event_at_us).filter(|at| *at != slot_us);
        let newest = stated.max().unwrap_or(now);
        let age = Duration::from_micros(now.saturating_sub(newest).try_into().unwrap_or(0));
        match self.endpoint.max_data_age {
            Some(limit) if age > limit => self.report_unhealthy(&format!(
                "the provider answers, but its newest data is {} s old (limit {} s)",
                age.as_secs(),
                limit.as_secs()
            )),
            _ => {
                self.probe.healthy(format!("{} events", interpreted.events.len()));
                self.freshness.fresh();
            }
        }
    }

    fn report_failure(
        &self,
        error: &PollError,
        slot_us: i64,
        delay: Duration,
        last_success: Option<Instant>,
    ) {
        let [provider, endpoint] = self.labels();
        let delay_ms = delay.as_millis() as u64;
        let slot = slot_us / 1_000_000;
        if let PollError::Publish(error) = error {
            // Retrying does not help: limits or permissions of the server must change.
            tracing::error!(provider, endpoint, slot, delay_ms, error = %format!("{error:#}"), "polled events cannot be published");
        } else {
            tracing::warn!(provider, endpoint, slot, delay_ms, error = %format!("{error:#}"), "poll failed");
        }
        if last_success.is_none_or(|last| last.elapsed() >= self.endpoint.stale_after) {
            self.report_unhealthy(&format!("{error:#}"));
        }
    }

    fn report_unhealthy(&self, reason: &str) {
        self.probe.unhealthy(reason);
        self.freshness.failed(reason);
    }

    fn report_problems(&self, interpreted: &Interpreted) {
        let labels = self.labels();
        let count = interpreted.problems.len();
        self.metrics.invalid.with_label_values(&labels).inc_by(count as u64);
        let [provider, endpoint] = labels;
        if let Some(first) = interpreted.problems.first() {
            tracing::warn!(
                provider,
                endpoint,
                count,
                first,
                "parts of an answer cannot be turned into events"
            );
        }
    }

    fn report_missing(&self, known: &mut Vec<String>, interpreted: &Interpreted) {
        let missing = &interpreted.missing;
        let labels = self.labels();
        let gauge = self.metrics.missing.with_label_values(&labels);
        gauge.set(i64::try_from(missing.len()).unwrap_or(i64::MAX));
        if missing == known {
            return;
        }
        let [provider, endpoint] = labels;
        if missing.is_empty() {
            tracing::info!(provider, endpoint, "everything requested is in the answer again");
        } else {
            let count = missing.len();
            let names = missing.iter().take(20).cloned().collect::<Vec<_>>().join(", ");
            tracing::warn!(provider, endpoint, count, names, "requested, but not in the answer");
        }
        known.clone_from(missing);
    }

    fn count_wait(&self, waited: Duration) {
        let counter = self.metrics.quota_wait.with_label_values(&[self.provider.name.as_str()]);
        counter.inc_by(u64::try_from(waited.as_millis()).unwrap_or(u64::MAX));
    }

    fn labels(&self) -> [&str; 2] {
        [&self.endpoint.provider, &self.endpoint.name]
    }
}

/// How long to wait after a failure: as the provider asked; otherwise a growing delay, or the rest
/// of the slot where another attempt cannot succeed.
fn delay_after(error: &PollError, backoff: Option<Duration>, until_next: Duration) -> Duration {
    let backoff = backoff.unwrap_or(BACKOFF.longest);
    match error {
        PollError::Fetch(error) => match error.retry_after() {
            Some(wait) => wait.max(backoff.min(BACKOFF.first)),
            None if error.is_retryable() => backoff,
            None => until_next.max(backoff),
        },
        PollError::Publish(_) => until_next.max(backoff),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_as_the_kind_of_failure_asks() {
        let (second, slot) = (Duration::from_secs(1), Duration::from_secs(100));
        let delay = |error: FetchError| delay_after(&error.into(), Some(second), slot);
        let wait = Some(Duration::from_secs(7));
        let limited = FetchError::RateLimited { reason: "429".to_owned(), wait };
        assert_eq!(delay(limited), Duration::from_secs(7));
        assert_eq!(delay(FetchError::Timeout { timeout_ms: 1 }), second);
        let shape = FetchError::Shape { problem: "lacks price".to_owned() };
        assert_eq!(delay(shape), slot, "another attempt gets the same answer");
    }
}
