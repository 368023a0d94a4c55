//! Payments inside contracts, from an endpoint's traces: `trace_block` of Erigon, Nethermind, Reth and
//! anvil, or `debug_traceBlockByHash` with the call tracer of Geth.

mod call_tree;

use std::{collections::HashSet, sync::Arc, time::Duration};

use crypto_intel_schemas::{Address, B256, CallType, U256};
use parking_lot::Mutex;
use serde::Deserialize;
use serde_json::json;

use self::call_tree::Frame;
use crate::{
    block::{BlockData, Header, InternalPayment},
    config::ChainConfig,
    config::traces_mode::TracesMode,
    endpoint::{Answer, Endpoint, EndpointError},
    hex::Hex,
    verify::InvalidResponse,
};

/// Name of missing traces in `unverified` of a block.
pub(crate) const UNTRACED: &str = "traces";

/// Asks endpoints for traces, and remembers which do not offer them.
#[derive(Debug, Clone, Default)]
pub(crate) struct Tracer {
    mode: TracesMode,
    budget: Duration,
    without: Arc<Mutex<HashSet<String>>>,
}

/// The payments inside a block's transactions.
#[derive(Debug)]
pub(crate) struct BlockPayments {
    pub(crate) found: Vec<InternalPayment>,
    /// `false` where some transactions could not be traced: their payments are missing.
    pub(crate) is_whole: bool,
}

