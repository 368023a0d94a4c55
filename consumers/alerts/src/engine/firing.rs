//! From an event that a rule matched to an alert.

use std::sync::Arc;

use crypto_intel_nats::StreamMessage;
use crypto_intel_schemas::{Alert, AlertState, B256, BlockRef, Event, short_code};
use minijinja::value::Value;

use crate::{
    engine::{
        Engine, alert_id,
        cooldown_group::RunningCooldown,
        cooldowns::CooldownDecision,
        keys::{MatchKey, Occurrence, short_hash},
        reorgs::Rendering,
        sent_alert::{ReportedState, RuleMatch, SentAlert},
        state::NO_CHAIN,
        totals::{Measure, Text, addresses_of},
        triggers::{Judged, Opening},
    },
    labels::{group_of, labels_of},
    rules::{Rule, trigger::Trigger},
    template::{self, Message, MessageTemplate},
};

/// An event with its message and its position on the chain.
pub(super) struct LocatedEvent<'e> {
    pub(super) event: &'e Event,
    pub(super) message: &'e StreamMessage,
    /// Index among its transaction's events of its kind.
    pub(super) rank: u32,
    /// Chain of an event that can leave it, else [`NO_CHAIN`].
    pub(super) chain: &'e str,
    /// Block of an event that can leave the chain.
    pub(super) canonical_block: Option<BlockRef>,
    /// Whether that block is known as well as the rule asks for.
    pub(super) is_confirmed: bool,
    /// Hash and incarnation of that block.
    block: Option<(B256, u32)>,
}

impl<'e> LocatedEvent<'e> {
    pub(super) fn new(event: &'e Event, rank: u32, message: &'e StreamMessage) -> Self {
        let block = event.block_fields().filter(|_| !event.kind().is_lasting());
        Self {
            event,
            message,
            rank,
            is_confirmed: false,
            chain: block.map_or(NO_CHAIN, |block| block.chain),
            canonical_block: block
                .map(|block| BlockRef { number: block.block_number, hash: block.block_hash }),
            block: block.map(|block| (block.block_hash, block.incarnation)),
        }
    }

    /// What it is, wherever the chain has it.
    pub(super) fn occurrence_id(&self) -> String {
        Occurrence::of(self.event, self.rank).id()
    }

    /// How old it was when it was stored: by the clock of the stream, so that a replay and a reader that is behind
    /// decide alike.
    pub(super) fn age_us(&self) -> i64 {
        self.message.stored_at_us.saturating_sub(self.event.event_at_us())
    }
}

pub(super) fn alert_of(rule: &Rule, located: &LocatedEvent<'_>, key: String, text: Text) -> Alert {
    let LocatedEvent { event, message, .. } = located;
    let block = event.block_fields();
    let chain = block.map(|block| block.chain);
    let mut alert = Alert {
        event_at_us: event.event_at_us(),
        observed_at_us: message.stored_at_us,
        code: short_code(&key),
        alert: key,
        rule: rule.id.clone(),
        severity: rule.severity,
        state: AlertState::Fired,
        n: 1,
        title: text.title,
        lines: text.lines,
        links: text.links,
        labels: labels_of(rule, chain, &group_of(&rule.group_by, event)),
        routes: rule.routes.clone(),
        addresses: text.addresses,
        event_id: text.event_id,
        chain: chain.map(str::to_owned),
        block_number: block.map(|block| block.block_number),
        block_hash: block.map(|block| block.block_hash),
        tx_hash: event.transaction_fields().map(|transaction| transaction.tx_hash),
        seen_at_us: event.observed_at_us(),
        ..Alert::empty()
    };
    alert.id = alert_id(&alert);
    alert
}

impl Engine {
    /// Matches that lost their block may be in this one now. `judged`: the rules that it concerns, and what it means for
    /// them.
    pub(super) fn relocate(&mut self, located: &LocatedEvent<'_>, judged: &[(usize, Judged)]) {
        let Some(block) = located.canonical_block else { return };
        let Some(chain) = self.state.chains.get(located.chain).filter(|chain| chain.has_orphans)
        else {
            return;
        };
        for key in chain.orphans_of(&located.occurrence_id()) {
            let index = self.rules.index_of(&key.rule);
            let rendering = index.map(|index| {
                let own = judged.iter().find(|(judged, _)| *judged == index);
                let (holds, opening) = match own {
                    Some((_, Judged::Fires(opening))) => (true, opening.as_ref()),
                    Some((_, Judged::Waits)) => (true, None),
                    Some((_, Judged::Nothing)) | None => (false, None),
                };
                (self.render(index, located.event, opening), holds)
            });
            if let Some(chain) = self.state.chains.get_mut(located.chain) {
                chain.relocate(&key, block, rendering);
            }
        }
    }

