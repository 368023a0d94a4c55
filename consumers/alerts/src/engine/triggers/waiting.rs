//! Events of rules that wait until a block is deep enough. What leaves the chain before is dropped.

use bytes::Bytes;
use crypto_intel_nats::StreamMessage;
use crypto_intel_schemas::{Alert, B256, Block, Event};
use serde::{Deserialize, Serialize};

use super::{Judged, Matched};
use crate::{
    engine::{Engine, firing::LocatedEvent},
    rules::trigger::Finality,
};

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
    /// Whether an event's block must become deeper before the rule hears of it.
    pub(super) fn must_wait(&self, index: usize, located: &LocatedEvent<'_>) -> bool {
        let finality = self.rules.rules[index].finality;
        finality != Finality::Seen && located.canonical_block.is_some() && !located.is_confirmed
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

    /// Tells rules of what is deep enough now.
    pub(super) fn release_waiting(&mut self, marker: &Block, alerts: &mut Vec<Alert>) {
        let chain = marker.chain.as_str();
        let mut blocks: Vec<(u64, String)> = self
            .state
            .waiting
            .iter_of(chain)
            .map(|(hash, waiting)| (waiting.number, hash.to_owned()))
            .collect();
        blocks.sort();
        for (number, hash) in blocks {
            let Some(waiting) = self.state.waiting.get(chain, &hash) else { continue };
            let is_due = |event: &WaitingEvent| match self.finality_of(&event.rule) {
                Some(Finality::Confirmed(depth)) => number + depth <= marker.block_number,
                Some(Finality::Finalized) => number <= marker.finalized_number,
                // The rule changed or is gone.
                Some(Finality::Seen) | None => true,
            };
            let (due, later): (Vec<_>, Vec<_>) = waiting.events.iter().cloned().partition(is_due);
            if due.is_empty() {
                continue;
            }
            if later.is_empty() {
                self.state.waiting.remove(chain, &hash);
            } else if let Some(waiting) = self.state.waiting.get_mut(chain, &hash) {
                waiting.events = later;
            }
            due.into_iter().for_each(|event| self.release(event, alerts));
        }
    }

    fn finality_of(&self, rule: &str) -> Option<Finality> {
        let mut rules = self.rules.rules.iter();
        rules.find(|known| known.id == rule).map(|known| known.finality)
    }

    fn release(&mut self, waiting: WaitingEvent, alerts: &mut Vec<Alert>) {
        let WaitingEvent { rule, holds, subject, body, sequence, stored_at_us, rank } = waiting;
        let index = self.rules.rules.iter().position(|known| known.id == rule);
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
