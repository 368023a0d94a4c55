use std::{collections::HashMap, sync::Arc};

use crypto_intel_chain::header::Span;
use parking_lot::Mutex;
use serde::Deserialize;
use serde_json::{Value, json, value::RawValue};

use super::log_range::{Advice, LogScope, read_refusal};
use crate::{
    endpoint::{Class, Endpoint, EndpointError},
    hex::Hex,
    log_query::LogQuery,
};

/// Logs as JSON lists, by block number; a block that is absent has none.
pub(super) type LogsByBlock = HashMap<u64, String>;

/// For each contract a block that is known to have a log: an answer without it is invalid.
pub(crate) type KnownLogs = Arc<Mutex<HashMap<LogQuery, u64>>>;

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Place {
    block_number: Hex<u64>,
}

/// How many logs are to be expected.
fn scope_of(query: &LogQuery) -> LogScope {
    if *query == LogQuery::default() { LogScope::All } else { LogScope::Few }
}

fn filter(query: &LogQuery, span: Span) -> Value {
    query.filter_in(json!({
        "fromBlock": format!("{:#x}", span.from),
        "toBlock": format!("{:#x}", span.to),
    }))
}

/// Handles each answer of `eth_getLogs`, a JSON list.
pub(super) type TakeLogs<'a> = dyn FnMut(&str) -> Result<(), serde_json::Error> + Send + 'a;

/// Hands all logs of a span to `take`, answer by answer, in ranges as wide as the endpoint accepts.
pub(super) async fn logs_of(
    endpoint: &Endpoint,
    span: Span,
    query: &LogQuery,
    take: &mut TakeLogs<'_>,
) -> Result<(), EndpointError> {
    let mut from = span.from;
    let scope = scope_of(query);
    while from <= span.to {
        let asked = endpoint.log_width(scope, |width| width.next(Span { from, to: span.to }));
        match endpoint.call_as(Class::Ranges, "eth_getLogs", [filter(query, asked)]).await {
            Ok(answer) => {
                take(answer.text()).map_err(|error| EndpointError::Answer {
                    endpoint: endpoint.label().to_owned(),
                    method: "eth_getLogs",
                    reason: error.to_string(),
                })?;
                endpoint.log_width(scope, |width| width.answered(asked));
                from = asked.to + 1;
            }
            Err(error) => {
                let advice = refusal(&error, asked);
                if !endpoint.log_width(scope, |width| width.refused(asked, advice)) {
                    return Err(error);
                }
                tracing::debug!(
                    endpoint = endpoint.label(),
                    ?advice,
                    width = asked.width(),
                    "range of logs was refused, asking for fewer blocks"
                );
            }
        }
    }
    Ok(())
}

/// The logs of an answer, each as JSON.
pub(super) fn list(answer: &str) -> Result<Vec<&str>, serde_json::Error> {
    let logs: Vec<&RawValue> = serde_json::from_str(answer)?;
    Ok(logs.into_iter().map(RawValue::get).collect())
}

/// Reads the text of a refusal, however its code was classified.
fn refusal(error: &EndpointError, asked: Span) -> Advice {
    match error {
        EndpointError::RateLimited { reason, .. }
        | EndpointError::Unsupported { reason, .. }
        | EndpointError::Refused { reason, .. } => read_refusal(reason, asked),
        _ => Advice::NeverSplit,
    }
}

/// The block of a log.
fn number_of(log: &str) -> Result<u64, serde_json::Error> {
    serde_json::from_str::<Place>(log).map(|place| place.block_number.0)
}

/// Groups logs by block.
pub(super) fn collect(found: &mut LogsByBlock, answer: &str) -> Result<(), serde_json::Error> {
    let mut lists: HashMap<u64, Vec<&str>> = HashMap::new();
    for log in list(answer)? {
        lists.entry(number_of(log)?).or_default().push(log);
    }
    for (number, list) in lists {
        found.insert(number, format!("[{}]", list.join(",")));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    #[test]
    fn logs_of_a_range_are_grouped_by_block() {
        let mut found = LogsByBlock::new();
        let text = r#"[{"blockNumber":"0x1","a":1},{"blockNumber":"0x3","a":2},{"blockNumber":"0x1","a":3}]"#;
        collect(&mut found, text).unwrap();
        assert_eq!(found[&1], r#"[{"blockNumber":"0x1","a":1},{"blockNumber":"0x1","a":3}]"#);
        assert_eq!((found.len(), found.get(&2)), (2, None));
        assert!(collect(&mut found, r#"[{"blockNumber":null}]"#).is_err());
    }
}
