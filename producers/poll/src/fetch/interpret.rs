use std::collections::HashSet;

use crypto_intel_schemas::Event;
use jaq_json::Val;

use super::{
    client::{Answer, excerpt},
    error::FetchError,
    fault::check_fault,
    pages::{Page, next_page},
};
use crate::{
    catalogue::{Endpoint, Provider},
    mapping::document::read_document,
    mapping::event_mapping::{Origin, event_of},
};

/// What an answer yields.
#[derive(Debug, Default)]
pub(crate) struct Interpreted {
    /// In the order of the answer, each id once.
    pub(crate) events: Vec<Event>,
    /// What is wrong with the objects that cannot be turned into events.
    pub(crate) problems: Vec<String>,
    /// What was expected and is missing.
    pub(crate) missing: Vec<String>,
    /// Where the answer goes on.
    pub(crate) next_page: Option<Page>,
    /// Units that the answer has cost, where it says so.
    pub(crate) cost: Option<u64>,
}

/// Reads an answer for the slot that begins at `slot_us`.
pub(crate) fn interpret(
    provider: &Provider,
    endpoint: &Endpoint,
    answer: &Answer,
    slot_us: i64,
) -> Result<Interpreted, FetchError> {
    let not_json = |problem: String| FetchError::NotJson {
        problem,
        content_type: answer.content_type.clone(),
        excerpt: excerpt(provider, &answer.body),
    };
    let value = read_document(endpoint.format, &answer.body).map_err(not_json)?;
    check_fault(provider, endpoint, &value, answer.received_at_us)?;
    let next_page = next_page(provider, endpoint, &value)?;
    let cost = cost_of(endpoint, &value);
    let objects =
        endpoint.filters.events.run_flat(value, &endpoint.variables).map_err(|problem| {
            FetchError::Shape {
                problem: format!(
                    "{}; the answer: {}",
                    provider.redact(&problem),
                    excerpt(provider, &answer.body)
                ),
            }
        })?;
    let origin = Origin {
        provider: &endpoint.provider,
        kind: endpoint.kind,
        slot_us,
        observed_at_us: answer.received_at_us,
    };
    let (mut events, mut problems, mut ids) = (Vec::new(), Vec::new(), HashSet::new());
    for object in &objects {
        match event_of(object, origin) {
            Ok(event) if ids.insert(event.id().to_owned()) => events.push(event),
            Ok(event) => problems.push(format!("gives {} twice", event.id())),
            Err(problem) => problems.push(provider.redact(&problem)),
        }
    }
    let limit = endpoint.max_events;
    if events.len() > limit {
        let problem = format!("gives {} events, limit is {limit}", events.len());
        return Err(FetchError::Shape { problem });
    }
    if events.is_empty() && !(endpoint.may_be_empty && problems.is_empty()) {
        return Err(match problems.into_iter().next() {
            Some(problem) => FetchError::Shape { problem },
            None => FetchError::Empty { excerpt: excerpt(provider, &answer.body) },
        });
    }
    let came: HashSet<String> = events.iter().map(Event::key).collect();
    let missing = endpoint.expected.iter().filter(|key| !came.contains(*key)).cloned().collect();
    Ok(Interpreted { events, problems, missing, next_page, cost })
}

/// Applies `jq.cost`. What is not a whole number is nothing: the weight counts then.
fn cost_of(endpoint: &Endpoint, value: &Val) -> Option<u64> {
    let filter = endpoint.filters.cost.as_ref()?;
    match filter.run(value.clone(), &endpoint.variables).ok()?.as_slice() {
        [Val::Num(number)] => number.to_string().parse().ok(),
        [Val::TStr(bytes)] => std::str::from_utf8(bytes).ok()?.parse().ok(),
        _ => None,
    }
}
