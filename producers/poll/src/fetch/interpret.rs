use std::collections::HashSet;

use crypto_intel_schemas::Event;
use jaq_json::Val;

use super::{
    client::{Answer, excerpt},
    error::FetchError,
};
use crate::{
    catalogue::{Endpoint, Provider},
    mapping::event_mapping::{Origin, event_of},
    mapping::filter::{read_json, shorten},
};

/// Most events that one answer may yield: they are one atomic batch.
const MAX_EVENTS: usize = 1_000;

/// What an answer yields.
#[derive(Debug)]
pub(crate) struct Interpreted {
    /// In the order of the answer, each id once.
    pub(crate) events: Vec<Event>,
    /// What is wrong with the objects that cannot be turned into events.
    pub(crate) problems: Vec<String>,
    /// What was expected and is missing.
    pub(crate) missing: Vec<String>,
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
    let first = answer.body.iter().find(|byte| !byte.is_ascii_whitespace());
    match first {
        None => return Err(not_json("is empty".to_owned())),
        Some(b'<') => return Err(not_json("is a web page or XML, not JSON".to_owned())),
        Some(_) => {}
    }
    let value = read_json(&answer.body).map_err(not_json)?;
    check_fault(provider, endpoint, &value)?;
    let objects = endpoint.events.run_flat(value, &endpoint.variables).map_err(|problem| {
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
    if events.len() > MAX_EVENTS {
        let problem = format!("gives {} events, limit is {MAX_EVENTS}", events.len());
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
    Ok(Interpreted { events, problems, missing })
}

/// Applies `jq.fault`: null and false are fine, a text is the fault, and so is an object with
/// `message` and perhaps `rate_limited`.
fn check_fault(provider: &Provider, endpoint: &Endpoint, value: &Val) -> Result<(), FetchError> {
    let Some(filter) = &endpoint.fault else { return Ok(()) };
    // A filter that fails was given an unexpected answer; the events filter reports that better.
    let outputs = filter.run(value.clone(), &endpoint.variables).unwrap_or_default();
    for output in outputs {
        let field = |name: &'static str| match &output {
            Val::Obj(map) => map.get(&Val::utf8_str(name)).cloned(),
            _ => None,
        };
        let message = match &output {
            Val::Null | Val::Bool(false) => continue,
            Val::Obj(_) => field("message").unwrap_or_default().to_string(),
            other => other.to_string(),
        };
        let message = shorten(&provider.redact(message.trim_matches('"')), 200);
        if matches!(field("rate_limited"), Some(Val::Bool(true))) {
            return Err(FetchError::RateLimited { reason: message, wait: None });
        }
        return Err(FetchError::Fault { message });
    }
    Ok(())
}
