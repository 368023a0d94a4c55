//! Tries an endpoint's filters on its example.

use crypto_intel_service::now_us;
use jaq_json::Val;

use super::{
    file::{EndpointFile, ProviderFile},
    mistake::Mistake,
    provider::Filters,
};
use crate::mapping::{
    document::read_document,
    event_mapping::{Origin, event_of},
    filter::{Filter, Variables, shorten},
};

/// Processes the example like an answer: it has to give events.
pub(super) fn check_example(
    provider: &ProviderFile,
    file: &EndpointFile,
    filters: &Filters,
    variables: &Variables,
) -> Result<(), Mistake> {
    let example = read_document(file.format, file.jq.example.trim().as_bytes())
        .map_err(|problem| Mistake::at("jq.example", format!("jq.example {problem}")))?;
    if let Some(fault) = &filters.fault {
        let wrong = |problem: String| wrong_filter("jq.fault", fault, &problem);
        let outputs = fault.run(example.clone(), variables).map_err(wrong)?;
        let fine = |value: &Val| matches!(value, Val::Null | Val::Bool(false));
        if let Some(output) = outputs.iter().find(|output| !fine(output)) {
            return Err(wrong(format!("takes the example for a fault; produced: {output}")));
        }
    }
    for (field, filter) in [("jq.cost", &filters.cost), ("pages.next_jq", &filters.next_page)] {
        if let Some(filter) = filter {
            let outputs = filter.run(example.clone(), variables);
            outputs.map_err(|problem| wrong_filter(field, filter, &problem))?;
        }
    }
    let wrong = |problem: String| wrong_filter("jq.events", &filters.events, &problem);
    let objects = filters.events.run_flat(example, variables).map_err(wrong)?;
    if objects.is_empty() {
        return Err(wrong("gives nothing for the example".to_owned()));
    }
    let origin = Origin {
        provider: &provider.name,
        kind: file.kind,
        slot_us: now_us(),
        // An example ahead of this machine's clock is not an error of the filter.
        observed_at_us: i64::MAX,
    };
    objects.iter().try_for_each(|object| event_of(object, origin).map(drop).map_err(wrong))
}

fn wrong_filter(field: &str, filter: &Filter, problem: &str) -> Mistake {
    let shown = shorten(&filter.shown(), 200);
    Mistake::at(field, format!("filter {field}: {problem}; the filter: {shown}"))
}
