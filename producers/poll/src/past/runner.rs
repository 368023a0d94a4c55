//! Asks for the past of one provider's endpoints, one request at a time, beside live polling.

use std::{convert::Infallible, sync::Arc, time::Duration};

use crypto_intel_nats::{Bucket, Nats};
use crypto_intel_schemas::{Event, PersistedPosition, Stream};
use tokio::time::Instant;

use super::{
    chunks::publish_past,
    metrics::PastMetrics,
    plan::{covered_by, days, next_range, remaining, wanted},
    progress::{PastProgress, PastStore},
    queue::{Queued, queued},
    span::Span,
};
use crate::{
    catalogue::{Endpoint, History, Provider},
    clock::Clock,
    config::HistorySettings,
    fetch::{Ask, FetchError, Fetcher, Interpreted, Page, interpret},
    polling::{
        failure::{PollError, verdict_of},
        pacer::Again,
        throttle::ProviderThrottle,
    },
    quota::{signals::Signals, spare::Spare},
};

/// Under this name the throttle knows all requests for the past of a provider: a refusal of them is no refusal of what is
/// polled.
const THROTTLED_AS: &str = "history";
/// How often it is looked whether there is something to ask for.
const LOOK_INTERVAL: Duration = Duration::from_secs(10);
/// First and longest rest of a series after a failure that may pass, and after one that stays.
const SOON: [Duration; 2] = [Duration::from_secs(5), Duration::from_secs(600)];
const LATER: [Duration; 2] = [Duration::from_secs(600), Duration::from_secs(21_600)];
/// The past waits while persist has more messages of the history lane before it.
const MAX_PENDING: u64 = 1_000;
const STREAM: &str = Stream::History.name();

/// What the past of one provider is made of.
#[derive(Debug)]
pub(crate) struct PastParts {
    pub(crate) provider: Arc<Provider>,
    pub(crate) throttle: Arc<ProviderThrottle>,
    pub(crate) fetcher: Fetcher,
    pub(crate) nats: Nats,
    pub(crate) metrics: PastMetrics,
    pub(crate) settings: HistorySettings,
    pub(crate) clock: Clock,
}

/// The past of one provider.
#[derive(Debug)]
pub(crate) struct PastRunner {
    parts: PastParts,
    spare: Spare,
    series: Vec<Series>,
    queued: Queued,
}

/// One series of points, and how far it is there.
struct Series {
    history: Arc<History>,
    store: PastStore,
    progress: PastProgress,
    rests_until: Option<Instant>,
    /// In a row.
    failures: u32,
    was_complete: bool,
}

impl PastRunner {
    pub(crate) fn new(parts: PastParts) -> Self {
        let endpoints = parts.provider.endpoints.iter().filter(|endpoint| endpoint.enabled);
        let live = endpoints.map(|endpoint| {
            (endpoint.weight.get() * endpoint.page_limit, endpoint.every.as_micros())
        });
        Self { spare: Spare::new(live), parts, series: Vec::new(), queued: Queued::new() }
    }

    /// Asks for what is wanted until it is dropped. What was fetched but not acknowledged by then is fetched again.
    pub(crate) async fn run(mut self) -> Infallible {
        for history in self.parts.provider.histories.iter().filter(|history| history.enabled()) {
            let mut store = PastStore::new(self.parts.nats.clone(), &history.label());
            let progress = store.load().await;
            let history = Arc::clone(history);
            self.series.push(Series::new(history, store, progress));
        }
        loop {
            let looked = Instant::now();
            match queued(&self.parts.nats, &self.parts.provider.name).await {
                Ok(queued) => self.queued = queued,
                Err(error) => {
                    tracing::warn!(provider = self.parts.provider.name, error = %format!("{error:#}"), "cannot read queued ranges of the past")
                }
            }
            while looked.elapsed() < LOOK_INTERVAL {
                let Some((place, span)) = self.next() else { break };
                self.wait_for_persist().await;
                self.ask(place, span).await;
            }
            tokio::time::sleep(LOOK_INTERVAL.saturating_sub(looked.elapsed())).await;
        }
    }

