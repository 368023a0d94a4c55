use std::time::Instant;

use anyhow::Context as _;

use super::span::Span;
use crate::{
    catalogue::{Endpoint, History, find_provider},
    config::Config,
    dry_run::{DryRun, Trial},
    fetch::{Answer, Ask, FetchError, Fetcher, Interpreted, Page, interpret},
};

/// Asks once for a range of the past of an endpoint, or of each of a provider that has one, and publishes nothing. Of an
/// endpoint with entries the first is asked for, unless one is named. Where the range has more points than an answer, its
/// newest are asked for.
///
/// # Errors
/// When there is no such past, or the range has no whole step. Failures of the provider are in the result.
pub async fn dry_run_history(
    config: &Config,
    name: &str,
    endpoint: Option<&str>,
    span: Span,
) -> anyhow::Result<Vec<DryRun>> {
    let provider = find_provider(config, name).context("load provider")?;
    let mut asked: Vec<&History> = provider.histories_of(endpoint)?;
    asked.dedup_by_key(|history| history.of.clone());
    let fetcher = Fetcher::new(config)?;
    let mut runs = Vec::new();
    for history in asked {
        let range = newest_of(history, span)?;
        let (started, endpoint) = (Instant::now(), history.asked_for(range));
        let page = Page::new();
        let ask = Ask { key: provider.key(0), page: &page, known: None };
        let answer = fetcher.fetch(&provider, &endpoint, ask).await;
        let read = answer.and_then(|answer| interpret(&provider, &endpoint, &answer, 0));
        runs.push(run_of(&provider.name, &endpoint, started, read, range));
    }
    Ok(runs)
}

impl Trial {
    /// Reads an answer as if it had been asked for this range of the past of an endpoint, or of an entry of it.
    ///
    /// # Errors
    /// When there is no such past. What is wrong with the answer is in the result.
    pub fn read_history(
        &self,
        endpoint: &str,
        body: Vec<u8>,
        span: Span,
    ) -> anyhow::Result<DryRun> {
        let started = Instant::now();
        let histories = self.provider.histories_of(Some(endpoint))?;
        let history = histories.first().context("an endpoint with a past")?;
        let endpoint = history.asked_for(span);
        let read = interpret(&self.provider, &endpoint, &Answer::recorded(body), 0);
        Ok(run_of(&self.provider.name, &endpoint, started, read, span))
    }
}

fn run_of(
    provider: &str,
    endpoint: &Endpoint,
    started: Instant,
    read: Result<Interpreted, FetchError>,
    range: Span,
) -> DryRun {
    let within = |mut read: Interpreted| {
        read.events.retain(|event| range.holds_us(event.event_at_us()));
        read
    };
    DryRun::of(provider, &endpoint.name, started, read.map(within))
}

/// The newest part of a range that one answer holds.
fn newest_of(history: &History, span: Span) -> anyhow::Result<Span> {
    let whole = span.aligned(history.step_s);
    anyhow::ensure!(
        whole.seconds() > 0,
        "the range has no whole step of {} s, which lie between the points of {}",
        history.step_s,
        history.label()
    );
    let longest_s = history.step_s * i64::from(history.max_points);
    Ok(Span { from_s: whole.from_s.max(whole.to_s - longest_s), ..whole })
}
