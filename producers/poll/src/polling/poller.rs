use std::{collections::HashSet, convert::Infallible, sync::Arc};

use crypto_intel_nats::Nats;
use crypto_intel_schemas::Event;
use crypto_intel_service::{Probe, now_us};
use tokio::time::Instant;

use super::{
    board::Board,
    failure::{PollError, verdict_of},
    pacer::{Pacer, Turn},
    progress::{Progress, ProgressStore},
};
use crate::{
    catalogue::{Endpoint, Provider},
    facts::freshness::EndpointFreshness,
    facts::prices::PriceWriter,
    facts::values::FactWriter,
    fetch::{Answer, Ask, FetchError, Fetcher, Interpreted, Page, Pages, interpret},
    metrics::Metrics,
    publish::{Published, publish},
    quota::signals::Signals,
};

/// Polls one endpoint, slot after slot.
#[derive(Debug)]
pub(crate) struct EndpointPoller {
    pub(crate) provider: Arc<Provider>,
    pub(crate) endpoint: Arc<Endpoint>,
    pub(crate) pacer: Pacer,
    pub(crate) board: Board,
    pub(crate) fetcher: Fetcher,
    pub(crate) nats: Nats,
    pub(crate) prices: PriceWriter,
    pub(crate) facts: FactWriter,
    pub(crate) metrics: Metrics,
    pub(crate) probe: Probe,
    pub(crate) freshness: EndpointFreshness,
    /// The last good answer, if the provider can say that it has not changed.
    pub(crate) known: Option<Answer>,
}

impl EndpointPoller {
    /// Polls until it is dropped. What was fetched but not acknowledged by then is fetched again
    /// by the next poller.
    pub(crate) async fn run(mut self) -> Infallible {
        let store = ProgressStore::new(self.nats.clone(), &self.endpoint.label());
        let mut progress = store.load().await;
        let schedule = *self.pacer.schedule();
        let slots = std::mem::take(&mut progress.slots);
        self.board.join(&self.endpoint.name, self.endpoint.stale_after, schedule, slots);
        if progress.slot_us.is_some_and(|slot| schedule.slot_at(now_us()) == slot) {
            self.probe.healthy("this slot was polled by an earlier start or another instance");
            self.freshness.fresh();
            self.board.note(&self.endpoint.name, |note| note.succeeded = Some(Instant::now()));
        }
        let mut last_success = None;
        let mut missing = Vec::new();
        loop {
            let turn = self.pacer.turn(progress.slot_us).await;
            self.count_wait(turn.pass.for_quota);
            match self.poll(&turn, &mut progress).await {
                Ok(interpreted) => {
                    progress.slots = self.board.slot_done(&self.endpoint.name, turn.slot_us);
                    store.save(&progress).await;
                    last_success = Some(Instant::now());
                    self.pacer.succeeded();
                    self.report_missing(&mut missing, &interpreted);
                    self.report_success(&interpreted, turn.slot_us);
                }
                Err(error) => {
                    let delay = self.pacer.delay_after(&turn, error.again());
                    self.report_failure(&error, turn.slot_us, delay, last_success);
                    tokio::time::sleep(delay).await;
                }
            }
        }
    }

    /// One request and what follows from it; `progress` moves when its events are acknowledged.
    async fn poll(
        &mut self,
        turn: &Turn,
        progress: &mut Progress,
    ) -> Result<Interpreted, PollError> {
        let outcome = self.request_pages(*turn).await;
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
            let message_id = format!("{provider}:{endpoint}:{}", turn.slot_us / 1_000_000);
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
        progress.slot_us = Some(turn.slot_us);
        progress.ids = ids;
        self.prices.offer(&interpreted.events).await;
        self.facts.offer(&interpreted.events).await;
        Ok(interpreted)
    }

    /// Requests all pages of an answer. Each is a request of its own under the quota.
    async fn request_pages(&mut self, mut turn: Turn) -> Result<Interpreted, FetchError> {
        let mut pages = Pages::of(&self.endpoint);
        while let Some(page) = pages.next() {
            if !page.is_empty() {
                turn.pass = self.pacer.further().await;
                self.count_wait(turn.pass.for_quota);
            }
            let read = self.request(&turn, &page).await;
            pages.add(read)?;
        }
        Ok(pages.finish())
    }

    /// Fetches and reads a page, and reports the outcome to the throttle.
    async fn request(&mut self, turn: &Turn, page: &Page) -> Result<Interpreted, FetchError> {
        let started = Instant::now();
        // The first of several pages may stay as it is while the others change.
        let known = self.known.take().filter(|_| self.endpoint.page_limit == 1);
        let key = self.provider.key(turn.pass.key);
        let ask = Ask { key, page, known: known.as_ref() };
        let fetched = self.fetcher.fetch(&self.provider, &self.endpoint, ask).await;
        let latency = started.elapsed();
        self.metrics
            .request_duration
            .with_label_values(&self.labels())
            .observe(latency.as_secs_f64());
        let mut signals = Signals::default();
        let outcome = match fetched {
            Ok(answer) => {
                self.board.note(&self.endpoint.name, |note| note.latency = Some(latency));
                signals = answer.signals;
                let (provider, endpoint) = (self.provider.clone(), self.endpoint.clone());
                let (read, slot_us) = (answer.clone(), turn.slot_us);
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
        signals.cost = outcome.as_ref().ok().and_then(|interpreted| interpreted.cost);
        let verdict = verdict_of(outcome.as_ref().err(), signals);
        let consequence = self.pacer.report(turn, &verdict).await;
        self.report_consequence(&consequence, turn.pass.key);
        outcome
    }

    pub(super) fn labels(&self) -> [&str; 2] {
        [&self.endpoint.provider, &self.endpoint.name]
    }
}
