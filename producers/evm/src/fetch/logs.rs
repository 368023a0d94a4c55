use std::{collections::HashMap, sync::Arc};

use crypto_intel_chain::header::Span;
use crypto_intel_schemas::{Address, B256};
use parking_lot::Mutex;
use serde::Deserialize;
use serde_json::{Value, json, value::RawValue};

use super::log_range::{Advice, LogScope, read_refusal};
use crate::{
    block::LogRecord,
    endpoint::{Class, Endpoint, EndpointError},
    hex::Hex,
};

/// Logs as JSON lists, by block number; a block that is absent has none.
pub(super) type LogsByBlock = HashMap<u64, String>;

/// Which logs are asked for: by emitter and topics.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash)]
pub(crate) struct LogQuery {
    contract: Option<Address>,
    topics: Vec<Option<B256>>,
}

/// For each contract a block that is known to have a log: an answer without it is invalid.
pub(crate) type KnownLogs = Arc<Mutex<HashMap<LogQuery, u64>>>;

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Place {
    block_number: Hex<u64>,
}

impl LogQuery {
    /// The logs of one contract with this first topic.
    pub(crate) fn of_contract(contract: Address, topic: B256) -> Self {
        Self { contract: Some(contract), topics: vec![Some(topic)] }
    }

    /// Together these match all logs that name an address: those that it emitted, and those with it as one of three
    /// indexed parameters.
    pub(crate) fn naming(address: &Address) -> [Self; 4] {
        let word = Some(address.into_word());
        let at = |place: usize| {
            let mut topics = vec![None; place];
            topics.push(word);
            Self { contract: None, topics }
        };
        [Self { contract: Some(*address), topics: Vec::new() }, at(1), at(2), at(3)]
    }

    /// Whether it asks for one kind of log of one contract.
    pub(super) fn is_of_contract(&self) -> bool {
        self.contract.is_some() && matches!(self.topics.as_slice(), [Some(_)])
    }

    /// Whether an answer must contain this log.
    pub(super) fn matches(&self, log: &LogRecord) -> bool {
        let topics = log.topics();
        self.contract.is_none_or(|contract| contract == log.address)
            && self.topics.len() <= topics.len()
            && self
                .topics
                .iter()
                .zip(topics)
                .all(|(wanted, topic)| wanted.is_none_or(|wanted| wanted == *topic))
    }

    fn scope(&self) -> LogScope {
        if *self == Self::default() { LogScope::All } else { LogScope::Few }
    }

    fn filter(&self, span: Span) -> Value {
        let mut filter = json!({
            "fromBlock": format!("{:#x}", span.from),
            "toBlock": format!("{:#x}", span.to),
        });
        if let Some(contract) = self.contract {
            filter["address"] = json!(contract);
        }
        if !self.topics.is_empty() {
            filter["topics"] = json!(self.topics);
        }
        filter
    }
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
    let scope = query.scope();
    while from <= span.to {
        let asked = endpoint.log_width(scope, |width| width.next(Span { from, to: span.to }));
        match endpoint.call_as(Class::Ranges, "eth_getLogs", [query.filter(asked)]).await {
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
pub(super) fn number_of(log: &str) -> Result<u64, serde_json::Error> {
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

    #[test]
    fn logs_naming_an_address_are_found_by_emitter_and_by_each_indexed_parameter() {
        let address = Address::repeat_byte(7);
        let span = Span { from: 16, to: 31 };
        let filters = LogQuery::naming(&address).map(|query| query.filter(span).to_string());
        let word = format!("0x{}{}", "0".repeat(24), "07".repeat(20));
        for (filter, topics) in filters[1..].iter().zip([
            format!(r#"[null,"{word}"]"#),
            format!(r#"[null,null,"{word}"]"#),
            format!(r#"[null,null,null,"{word}"]"#),
        ]) {
            let expected = format!(r#"{{"fromBlock":"0x10","toBlock":"0x1f","topics":{topics}}}"#);
            assert_eq!(*filter, expected);
        }
        assert!(filters[0].contains(&format!(r#""address":"{address:#x}""#)), "{}", filters[0]);
    }
}