    /// The newest range of all series that do not rest: so all of them have their last weeks first.
    fn next(&mut self) -> Option<(usize, Span)> {
        let (now_us, now) = (self.parts.clock.now_us(), Instant::now());
        let mut newest: Option<(usize, Span)> = None;
        for (place, series) in self.series.iter_mut().enumerate() {
            let history = &series.history;
            let days = days(&self.parts.settings, &self.parts.provider.name, history);
            let queued = self.queued.get(history.name());
            let queued = queued.map_or(&[][..], |queued| queued.as_slice());
            let wanted = wanted(history, days, queued, now_us);
            let covered = &series.progress.covered;
            let left = remaining(history, &wanted, covered);
            let labels = [self.parts.provider.name.as_str(), history.name()];
            self.parts.metrics.remaining.with_label_values(&labels).set(left);
            let range = next_range(history, &wanted, covered);
            series.note_complete(range.is_none() && !wanted.is_empty());
            let Some(range) = range.filter(|_| series.rests_until.is_none_or(|until| until <= now))
            else {
                continue;
            };
            if newest.is_none_or(|(_, other)| other.to_s < range.to_s) {
                newest = Some((place, range));
            }
        }
        newest
    }

    /// One request, and what follows from it; the progress moves when its events are acknowledged.
    async fn ask(&mut self, place: usize, span: Span) {
        let Some(series) = self.series.get_mut(place) else { return };
        let history = Arc::clone(&series.history);
        let outcome = request(&self.parts, &mut self.spare, &history, span).await;
        let label = match &outcome {
            Ok(_) => "ok",
            Err(error) => error.outcome(),
        };
        let provider = self.parts.provider.name.as_str();
        self.parts.metrics.requests.with_label_values(&[provider, label]).inc();
        let published = match outcome {
            Ok(interpreted) => {
                let labels = [provider, history.name()];
                series.report_problems(&self.parts, &labels, &interpreted.problems);
                let events: Vec<Event> = interpreted
                    .events
                    .into_iter()
                    .filter(|event| span.holds_us(event.event_at_us()))
                    .collect();
                let published = publish_past(&self.parts.nats, &events).await;
                published.map(|()| events).map_err(PollError::Publish)
            }
            Err(error) => Err(PollError::Fetch(error)),
        };
        match published {
            Ok(events) => {
                let labels = [provider, history.name()];
                let counter = self.parts.metrics.published.with_label_values(&labels);
                counter.inc_by(events.len() as u64);
                let times: Vec<i64> = events.iter().map(Event::event_at_us).collect();
                series.succeeded(covered_by(&history, span, &times), events.len() as u64).await;
            }
            Err(error) => series.failed(provider, span, &error).await,
        }
    }

    /// What cannot be asked now shows in publishing: it is no reason to wait.
    async fn wait_for_persist(&self) {
        let provider = self.parts.provider.name.as_str();
        let paused = self.parts.metrics.paused.with_label_values(&[provider]);
        let mut was_said = false;
        while let Some(pending) =
            pending(&self.parts.nats).await.filter(|pending| *pending > MAX_PENDING)
        {
            paused.set(1);
            if !was_said {
                was_said = true;
                tracing::warn!(
                    provider,
                    pending,
                    limit = MAX_PENDING,
                    hint =
                        "if persist is gone for good, delete persist.HISTORY in the bucket cursors",
                    "persist is behind on stream HISTORY, the past waits for it"
                );
            }
            tokio::time::sleep(LOOK_INTERVAL).await;
        }
        paused.set(0);
    }
}

/// Messages of the history lane that persist has not stored; `None` where there is no persist.
async fn pending(nats: &Nats) -> Option<u64> {
    let bucket = nats.kv(Bucket::Cursors).await.ok()?;
    let entry = bucket.get(&PersistedPosition::key(STREAM)).await.ok()??;
    let persisted: PersistedPosition = serde_json::from_slice(&entry.value).ok()?;
    let last = nats.stream_state(STREAM).await.ok()?.last_sequence;
    Some(last.saturating_sub(persisted.sequence))
}

