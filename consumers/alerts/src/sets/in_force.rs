use std::sync::Arc;

use crypto_intel_nats::StreamMessage;
use crypto_intel_schemas::Event;

use super::{Sets, Switches};
use crate::{rules::RuleSet, streams::RuleStream};

/// Where no chain is between two blocks for so long, a set is taken in the middle of one.
const MAX_WAIT_US: i64 = 10_000_000;

/// The rule set of one stream's reader: what is in force, and what waits for the end of a block.
#[derive(Debug)]
pub(crate) struct InForce {
    sets: Arc<Sets>,
    stream: RuleStream,
    rules: Arc<RuleSet>,
    switches: Switches,
    waiting: Option<Waiting>,
}

/// A set that a tick asked for.
#[derive(Debug)]
struct Waiting {
    rules: Arc<RuleSet>,
    /// When the tick was stored, microseconds.
    asked_us: i64,
}

impl InForce {
    /// The set in force after message `sequence`; `initial` where none is known, or there is no state yet.
    pub(crate) async fn load(
        sets: &Arc<Sets>,
        stream: RuleStream,
        initial: &Arc<RuleSet>,
        sequence: Option<u64>,
    ) -> anyhow::Result<Self> {
        let switches = match sequence {
            Some(_) => sets.switches(stream).await?,
            None => None,
        };
        let sequence = sequence.unwrap_or_default();
        let known = switches.as_ref().and_then(|switches| switches.in_force(sequence));
        let rules = match known {
            Some(digest) if digest == initial.digest() => Some(Arc::clone(initial)),
            Some(digest) => sets.get(digest).await?,
            None => None,
        };
        let (sets, initial) = (Arc::clone(sets), Arc::clone(initial));
        let mut in_force = match (switches, rules) {
            (Some(switches), Some(rules)) => Self { sets, stream, rules, switches, waiting: None },
            _ => {
                let switches = Switches::starting_with(initial.digest(), sequence);
                Self { sets, stream, rules: initial, switches, waiting: None }
            }
        };
        in_force.sets.put_switches(stream, &in_force.switches).await?;
        in_force.sets.note_in_force(stream, &in_force.rules);
        if let Some((digest, asked_us)) = in_force.switches.waiting(sequence) {
            let rules = in_force.sets.get(digest).await?;
            in_force.waiting = rules.map(|rules| Waiting { rules, asked_us });
        }
        Ok(in_force)
    }

    pub(crate) fn rules(&self) -> &Arc<RuleSet> {
        &self.rules
    }

    /// Looks whether a message is a tick that asks for a set.
    pub(crate) async fn see(&mut self, message: &StreamMessage) -> anyhow::Result<()> {
        if !message.subject.starts_with("tick.") {
            return Ok(());
        }
        let Ok(Event::Tick(tick)) = Event::decode(&message.payload) else { return Ok(()) };
        let Some(digest) = tick.rules else { return Ok(()) };
        let waiting = self.waiting.as_ref().map(|waiting| waiting.rules.digest());
        if digest == waiting.unwrap_or(self.rules.digest()) {
            return Ok(());
        }
        let Some(rules) = self.sets.get(&digest).await? else {
            tracing::error!(
                stream = self.stream.name(),
                set = digest,
                sequence = message.sequence,
                "rule set that a tick asks for is not kept, the set in force stays"
            );
            return Ok(());
        };
        self.switches.ask(&digest, message.sequence, message.stored_at_us);
        self.sets.put_switches(self.stream, &self.switches).await?;
        self.waiting = Some(Waiting { rules, asked_us: message.stored_at_us });
        Ok(())
    }

    /// Whether the set that waits is to be taken after a message that was stored then.
    pub(crate) fn is_due(&self, between_blocks: bool, stored_at_us: i64) -> bool {
        self.waiting.as_ref().is_some_and(|waiting| {
            between_blocks || stored_at_us.saturating_sub(waiting.asked_us) >= MAX_WAIT_US
        })
    }

    /// Puts what waits in force after message `sequence`.
    pub(crate) async fn take(&mut self, sequence: u64) -> anyhow::Result<&Arc<RuleSet>> {
        if let Some(waiting) = self.waiting.take() {
            self.rules = waiting.rules;
            self.sets.note_in_force(self.stream, &self.rules);
            self.switches.take(sequence);
            self.sets.put_switches(self.stream, &self.switches).await?;
        }
        Ok(&self.rules)
    }

    /// The stream was recreated: its sequences begin again.
    pub(crate) async fn restart(&mut self) -> anyhow::Result<()> {
        self.waiting = None;
        self.switches = Switches::starting_with(self.rules.digest(), 0);
        self.sets.put_switches(self.stream, &self.switches).await
    }
}
