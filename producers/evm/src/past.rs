//! Blocks of the past, several at a time: where an endpoint offers no receipts of a block, one range of
//! logs serves many blocks.

use std::collections::HashMap;

use futures::{StreamExt as _, TryStreamExt as _};
use serde::Deserialize;
use serde_json::{json, value::RawValue};

use crate::{
    answer::{LogsAnswer, assemble},
    block::BlockData,
    endpoint::{Endpoint, EndpointError},
    fetch::{BlockId, FetchError, Fetcher, ask_block, known_header},
    hex::Hex,
    ranges::{Advice, Span, read_refusal},
};

/// Blocks of one range of logs that are asked for at once.
const BLOCKS_AT_ONCE: usize = 4;

/// Logs as JSON lists, by block number; a block that is absent has none.
type LogsByBlock = HashMap<u64, String>;

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Place {
    block_number: Hex<u64>,
}

impl Fetcher {
    /// Whether the endpoint that serves is asked for logs by ranges.
    pub(crate) fn prefers_ranges(&self) -> bool {
        self.pool().ranked().first().is_some_and(|endpoint| !endpoint.offers_block_receipts())
    }

    /// Whole, verified blocks, in order. What a range cannot give is fetched block by block.
    ///
    /// # Errors
    /// As [`block`](Fetcher::block).
    pub(crate) async fn blocks(&self, span: Span) -> Result<Vec<BlockData>, FetchError> {
        let ranked = self.pool().ranked();
        let serving = ranked.first().filter(|endpoint| !endpoint.offers_block_receipts());
        let logs = match serving {
            Some(endpoint) if span.width() > 1 => match logs_of(endpoint, span).await {
                Ok(logs) => Some((endpoint, logs)),
                Err(error) => {
                    tracing::debug!(endpoint = endpoint.label(), %error, "no logs by range, asking block by block");
                    None
                }
            },
            _ => None,
        };
        let logs = logs.as_ref();
        futures::stream::iter(span.from..=span.to)
            .map(|number| async move {
                if let Some((endpoint, logs)) = logs {
                    match self.with_logs(endpoint, number, logs).await {
                        Ok(block) => return self.with_payments(block).await,
                        Err(error) => {
                            tracing::debug!(number, %error, "block does not fit its range of logs, asking for it alone");
                        }
                    }
                }
                self.block(BlockId::Number(number)).await
            })
            .buffered(BLOCKS_AT_ONCE)
            .try_collect()
            .await
    }

    async fn with_logs(
        &self,
        endpoint: &Endpoint,
        number: u64,
        logs: &LogsByBlock,
    ) -> Result<BlockData, FetchError> {
        let id = BlockId::Number(number);
        let block = ask_block(endpoint, id, true).await?;
        let header = known_header(endpoint, id, &block)?;
        let text = logs.get(&number).map_or("[]", String::as_str);
        assemble(header, block.text(), LogsAnswer::Logs(text), self.checks())
            .map_err(|source| FetchError::Untrue { endpoint: endpoint.label().to_owned(), source })
    }
}

/// All logs of a span, asked for in ranges as wide as the endpoint takes.
async fn logs_of(endpoint: &Endpoint, span: Span) -> Result<LogsByBlock, EndpointError> {
    let mut found = LogsByBlock::new();
    let mut from = span.from;
    while from <= span.to {
        let asked = endpoint.log_width(|width| width.next(Span { from, to: span.to }));
        let filter = json!({
            "fromBlock": format!("{:#x}", asked.from),
            "toBlock": format!("{:#x}", asked.to),
        });
        match endpoint.call("eth_getLogs", [filter]).await {
            Ok(answer) => {
                collect(&mut found, answer.text()).map_err(|error| EndpointError::Answer {
                    endpoint: endpoint.label().to_owned(),
                    method: "eth_getLogs",
                    reason: error.to_string(),
                })?;
                endpoint.log_width(|width| width.answered(asked));
                from = asked.to + 1;
            }
            Err(error) => {
                let advice = refusal(&error, asked);
                if !endpoint.log_width(|width| width.refused(asked, advice)) {
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
    Ok(found)
}

/// What the text says, whatever its code was taken for.
fn refusal(error: &EndpointError, asked: Span) -> Advice {
    match error {
        EndpointError::RateLimited { reason, .. }
        | EndpointError::Unsupported { reason, .. }
        | EndpointError::Refused { reason, .. } => read_refusal(reason, asked),
        _ => Advice::NeverSplit,
    }
}

fn collect(found: &mut LogsByBlock, text: &str) -> Result<(), serde_json::Error> {
    let logs: Vec<&RawValue> = serde_json::from_str(text)?;
    let mut lists: HashMap<u64, Vec<&str>> = HashMap::new();
    for log in logs {
        let place: Place = serde_json::from_str(log.get())?;
        lists.entry(place.block_number.0).or_default().push(log.get());
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
    fn logs_of_a_range_are_told_apart_by_block() {
        let mut found = LogsByBlock::new();
        let text = r#"[{"blockNumber":"0x1","a":1},{"blockNumber":"0x3","a":2},{"blockNumber":"0x1","a":3}]"#;
        collect(&mut found, text).unwrap();
        assert_eq!(found[&1], r#"[{"blockNumber":"0x1","a":1},{"blockNumber":"0x1","a":3}]"#);
        assert_eq!((found.len(), found.get(&2)), (2, None));
        assert!(collect(&mut found, r#"[{"blockNumber":null}]"#).is_err());
    }
}
