use std::sync::Arc;

use crypto_intel_nats::{Bucket, KvError, Nats};
use crypto_intel_schemas::{Decimal, Event, FactValue, Labels, SourceValue, SourceVerdict};
use crypto_intel_service::now_us;

use super::{
    choice::label_of,
    fact, fact_choice,
    fact_metrics::FactMetrics,
    families::{Families, INDEX},
    freshness::Freshness,
    shared_values::{SharedValues, Written},
};
use crate::config::FactSettings;

/// Labels that are texts for people: sources word them differently of the same thing.
const WORDED_LABELS: [&str; 3] = ["name", "symbol", "description"];

/// Writes what sources say of indices and metrics into the bucket, and which value is used, after their events were
/// acknowledged. Only facts that more than one provider gives, or that someone uses, are there.
#[derive(Debug, Clone)]
pub(crate) struct FactWriter {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    families: Families,
    freshness: Freshness,
    metrics: FactMetrics,
    values: SharedValues,
}

/// What an event says of a fact.
struct Saying<'a> {
    source: &'a str,
    value: &'a Decimal,
    at_us: i64,
    /// `index`, or the metric's name.
    family: String,
    /// The fact without a source.
    empty: FactValue,
    key: String,
}

impl FactWriter {
    pub(crate) fn new(
        nats: Nats,
        settings: &FactSettings,
        freshness: Freshness,
        metrics: FactMetrics,
    ) -> Self {
        let families = Families::new(&settings.families);
        let values = SharedValues::new(nats, Bucket::Facts);
        Self { shared: Arc::new(Shared { families, freshness, metrics, values }) }
    }

    /// Offers the facts among the events. A failed write is logged, and the next answer repeats it.
    pub(crate) async fn offer(&self, events: &[Event]) {
        let Shared { families, freshness, values, .. } = &*self.shared;
        let sayings: Vec<Saying<'_>> = events.iter().filter_map(saying_of).collect();
        let facts = sayings.iter().map(|saying| saying.empty.fact.clone()).collect();
        let compared = freshness.compared(&facts);
        for saying in sayings.iter().filter(|saying| compared.contains(&saying.empty.fact)) {
            let is_used = freshness.is_used(&saying.empty.fact);
            let Some(family) = families.of(&saying.family, is_used) else { continue };
            let offered = SourceValue {
                source: saying.source.to_owned(),
                value: saying.value.clone(),
                at_us: saying.at_us,
                verdict: SourceVerdict::Unknown,
            };
            let next = |known: Option<&FactValue>| {
                fact_choice::next(known, &saying.empty, offered.clone(), &family.rules(now_us()))
            };
            let written = values.change(&saying.key, saying.source, next).await;
            if !self.took_note(saying, written) {
                return;
            }
        }
    }

    /// Counts and logs what became of a write; `false`: the others can wait for the next answer.
    fn took_note(&self, saying: &Saying<'_>, written: Result<Written<FactValue>, KvError>) -> bool {
        let Shared { metrics, freshness, .. } = &*self.shared;
        let count =
            |result: &str| metrics.offered.with_label_values(&[saying.source, result]).inc();
        match written {
            Ok(Written::Unchanged) => count("unchanged"),
            Ok(Written::Outrun) => count("outrun"),
            Ok(Written::Stored(value)) => {
                let of_source = value.sources.iter().find(|said| said.source == saying.source);
                count(of_source.map_or("unchanged", |said| label_of(said.verdict)));
                if freshness.is_used(&value.fact) {
                    let gauge = metrics.value.with_label_values(&[&value.fact]);
                    gauge.set(value.value.to_f64());
                }
            }
            Err(error) => {
                count("failed");
                let fact = saying.empty.fact.as_str();
                tracing::warn!(fact, error = %format!("{error:#}"), "cannot write facts, the next answer repeats them");
                return false;
            }
        }
        true
    }
}

/// What an index or a metric says; only what has the same name, key, unit and labels is one fact.
fn saying_of(event: &Event) -> Option<Saying<'_>> {
    let (family, value, unit) = match event {
        Event::Index(index) => (INDEX, &index.value, None),
        Event::Metric(metric) => (metric.name.as_str(), &metric.value, Some(metric.unit.as_str())),
        _ => return None,
    };
    let labels = match event {
        Event::Metric(metric) => told_apart(&metric.labels),
        _ => String::new(),
    };
    let key = event.key();
    let empty = FactValue {
        fact: fact::name(event.kind(), &key, &Default::default()),
        unit: unit.map(str::to_owned),
        ..FactValue::default()
    };
    let key = FactValue::key(event.kind(), &format!("{key}{labels}"), unit);
    let family = family.to_owned();
    Some(Saying { source: event.source(), value, at_us: event.event_at_us(), family, empty, key })
}

/// What tells two metrics of one name and key apart, such as the hours that a funding rate is for.
fn told_apart(labels: &Labels) -> String {
    let kept = labels.0.iter().filter(|(name, _)| !WORDED_LABELS.contains(&name.as_str()));
    kept.map(|(name, text)| format!("/{name}={text}")).collect()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use crypto_intel_schemas::Metric;

    use super::*;

    fn key_with(labels: &[(&str, &str)]) -> String {
        let labels = labels.iter().map(|(name, text)| ((*name).to_owned(), (*text).to_owned()));
        let metric = Metric {
            name: "gas.fast".to_owned(),
            key: "ethereum".to_owned(),
            unit: "gwei".to_owned(),
            labels: Labels(labels.collect()),
            ..Metric::at("a", 0, 0)
        };
        saying_of(&Event::Metric(metric)).unwrap().key
    }

    #[test]
    fn labels_tell_facts_apart_but_for_worded_ones() {
        assert_eq!(key_with(&[("name", "Fast!")]), "metric.gas.fast/ethereum.gwei");
        assert_ne!(key_with(&[("interval_hours", "8")]), key_with(&[("interval_hours", "1")]));
    }
}