/// Why there are no traces of a block now.
#[derive(Debug, thiserror::Error)]
pub(crate) enum TraceError {
    #[error(transparent)]
    Endpoint(#[from] EndpointError),
    #[error(transparent)]
    InvalidResponse(#[from] InvalidResponse),
}

impl Tracer {
    pub(crate) fn of(config: &ChainConfig) -> Self {
        let budget = Duration::from_millis(config.traces_budget_ms);
        Self { mode: config.traces, budget, without: Arc::default() }
    }

    pub(crate) fn is_on(&self) -> bool {
        self.mode != TracesMode::Off
    }

    /// How long a block may wait for its traces.
    pub(crate) fn budget(&self) -> Duration {
        self.budget
    }

    /// Whether an endpoint is not known to lack the method.
    pub(crate) fn may_offer(&self, endpoint: &Endpoint) -> bool {
        let without = self.without.lock();
        !without.contains(endpoint.label())
    }

    /// The payments inside a block's transactions.
    ///
    /// # Errors
    /// When the endpoint does not offer traces (which is remembered), fails, or its answer cannot be of this block.
    pub(crate) async fn payments(
        &self,
        endpoint: &Endpoint,
        block: &BlockData,
    ) -> Result<BlockPayments, TraceError> {
        let header = &block.header;
        let none = BlockPayments { found: Vec::new(), is_whole: true };
        let answer = match self.mode {
            TracesMode::Off => return Ok(none),
            // Nothing moves in a block without transactions; payouts by consensus are not transactions.
            _ if block.transactions.is_empty() => return Ok(none),
            TracesMode::TraceBlock => {
                endpoint.call("trace_block", [format!("{:#x}", header.number)]).await
            }
            TracesMode::Debug => {
                let params = (header.hash, json!({ "tracer": "callTracer" }));
                endpoint.call("debug_traceBlockByHash", params).await
            }
        };
        let answer: Answer = match answer {
            Ok(answer) => answer,
            Err(error @ EndpointError::Unsupported { .. }) => {
                let mut without = self.without.lock();
                if without.insert(endpoint.label().to_owned()) {
                    tracing::warn!(%error, "endpoint offers no traces, payments inside contracts come from others only");
                }
                return Err(error.into());
            }
            Err(error) => return Err(error.into()),
        };
        Ok(match self.mode {
            TracesMode::Debug => from_call_tracer(answer.text(), block)?,
            _ => {
                let found = from_trace_block(answer.text(), header)?;
                BlockPayments { found, is_whole: true }
            }
        })
    }
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct FlatTrace<'a> {
    #[serde(rename = "type")]
    kind: &'a str,
    #[serde(borrow)]
    action: Action<'a>,
    #[serde(default)]
    result: Option<Created>,
    #[serde(default)]
    error: Option<serde::de::IgnoredAny>,
    #[serde(default)]
    trace_address: Vec<u32>,
    #[serde(default)]
    block_hash: Option<Hex<B256>>,
    #[serde(default)]
    transaction_position: Option<u32>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Action<'a> {
    #[serde(default)]
    call_type: Option<&'a str>,
    #[serde(default)]
    from: Option<Hex<Address>>,
    #[serde(default)]
    to: Option<Hex<Address>>,
    #[serde(default)]
    value: Option<Hex<U256>>,
    #[serde(default)]
    address: Option<Hex<Address>>,
    #[serde(default)]
    refund_address: Option<Hex<Address>>,
    #[serde(default)]
    balance: Option<Hex<U256>>,
}

#[derive(Debug, Deserialize)]
struct Created {
    #[serde(default)]
    address: Option<Hex<Address>>,
}

fn malformed(error: impl ToString) -> InvalidResponse {
    InvalidResponse::Malformed { what: "traces", reason: error.to_string() }
}

fn other_block(header: &Header) -> InvalidResponse {
    InvalidResponse::OtherBlock { what: "traces", number: header.number }
}

/// Reads the flat list of `trace_block`. The request is by number, so the block is checked by its hash.
fn from_trace_block(text: &str, header: &Header) -> Result<Vec<InternalPayment>, InvalidResponse> {
    let traces: Option<Vec<FlatTrace<'_>>> = serde_json::from_str(text).map_err(malformed)?;
    let traces = traces.ok_or_else(|| malformed("no traces"))?;
    let mut payments = Payments::default();
    // Position of the reverted call whose inner calls follow.
    let mut reverted: Option<(u32, Vec<u32>)> = None;
    let mut transactions = HashSet::new();
    for trace in &traces {
        if trace.block_hash.is_none_or(|hash| hash.0 != header.hash) {
            return Err(other_block(header));
        }
        // A reward belongs to no transaction.
        let Some(tx_index) = trace.transaction_position else { continue };
        transactions.insert(tx_index);
        let is_inside = reverted.as_ref().is_some_and(|(transaction, place)| {
            *transaction == tx_index && trace.trace_address.starts_with(place)
        });
        if is_inside {
            continue;
        }
        if trace.error.is_some() {
            reverted = Some((tx_index, trace.trace_address.clone()));
            continue;
        }
        payments.add(tx_index, &trace.trace_address, trace.payment());
    }
    if transactions.is_empty() {
        // A node that has pruned its state returns an empty list instead of an error.
        return Err(InvalidResponse::Empty { number: header.number });
    }
    Ok(payments.found)
}

impl FlatTrace<'_> {
    /// Call type, payer, payee and value, where value moves.
    fn payment(&self) -> Option<(CallType, Address, Address, U256)> {
        let action = &self.action;
        let value = |value: Option<Hex<U256>>| value.map(|value| value.0);
        match self.kind {
            "call" if action.call_type.is_none_or(|kind| kind == "call") => {
                Some((CallType::Call, action.from?.0, action.to?.0, value(action.value)?))
            }
            "create" => {
                let created = self.result.as_ref()?.address?.0;
                Some((CallType::Create, action.from?.0, created, value(action.value)?))
            }
            "suicide" | "selfdestruct" => {
                let heir = action.refund_address?.0;
                Some((CallType::SelfDestruct, action.address?.0, heir, value(action.balance)?))
            }
            _ => None,
        }
    }
}

/// Payments of a block, numbered within each transaction.
#[derive(Debug, Default)]
struct Payments {
    found: Vec<InternalPayment>,
}

impl Payments {
    fn add(
        &mut self,
        tx_index: u32,
        place: &[u32],
        payment: Option<(CallType, Address, Address, U256)>,
    ) {
        // The outermost call is the transaction itself, whose payment is a native transfer. A contract that
        // self-destructs in its own favour moves nothing.
        let Some((call_type, from, to, value)) = payment.filter(|_| !place.is_empty()) else {
            return;
        };
        if value.is_zero() || (call_type == CallType::SelfDestruct && from == to) {
            return;
        }
        let sub_index = match self.found.last() {
            Some(last) if last.tx_index == tx_index => last.sub_index + 1,
            _ => 0,
        };
        let trace_address = place.to_vec();
        let payment =
            InternalPayment { tx_index, sub_index, from, to, value, call_type, trace_address };
        self.found.push(payment);
    }
}

/// Reads the trees of `debug_traceBlockByHash`.
fn from_call_tracer(text: &str, block: &BlockData) -> Result<BlockPayments, InvalidResponse> {
    let traced = call_tree::read(text).map_err(malformed)?;
    // Records that only the chain's consensus wrote are not traced.
    if traced.is_empty() || traced.len() > block.transactions.len() {
        return Err(other_block(&block.header));
    }
    let has_all = traced.len() == block.transactions.len();
    let mut payments = Payments::default();
    let mut is_whole = true;
    let mut index = 0;
    for transaction in &traced {
        // A missing trace must not shift the payments of the others.
        index = match parsed::<B256>(transaction.tx_hash)? {
            Some(hash) => {
                let rest = block.transactions.iter().skip(index);
                let found = rest.enumerate().find(|(_, known)| known.hash == hash);
                index + found.ok_or_else(|| other_block(&block.header))?.0
            }
            None if has_all => index,
            None => return Err(malformed("fewer traces than transactions, and no hashes")),
        };
        is_whole &= !transaction.frames.is_empty();
        add_frames(&transaction.frames, index as u32, &mut payments)?;
        index += 1;
    }
    if traced.iter().all(|transaction| transaction.frames.is_empty()) {
        return Err(malformed("no transaction could be traced"));
    }
    Ok(BlockPayments { found: payments.found, is_whole })
}

fn add_frames(
    frames: &[Frame<'_>],
    tx_index: u32,
    payments: &mut Payments,
) -> Result<(), InvalidResponse> {
    let mut place = Vec::new();
    // Depth of the reverted call whose inner calls follow.
    let mut reverted: Option<usize> = None;
    for frame in frames {
        if reverted.is_some_and(|depth| frame.depth > depth) {
            continue;
        }
        // A reverted call moved nothing, nor did anything inside it.
        reverted = frame.failed.then_some(frame.depth);
        place.truncate(frame.depth.saturating_sub(1));
        if frame.depth > 0 {
            place.push(frame.place);
        }
        if !frame.failed {
            payments.add(tx_index, &place, frame.payment()?);
        }
    }
    Ok(())
}

/// A field of a call, if present.
fn parsed<T>(text: Option<&str>) -> Result<Option<T>, InvalidResponse>
where
    Hex<T>: for<'de> Deserialize<'de>,
{
    text.map(|text| serde_json::from_str::<Hex<T>>(text).map(|hex| hex.0).map_err(malformed))
        .transpose()
}

impl Frame<'_> {
    /// Call type, payer, payee and value, where value moves.
    fn payment(&self) -> Result<Option<(CallType, Address, Address, U256)>, InvalidResponse> {
        let call_type = match self.kind {
            Some("\"CALL\"") => CallType::Call,
            Some("\"CREATE\"" | "\"CREATE2\"") => CallType::Create,
            Some("\"SELFDESTRUCT\"") => CallType::SelfDestruct,
            _ => return Ok(None),
        };
        let parties = parsed::<Address>(self.from)?.zip(parsed::<Address>(self.to)?);
        let moved = parties.zip(parsed::<U256>(self.value)?);
        Ok(moved.map(|((from, to), value)| (call_type, from, to, value)))
    }
}

#[cfg(test)]
mod tests;
