use std::sync::Arc;

use crypto_intel_nats::StreamMessage;
use crypto_intel_schemas::Event;
use prometheus::IntCounter;

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
    /// Sets that should be in force and are kept no more.
    missing: IntCounter,
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
        missing: IntCounter,
    ) -> anyhow::Result<Self> {
        let switches = match sequence {
            Some(_) => sets.switches(stream).await?,
            None => None,
        };
        let known = switches.as_ref().zip(sequence);
        let known = known.and_then(|(switches, sequence)| switches.in_force(sequence));
        let known = known.map(str::to_owned);
        let rules = match known.as_deref() {
            Some(digest) if digest == initial.digest() => Some(Arc::clone(initial)),
            Some(digest) => sets.get(digest).await?,
            None => None,
        };
        let (rules, switches) = match (rules, switches) {
            (Some(rules), Some(switches)) => (rules, switches),
            _ => {
                if let Some(sequence) = sequence {
                    missing.inc();
                    tracing::error!(
                        stream = stream.name(),
                        was = known.as_deref().unwrap_or("unknown"),
                        set = initial.digest(),
                        sequence,
                        "rule set that was in force is not kept, another one takes its place"
                    );
                }
                let sequence = sequence.unwrap_or_default();
                (Arc::clone(initial), Switches::starting_with(initial.digest(), sequence))
            }
        };
        let sets = Arc::clone(sets);
        let mut in_force = Self { sets, stream, rules, switches, waiting: None, missing };
        in_force.sets.put_switches(stream, &in_force.switches).await?;
        in_force.sets.note_in_force(stream, &in_force.rules);
        let waiting = in_force.switches.waiting(sequence.unwrap_or_default());
        if let Some((digest, asked_us)) = waiting.map(|(digest, at)| (digest.to_owned(), at)) {
            let rules = in_force.asked_for(&digest, sequence.unwrap_or_default()).await?;
            in_force.waiting = rules.map(|rules| Waiting { rules, asked_us });
        }
        Ok(in_force)
    }

    /// The set that a tick asks for; `None`, loudly, where it is not kept.
    async fn asked_for(&self, digest: &str, sequence: u64) -> anyhow::Result<Option<Arc<RuleSet>>> {
        let rules = self.sets.get(digest).await?;
        if rules.is_none() {
            self.missing.inc();
            tracing::error!(
                stream = self.stream.name(),
                set = digest,
                sequence,
                "rule set that a tick asks for is not kept, the set in force stays"
            );
        }
        Ok(rules)
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
        let Some(rules) = self.asked_for(&digest, message.sequence).await? else {
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
