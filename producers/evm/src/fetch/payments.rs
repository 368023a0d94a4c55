//! Payments inside contracts, within limits: large or slow traces must not delay the block.

use tokio::time::{Instant, timeout_at};

use super::{
    EndpointRotation, Fetcher,
    error::{BlockId, FetchError},
    traces::{BlockPayments, TraceError, UNTRACED},
};
use crate::{
    block::BlockData,
    endpoint::{Class, Endpoint, EndpointError},
};

/// Maximum number of failed, invalid or incomplete answers for a block.
const TRIES: u32 = 3;

impl Fetcher {
    /// Adds the payments inside a block's contracts. If no endpoint returns them within the budget, the block is
    /// published without them and its marker says so.
    pub(crate) async fn with_payments(&self, mut block: BlockData) -> BlockData {
        if !self.tracer.is_on() {
            return block;
        }
        let BlockPayments { found, is_whole } = self.payments(&block).await;
        block.payments = found;
        if !is_whole {
            tracing::debug!(number = block.header.number, "no traces of the block in time");
            block.unverified.push(UNTRACED.to_owned());
        }
        block
    }

    /// Whether traces of a block that was published without them may still become available.
    pub(crate) fn may_trace(&self) -> bool {
        self.tracer.is_on() && self.pool.all().iter().any(|one| self.tracer.may_offer(one))
    }

    /// All payments of a block, else as many as any endpoint returns within the budget.
    async fn payments(&self, block: &BlockData) -> BlockPayments {
        let mut most = BlockPayments { found: Vec::new(), is_whole: false };
        let (class, id) = (Class::Traces, BlockId::Hash(block.header.hash));
        let deadline = Instant::now() + self.tracer.budget();
        let mut rotation = EndpointRotation::of(class);
        let mut tries = 0;
        while tries < TRIES && self.pool.ranked(class).iter().any(|one| self.is_open(one)) {
            let next = timeout_at(deadline, rotation.next(&self.pool)).await;
            let Ok(Some(endpoint)) = next else { break };
            if !self.is_open(&endpoint) {
                continue;
            }
            let asked = timeout_at(deadline, self.tracer.payments(&endpoint, block)).await;
            let Ok(answer) = asked else {
                endpoint.note_late(class);
                self.metrics.request_failures(endpoint.label(), "timeout");
                break;
            };
            let error = match answer {
                Ok(payments) => {
                    endpoint.record_validity(class, true);
                    if payments.is_whole {
                        return payments;
                    }
                    if payments.found.len() > most.found.len() {
                        most = payments;
                    }
                    tries += 1;
                    continue;
                }
                Err(TraceError::Endpoint(EndpointError::Unsupported { .. })) => continue,
                Err(TraceError::Endpoint(error)) => FetchError::Endpoint(error),
                Err(TraceError::InvalidResponse(source)) => {
                    let label = endpoint.label().to_owned();
                    self.metrics.untrue_answers(&label, source.reason());
                    tracing::warn!(endpoint = label, block = %id, error = %source, "traces cannot be true");
                    FetchError::InvalidResponse { endpoint: label, source }
                }
            };
            tries += 1;
            self.note_failure(&endpoint, class, &error);
            rotation.note(error, id);
        }
        most
    }

    /// Whether an endpoint may be asked for traces now.
    fn is_open(&self, endpoint: &Endpoint) -> bool {
        self.tracer.may_offer(endpoint) && endpoint.admits(Class::Traces, Instant::now())
    }
}
