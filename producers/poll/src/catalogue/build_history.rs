//! Checks `[endpoints.history]`, and makes the series that are asked for.

use std::sync::Arc;

use super::{
    build_endpoint::EndpointBuilder,
    file::{Empty, EndpointFile},
    history_file::HistoryFile,
    mistake::Mistake,
    provider::{Endpoint, History},
    range_variables::with_range,
};
use crate::{
    mapping::{
        document::read_document,
        event_mapping::{Origin, event_of},
        filter::{MAX_OUTPUTS, Variables},
    },
    past::span::Span,
};

/// Shortest step: what is nearer together is for live polling.
const MIN_STEP_SECONDS: u32 = 60;
/// The example is of any time: the first second of 2009 to a day that no recorded answer is of.
const ALL_TIME: Span = Span { from_s: 1_230_768_000, to_s: 4_102_444_800 };
/// In place of the time of an event without one.
const NO_TIME_US: i64 = i64::MIN;

/// The series of an endpoint with `[endpoints.history]`: one, or one for each entry of a parameter.
pub(super) fn histories(builder: &EndpointBuilder<'_>) -> Result<Vec<Arc<History>>, Mistake> {
    let Some(file) = &builder.file.history else { return Ok(Vec::new()) };
    let within = |mistake: Mistake| match mistake.field.is_empty() {
        true => mistake,
        false => Mistake { problem: format!("history: {}", mistake.problem), ..mistake }
            .within("history"),
    };
    build(builder, file).map_err(within)
}

fn build(builder: &EndpointBuilder<'_>, file: &HistoryFile) -> Result<Vec<Arc<History>>, Mistake> {
    check_numbers(file)?;
    let step_s = i64::from(file.step_seconds.get());
    let as_endpoint = EndpointFile { empty: Empty::Ok, ..file.as_endpoint(builder.file) };
    let variables = with_range(builder.variables, ALL_TIME, step_s);
    let example_variables = with_range(builder.example_variables, ALL_TIME, step_s);
    let builder = EndpointBuilder {
        file: &as_endpoint,
        variables: &variables,
        example_variables: &example_variables,
        ..*builder
    };
    let endpoints = builder.build()?;
    check_times(&as_endpoint, &builder.example_entry()?, &endpoints)?;
    let history = |endpoint: Endpoint| {
        let endpoint = Endpoint { max_events: MAX_OUTPUTS, ..endpoint };
        Arc::new(History {
            endpoint,
            of: as_endpoint.name.clone(),
            step_s,
            max_points: file.max_points.get(),
            max_days: file.max_days.map(std::num::NonZero::get),
            settle_s: file.settle_seconds.into(),
            order: file.order,
        })
    };
    Ok(endpoints.into_iter().map(history).collect())
}

fn check_numbers(file: &HistoryFile) -> Result<(), Mistake> {
    if file.step_seconds.get() < MIN_STEP_SECONDS {
        let problem = format!("step_seconds must be {MIN_STEP_SECONDS} or more");
        return Err(Mistake::at("step_seconds", problem));
    }
    if file.max_points.get() as usize > MAX_OUTPUTS {
        let problem =
            format!("max_points must be 1 to {MAX_OUTPUTS}: a larger range is asked for in parts");
        return Err(Mistake::at("max_points", problem));
    }
    Ok(())
}

/// Whether every event of the example says when it was so.
fn check_times(
    file: &EndpointFile,
    variables: &Variables,
    endpoints: &[Endpoint],
) -> Result<(), Mistake> {
    let Some(endpoint) = endpoints.first() else { return Ok(()) };
    let wrong = |problem: String| Mistake::at("jq.events", format!("filter jq.events: {problem}"));
    let example = read_document(file.format, file.jq.example.trim().as_bytes()).map_err(wrong)?;
    let origin = Origin {
        provider: &endpoint.provider,
        kind: endpoint.kind,
        slot_us: NO_TIME_US,
        observed_at_us: i64::MAX,
    };
    for object in endpoint.filters.events.run_flat(example, variables).map_err(wrong)? {
        if event_of(&object, origin).map_err(wrong)?.event_at_us() == NO_TIME_US {
            let problem = format!(
                "must give the time of each point: at_s, at_ms, at_us or at; produced: {object}"
            );
            return Err(wrong(problem));
        }
    }
    Ok(())
}
