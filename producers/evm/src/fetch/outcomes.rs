//! Whether transactions took effect, where an endpoint does not offer the receipts of a block.

use futures::{StreamExt as _, TryStreamExt as _};

use super::error::FetchError;
use crate::{
    block::BlockData,
    endpoint::{Endpoint, EndpointError},
    enrich::watch::WatchView,
    verify::read_outcome,
};

/// Name of missing outcomes in `unverified`.
const OUTCOMES: &str = "outcomes";
/// Receipts of one block that are fetched concurrently.
const AT_ONCE: usize = 8;

/// Asks for the receipts of those transactions that may be events themselves: with value, without a receiver, or of a
/// watched address. If the endpoint does not have a receipt, nothing is published that depends on it, and the block is
/// marked.
///
/// # Errors
/// When the endpoint does not answer, or returns the receipt of another transaction.
pub(crate) async fn with_outcomes(
    endpoint: &Endpoint,
    mut block: BlockData,
    byzantium: u64,
    watched: &WatchView,
) -> Result<BlockData, FetchError> {
    let place = (block.header.number, block.header.hash);
    let wanted: Vec<usize> = (0..block.transactions.len())
        .filter(|index| {
            let transaction = &block.transactions[*index];
            let is_wanted = transaction.may_be_event() || transaction.is_of(watched);
            is_wanted && !transaction.has_receipt
        })
        .collect();
    let hashes: Vec<_> = wanted.iter().map(|index| block.transactions[*index].hash).collect();
    let outcomes: Vec<_> = futures::stream::iter(hashes)
        .map(|hash| async move {
            let answer = match endpoint.call("eth_getTransactionReceipt", [hash]).await {
                Ok(answer) => answer,
                Err(error) if is_final(&error) => return Ok(None),
                Err(error) => return Err(FetchError::Endpoint(error)),
            };
            read_outcome(answer.text(), hash, place, byzantium).map_err(|source| {
                FetchError::InvalidResponse { endpoint: endpoint.label().to_owned(), source }
            })
        })
        .buffered(AT_ONCE)
        .try_collect()
        .await?;
    let mut is_whole = true;
    for (index, outcome) in wanted.into_iter().zip(outcomes) {
        match outcome {
            Some(outcome) => block.transactions[index].take(&outcome),
            None => is_whole = false,
        }
    }
    if !is_whole {
        block.unverified.push(OUTCOMES.to_owned());
    }
    Ok(block)
}

/// Whether asking again would change nothing.
fn is_final(error: &EndpointError) -> bool {
    match error {
        EndpointError::Unsupported { .. } => true,
        EndpointError::Refused { .. } => !error.is_outage(),
        _ => false,
    }
}
