//! Events of rules that wait until a block is deep enough, or known to enough operators. What leaves the chain before is dropped.

use std::sync::Arc;

use bytes::Bytes;
use crypto_intel_nats::StreamMessage;
use crypto_intel_schemas::{Alert, B256, Block, Event};
use serde::{Deserialize, Serialize};

use super::{Judged, Matched};
use crate::engine::{Engine, firing::LocatedEvent};

/// What waits of a block.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct WaitingBlock {
    number: u64,
    events: Vec<WaitingEvent>,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct WaitingEvent {
    rule: String,
    /// Whether it meets the rule's condition.
    holds: bool,
    subject: String,
    body: Bytes,
    sequence: u64,
    stored_at_us: i64,
    rank: u32,
}

impl Engine {
    /// Whether an event's block must be known better before the rule hears of it.
    pub(super) fn must_wait(&self, index: usize, located: &LocatedEvent<'_>) -> bool {
        let waits = self.rules.rules[index].waits();
        waits && located.canonical_block.is_some() && !located.is_confirmed
    }

    pub(super) fn wait(&mut self, matched: Matched, located: &LocatedEvent<'_>) {
        let Some(block) = located.canonical_block else { return };
        let hash = format!("{:x}", block.hash);
        let waiting =
            self.state.waiting.get_or_insert_with(located.chain, &hash, WaitingBlock::default);
        waiting.number = block.number;
        let message = located.message;
        waiting.events.push(WaitingEvent {
            rule: self.rules.rules[matched.index].id.clone(),
            holds: matched.holds,
            subject: message.subject.clone(),
            body: message.payload.clone(),
            sequence: message.sequence,
            stored_at_us: message.stored_at_us,
            rank: located.rank,
        });
    }

    pub(super) fn forget_waiting(&mut self, chain: &str, hash: &B256) {
        self.state.waiting.remove(chain, &format!("{hash:x}"));
    }

    /// Forgets what waits in blocks that another one has replaced, though no marker said that they left.
    pub(super) fn forget_replaced(&mut self, marker: &Block) {
        let (chain, own) = (marker.chain.as_str(), format!("{:x}", marker.block_hash));
        let waiting = self.state.waiting.iter_of(chain);
        let replaced: Vec<String> = waiting
            .filter(|(hash, block)| block.number >= marker.block_number && *hash != own)
            .map(|(hash, _)| hash.to_owned())
            .collect();
        replaced.iter().for_each(|hash| drop(self.state.waiting.remove(chain, hash)));
    }

    /// Tells rules of what is known well enough now.
    pub(super) fn release_waiting(&mut self, marker: &Block, alerts: &mut Vec<Alert>) {
        let chain = marker.chain.as_str();
        let rules = Arc::clone(&self.rules);
        let is_due = |number: u64, event: &WaitingEvent| {
            let rule = rules.find(&event.rule);
            rule.is_none_or(|rule| rule.is_known_enough(number, marker))
        };
        let waiting = self.state.waiting.iter_of(chain);
        let mut blocks: Vec<(u64, String)> = waiting
            .filter(|(_, block)| block.events.iter().any(|event| is_due(block.number, event)))
            .map(|(hash, block)| (block.number, hash.to_owned()))
            .collect();
        blocks.sort();
        for (number, hash) in blocks {
            let Some(block) = self.state.waiting.get_mut(chain, &hash) else { continue };
            let due = block.events.extract_if(.., |event| is_due(number, event));
            let due: Vec<WaitingEvent> = due.collect();
            if block.events.is_empty() {
                self.state.waiting.remove(chain, &hash);
            }
            due.into_iter().for_each(|event| self.release(event, alerts));
        }
    }

    fn release(&mut self, waiting: WaitingEvent, alerts: &mut Vec<Alert>) {
        let WaitingEvent { rule, holds, subject, body, sequence, stored_at_us, rank } = waiting;
        let index = self.rules.index_of(&rule);
        // It was decoded when it came.
        let (Some(index), Ok(event)) = (index, Event::decode(&body)) else { return };
        let message = StreamMessage {
            subject,
            schema: None,
            headers: None,
            payload: body,
            sequence,
            stored_at_us,
            remaining: 0,
        };
        let mut located = LocatedEvent::new(&event, rank, &message);
        located.is_confirmed = true;
        if let Judged::Fires(opening) = self.judge(Matched { index, holds }, &located, alerts) {
            self.fire(index, &located, opening.as_ref(), alerts);
        }
    }
}
