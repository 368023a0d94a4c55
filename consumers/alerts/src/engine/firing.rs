//! From an event that a rule matched to an alert.

use std::sync::Arc;

use crypto_intel_nats::StreamMessage;
use crypto_intel_schemas::{Alert, AlertState, B256, BlockRef, Event, short_code};

use crate::{
    condition::fields::{FieldValue, field_of, hex_text},
    engine::{
        Engine, alert_id,
        cooldowns::{Opener, Standing},
        corrections::View,
        keys::{Occurrence, SightingKey, short_hash},
        state::NO_CHAIN,
        told::{Belief, Sighting, Told},
        totals::{Measure, Text},
    },
    rules::Rule,
    template::{self, Message},
};

/// A message's event, and where it is.
pub(super) struct Seen<'e> {
    pub(super) event: &'e Event,
    pub(super) message: &'e StreamMessage,
    occurrence: Occurrence,
    /// Chain of what can leave it again, else [`NO_CHAIN`].
    chain: &'e str,
    /// Block of what can leave it again.
    home: Option<BlockRef>,
    /// Hash and incarnation of that block.
    block: Option<(B256, u32)>,
}

impl<'e> Seen<'e> {
    pub(super) fn new(event: &'e Event, rank: u32, message: &'e StreamMessage) -> Self {
        let block = event.block_fields().filter(|_| !event.kind().is_lasting());
        Self {
            event,
            message,
            occurrence: Occurrence::of(event, rank),
            chain: block.map_or(NO_CHAIN, |block| block.chain),
            home: block
                .map(|block| BlockRef { number: block.block_number, hash: block.block_hash }),
            block: block.map(|block| (block.block_hash, block.incarnation)),
        }
    }
}

fn alert_of(rule: &Rule, seen: &Seen<'_>, key: String, text: Text) -> Alert {
    let Seen { event, message, .. } = seen;
    let block = event.block_fields();
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
        routes: rule.routes.clone(),
        event_id: text.event_id,
        chain: block.map(|block| block.chain.to_owned()),
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
    /// What people were told of, and what lost its block, is in this one now.
    pub(super) fn place(&mut self, seen: &Seen<'_>, matched: &[usize]) {
        let Some(home) = seen.home else { return };
        let Some(chain) = self.state.chains.get(seen.chain).filter(|chain| chain.homeless) else {
            return;
        };
        for key in chain.homeless_of(&seen.occurrence.id()) {
            let index = self.rules.rules.iter().position(|rule| rule.id == key.rule);
            let view = index.map(|index| (self.view(index, seen.event), matched.contains(&index)));
            if let Some(chain) = self.state.chains.get_mut(seen.chain) {
                chain.place(&key, home, view);
            }
        }
    }

    pub(super) fn fire(&mut self, index: usize, seen: &Seen<'_>, alerts: &mut Vec<Alert>) {
        let rules = Arc::clone(&self.rules);
        let rule = &rules.rules[index];
        let key = SightingKey::new(&seen.occurrence.id(), &rule.id);
        let chain = self.state.chains.get(seen.chain);
        if chain.is_some_and(|chain| chain.sightings.contains_key(&key)) {
            return;
        }
        // By the stream's clock: a replay, and a reader that is behind, decide alike.
        let age_us = seen.message.stored_at_us.saturating_sub(seen.event.event_at_us());
        if age_us > rule.max_event_age_us {
            self.metrics[index].suppressed_age.inc();
            return;
        }
        let view = self.view(index, seen.event);
        let mut sighting = Sighting {
            alert: None,
            home: seen.home,
            homeless_since_us: 0,
            holds: true,
            gist: view.gist,
            text: None,
        };
        let measure = view.text.measure.clone();
        if rule.cooldown_us > 0 {
            let group = group_of(rule, seen.event);
            let standing = self.standing(index, &group, measure.as_ref(), alerts);
            if standing == Standing::HeldBack {
                sighting.text = Some(Text { lines: Vec::new(), ..view.text });
                self.collect(index, &group, seen.chain, key, sighting);
                return;
            }
            let alert_key = key.alert_key(seen.block);
            let opener = Opener {
                chain: seen.chain.to_owned(),
                key: key.clone(),
                at_us: self.state.stream_time_us,
                code: short_code(&alert_key),
                title: view.text.title.clone(),
                measure,
            };
            self.state.group_mut(&rule.id, &group).openers.push(opener);
        }
        self.metrics[index].fired.inc();
        let alert = alert_of(rule, seen, key.alert_key(seen.block), view.text);
        alerts.push(alert.clone());
        let Some(home) = seen.home else { return };
        sighting.alert = Some(alert.alert.clone());
        let number = Some(home.number);
        let belief = Belief { gone: false, holds: true, gist: view.gist, number };
        let members = vec![key.clone()];
        let chain = self.state.chains.entry(seen.chain.to_owned()).or_default();
        chain.sightings.insert(key, sighting);
        if chain.keep(Told { alert, belief, members, summary: None, unsettled: false }) {
            self.crowded_out.inc();
        }
    }

    /// What a rule makes of an event.
    fn view(&self, index: usize, event: &Event) -> View {
        let rule = &self.rules.rules[index];
        let mut values = template::values_of(event, &rule.fields);
        values.insert("rule", rule.id.as_str().into());
        values.insert("severity", rule.severity.as_str().into());
        let mut message = self.write(index, &values);
        template::forget_place(&mut values);
        let placeless = rule.message.render(&self.rules.templates, &values);
        let gist = short_hash(&placeless.as_ref().unwrap_or(&message).words());
        if rule.message.default_link {
            message.links.extend(template::transaction_link(&self.rules.explorers, event));
        }
        let Message { title, lines, links } = message;
        let event_id = event.id().to_owned();
        View { gist, text: Text { title, lines, links, event_id, measure: Measure::of(event) } }
    }

    /// The message; where a template fails, one that says so: an alert is never lost for its text.
    fn write(&self, index: usize, values: &template::Values) -> Message {
        let rule = &self.rules.rules[index];
        rule.message.render(&self.rules.templates, values).unwrap_or_else(|error| {
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

/// The values of a rule's `group_by` fields, as one text.
fn group_of(rule: &Rule, event: &Event) -> String {
    let values = rule.group_by.iter().map(|name| match field_of(event, name) {
        None | Some(FieldValue::Absent) => String::new(),
        Some(FieldValue::Bool(value)) => value.to_string(),
        Some(FieldValue::Int(value)) => value.to_string(),
        Some(FieldValue::Decimal(value)) => value.to_string(),
        Some(FieldValue::Text(value)) => value.replace('\n', " "),
        Some(FieldValue::Hex(value)) => hex_text(value),
        Some(FieldValue::Texts(values)) => values.join("\t").replace('\n', " "),
        Some(FieldValue::U256(value)) => value.to_string(),
        Some(FieldValue::I256(value)) => value.to_string(),
        Some(FieldValue::Fields(fields)) => fields.to_json_text(),
    });
    values.collect::<Vec<_>>().join("\n")
}