    pub(super) fn fire(
        &mut self,
        index: usize,
        located: &LocatedEvent<'_>,
        opening: Option<&Opening>,
        alerts: &mut Vec<Alert>,
    ) {
        let rules = Arc::clone(&self.rules);
        let rule = &rules.rules[index];
        let key = MatchKey::new(&located.occurrence_id(), &rule.id);
        let chain = self.state.chains.get(located.chain);
        if chain.is_some_and(|chain| chain.matches.contains_key(&key)) {
            return;
        }
        if located.age_us() > rule.max_event_age_us {
            self.metrics[index].suppressed_age.inc();
            return;
        }
        // What is on no chain is never compared.
        let rendering = match located.canonical_block {
            Some(_) => self.render(index, located.event, opening),
            None => {
                Rendering { content_hash: 0, text: self.render_text(index, located.event, opening) }
            }
        };
        let mut rule_match = RuleMatch {
            alert: None,
            canonical_block: located.canonical_block,
            orphaned_since_us: 0,
            holds: true,
            content_hash: rendering.content_hash,
            text: None,
        };
        let measure = rendering.text.measure.clone();
        if rule.cooldown_us > 0 {
            let group = group_of(&rule.group_by, located.event);
            let decision = self.decide_cooldown(index, &group, measure.as_ref(), alerts);
            if decision == CooldownDecision::HoldBack {
                rule_match.text = Some(Text { lines: Vec::new(), ..rendering.text });
                self.hold_back(index, &group, located.chain, key, rule_match);
                return;
            }
            let alert_key = key.alert_key(located.block);
            let cooldown = RunningCooldown {
                chain: located.chain.to_owned(),
                key: key.clone(),
                at_us: self.state.stream_time_us,
                code: short_code(&alert_key),
                title: rendering.text.title.clone(),
                measure,
            };
            self.state.group_mut(&rule.id, &group).running.push(cooldown);
        }
        self.metrics[index].fired.inc();
        let alert = alert_of(rule, located, key.alert_key(located.block), rendering.text);
        let Some(block) = located.canonical_block else {
            alerts.push(alert);
            return;
        };
        alerts.push(alert.clone());
        rule_match.alert = Some(alert.alert.clone());
        let number = Some(block.number);
        let reported = ReportedState {
            gone: false,
            holds: true,
            content_hash: rendering.content_hash,
            number,
        };
        let members = vec![key.clone()];
        let chain = self.state.chains.entry(located.chain.to_owned()).or_default();
        chain.matches.insert(key, rule_match);
        let sent = SentAlert { alert, reported, members, summary: None, is_dirty: false };
        if chain.remember(sent) {
            self.evicted.inc();
        }
    }

    /// The message of a rule for an event that can leave the chain, and its words apart from where the chain has it.
    pub(super) fn render(
        &self,
        index: usize,
        event: &Event,
        opening: Option<&Opening>,
    ) -> Rendering {
        let rule = &self.rules.rules[index];
        let mut values = self.values_of_event(index, event, opening);
        let message = self.write(index, &rule.message, &values);
        template::forget_place(&mut values);
        if let Trigger::Sequence(_) = rule.trigger {
            values.extend(values_of_opening(rule, opening, true));
        }
        let without_position = rule.message.render(&self.rules.templates, &values);
        let content_hash = short_hash(&without_position.as_ref().unwrap_or(&message).words());
        Rendering { content_hash, text: self.text_of(index, event, message) }
    }

    /// The message of a rule for an event that stays where it is.
    pub(super) fn render_text(
        &self,
        index: usize,
        event: &Event,
        opening: Option<&Opening>,
    ) -> Text {
        let values = self.values_of_event(index, event, opening);
        let message = self.write(index, &self.rules.rules[index].message, &values);
        self.text_of(index, event, message)
    }

    fn values_of_event(
        &self,
        index: usize,
        event: &Event,
        opening: Option<&Opening>,
    ) -> template::Values {
        let rule = &self.rules.rules[index];
        let mut values = template::values_of(event, &rule.fields);
        values.entry("rule").or_insert_with(|| rule.id.as_str().into());
        values.entry("severity").or_insert_with(|| rule.severity.as_str().into());
        if let Trigger::Sequence(_) = rule.trigger {
            values.extend(values_of_opening(rule, opening, false));
        }
        values
    }

    fn text_of(&self, index: usize, event: &Event, message: Message) -> Text {
        let rule = &self.rules.rules[index];
        let Message { mut title, lines, mut links } = message;
        if rule.message.default_link {
            links.extend(template::transaction_link(&self.rules.explorers, event));
        }
        if rule.marks_unpriced(event) {
            title = template::title(&format!("{title} · unpriced"));
        }
        let event_id = event.id().to_owned();
        Text {
            title,
            lines,
            links,
            event_id,
            measure: Measure::of(event),
            addresses: addresses_of(event),
        }
    }

    /// The message. Where a template fails it says so: an alert is never lost for its text.
    pub(super) fn write(
        &self,
        index: usize,
        message: &MessageTemplate,
        values: &template::Values,
    ) -> Message {
        let rule = &self.rules.rules[index];
        message.render(&self.rules.templates, values).unwrap_or_else(|error| {
            self.metrics[index].errors.inc();
            tracing::warn!(rule = rule.id, error = %format!("{error:#}"), "template failed, correct it");
            Message {
                title: format!("{} fired", rule.id),
                lines: vec![format!("its message could not be written: {}", error.kind())],
                links: Vec::new(),
            }
        })
    }
}

/// What templates of a sequence see of its first event; absent where the sequence is not complete any more.
fn values_of_opening(
    rule: &Rule,
    opening: Option<&Opening>,
    without_place: bool,
) -> [(&'static str, Value); 2] {
    let (mut fields, elapsed) = match opening {
        Some(opening) => {
            let elapsed = Value::from(opening.elapsed_seconds);
            (template::values_of(&opening.event, &rule.fields), elapsed)
        }
        None => (template::absent_values(&rule.fields), Value::from(())),
    };
    if without_place {
        template::forget_place(&mut fields);
    }
    let elapsed = if without_place { Value::from(0) } else { elapsed };
    [("opening", Value::from(fields)), ("elapsed_seconds", elapsed)]
}