/// Asks for a range when the quota permits it, and reports the outcome to the throttle.
async fn request(
    parts: &PastParts,
    spare: &mut Spare,
    history: &History,
    span: Span,
) -> Result<Interpreted, FetchError> {
    let weight = history.weight();
    let pass = parts.throttle.pass_spare(THROTTLED_AS, weight, spare).await;
    let endpoint = history.asked_for(span);
    let page = Page::new();
    let ask = Ask { key: parts.provider.key(pass.key), page: &page, known: None };
    let fetched = parts.fetcher.fetch(&parts.provider, &endpoint, ask).await;
    let mut signals = Signals::default();
    let outcome = match fetched {
        Ok(answer) => {
            signals = answer.signals;
            read(&parts.provider, endpoint, answer).await
        }
        Err(error) => Err(error),
    };
    let verdict = verdict_of(outcome.as_ref().err(), signals);
    parts.throttle.report(THROTTLED_AS, weight, pass.key, &verdict).await;
    outcome
}

/// Filtering a large answer would block the runtime.
async fn read(
    provider: &Arc<Provider>,
    endpoint: Endpoint,
    answer: crate::fetch::Answer,
) -> Result<Interpreted, FetchError> {
    let provider = Arc::clone(provider);
    // An event without a time would be one of the year 1970, which no range holds; the example shows that there is none.
    let reading = move || interpret(&provider, &endpoint, &answer, 0);
    tokio::task::spawn_blocking(reading).await.unwrap_or_else(|error| {
        Err(FetchError::Shape { problem: format!("the filter panicked: {error}") })
    })
}

impl Series {
    fn new(history: Arc<History>, store: PastStore, progress: PastProgress) -> Self {
        Self { history, store, progress, rests_until: None, failures: 0, was_complete: false }
    }

    async fn succeeded(&mut self, covered: Span, points: u64) {
        self.rests_until = None;
        self.failures = 0;
        self.store.change(&mut self.progress, |progress| progress.done(covered, points)).await;
    }

    async fn failed(&mut self, provider: &str, span: Span, error: &PollError) {
        let [first, longest] = match error.again() {
            // The throttle knows how long.
            Again::WhenPermitted => [Duration::from_secs(1); 2],
            Again::Soon => SOON,
            Again::NextSlot => LATER,
        };
        let delay = first.saturating_mul(1 << self.failures.min(16)).min(longest);
        self.failures += 1;
        self.rests_until = Some(Instant::now() + delay);
        let text = format!("{error:#}");
        if self.progress.trouble.as_deref() == Some(text.as_str()) {
            return;
        }
        tracing::warn!(
            provider,
            endpoint = self.history.name(),
            from_s = span.from_s,
            to_s = span.to_s,
            error = text,
            delay_ms = u64::try_from(delay.as_millis()).unwrap_or(u64::MAX),
            "a range of the past cannot be had now, trying again"
        );
        let trouble = |progress: &mut PastProgress| progress.trouble = Some(text.clone());
        self.store.change(&mut self.progress, trouble).await;
    }

    fn report_problems(&self, parts: &PastParts, labels: &[&str; 2], problems: &[String]) {
        let Some(first) = problems.first() else { return };
        parts.metrics.invalid.with_label_values(labels).inc_by(problems.len() as u64);
        let [provider, endpoint] = labels;
        tracing::warn!(
            provider,
            endpoint,
            dropped = problems.len(),
            problem = first,
            "points of the past cannot be turned into events"
        );
    }

    fn note_complete(&mut self, is_complete: bool) {
        if is_complete && !self.was_complete {
            let (endpoint, points) = (self.history.label(), self.progress.points);
            tracing::info!(endpoint, points, "the past is there as far as it is wanted");
        }
        self.was_complete = is_complete;
    }
}

impl std::fmt::Debug for Series {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let mut shown = formatter.debug_struct("Series");
        shown.field("history", &self.history.label()).field("progress", &self.progress);
        shown.finish_non_exhaustive()
    }
}
