//! From the text of a trigger to a trigger.

use crypto_intel_schemas::{Field, FieldType};
use toml::Spanned;

use crate::{
    condition::{Condition, fields::fields_of_all},
    rules::{
        check::RuleCheck,
        trigger::{
            Absence, Finality, Lasting, Sequence, SequenceStep, Trigger,
            text::{AbsenceText, SequenceText, StepText},
            values::{absence_fields, sequence_fields, window_fields},
        },
    },
    streams::{self, RuleStream},
    template::MessageTemplate,
};

const KINDS: [&str; 5] = ["event", "window", "sequence", "absence", "first"];

/// A rule's trigger, and what goes with it.
pub(in crate::rules) struct Triggered {
    pub(in crate::rules) trigger: Trigger,
    pub(in crate::rules) lasting: Option<Lasting>,
    pub(in crate::rules) finality: Finality,
    pub(in crate::rules) agreed: usize,
}

impl RuleCheck<'_> {
    /// The trigger over events with these fields; `None` where something is wrong with it.
    pub(in crate::rules) fn check_trigger(
        &mut self,
        fields: &[Field],
        stream: RuleStream,
    ) -> Option<Triggered> {
        let before = self.problems.len();
        let kind = self.kind()?;
        let trigger = match kind {
            "window" => self.window(fields),
            "sequence" => self.sequence(fields),
            "absence" => self.absence(),
            "first" => self.first(),
            _ => Some(Trigger::Event),
        };
        let lasting = trigger.as_ref().and_then(|trigger| self.lasting(trigger, fields));
        let finality = self.finality();
        if finality != Finality::Seen && stream != RuleStream::Evm {
            let place = self.text.trigger.finality.as_ref().map(Spanned::span).unwrap_or_default();
            let message = format!("what is on {} is in no block", stream.name());
            self.report_at(place, message, Some("leave `finality` out".to_owned()));
        }
        let agreed = self.agreed(stream);
        if self.problems.len() > before {
            return None;
        }
        Some(Triggered { trigger: trigger?, lasting, finality, agreed })
    }

    /// The fields that templates of the rule see.
    pub(in crate::rules) fn template_fields(&self, fields: &[Field]) -> Vec<Field> {
        let own = match self.text.trigger.trigger.as_ref().map(|kind| kind.get_ref().as_str()) {
            Some("window") => window_fields(),
            Some("absence") => absence_fields(),
            Some("sequence") => return [fields, &sequence_fields()].concat(),
            _ => return fields.to_vec(),
        };
        let group = self.text.group_by.iter().filter_map(|name| {
            let field = fields.iter().find(|field| field.name == name.get_ref())?;
            Some(Field { name: field.name, field_type: FieldType::Text, optional: true })
        });
        group.chain(own).collect()
    }

    fn kind(&mut self) -> Option<&'static str> {
        let text = &self.text.trigger;
        let named = text.trigger.as_ref().map(Spanned::get_ref);
        let name = named.map_or("event", String::as_str);
        let Some(kind) = KINDS.into_iter().find(|kind| *kind == name) else {
            let hint = format!("one of {}", KINDS.join(", "));
            if let Some(trigger) = &text.trigger {
                self.report(trigger, format!("no trigger is named {name:?}"), Some(hint));
            }
            return None;
        };
        let tables = [
            ("window", text.window.as_ref().map(Spanned::span)),
            ("sequence", text.sequence.as_ref().map(Spanned::span)),
            ("absence", text.absence.as_ref().map(Spanned::span)),
            ("first", text.first.as_ref().map(Spanned::span)),
        ];
        for (table, span) in tables {
            match span {
                Some(span) if table != kind => {
                    let message = format!("[rule.{table}] is of trigger = \"{table}\"");
                    let hint = format!("this rule's trigger is \"{kind}\"");
                    self.report_at(span, message, Some(hint));
                }
                None if table == kind => {
                    let span = text.trigger.as_ref().map(Spanned::span).unwrap_or_default();
                    let message = format!("trigger = \"{kind}\" needs [rule.{kind}]");
                    self.report_at(span, message, None);
                }
                _ => {}
            }
        }
        Some(kind)
    }

    fn sequence(&mut self, fields: &[Field]) -> Option<Trigger> {
        let spanned = self.text.trigger.sequence.as_ref()?;
        let text: &SequenceText = spanned.get_ref();
        let within_us = self.period(&text.within)?;
        if text.step.len() < 2 {
            let hint = "[[rule.sequence.step]] with `when`, at least twice".to_owned();
            self.report(spanned, "a sequence has two steps or more", Some(hint));
            return None;
        }
        let steps: Vec<Option<SequenceStep>> =
            text.step.iter().map(|step| self.sequence_step(step.get_ref(), fields)).collect();
        Some(Trigger::Sequence(Sequence {
            within_us,
            steps: steps.into_iter().collect::<Option<Vec<SequenceStep>>>()?,
        }))
    }

    fn sequence_step(&mut self, text: &StepText, fields: &[Field]) -> Option<SequenceStep> {
        let own = text.on.as_ref().map(|on| on.get_ref().with_places(on.span()));
        let whole = self.text.on.get_ref().with_places(self.text.on.span());
        let (on, fields) = match own {
            Some(on) => {
                self.check_patterns(&on)?;
                self.check_is_part(&on, &whole);
                let fields = fields_of_all(&streams::kinds_of_patterns(&on));
                (on, fields)
            }
            None => (whole, fields.to_vec()),
        };
        let condition = match &text.when {
            Some(when) => self.compile(when, &fields)?,
            None => Condition::compile("true", &fields, self.surroundings.conditions).ok()?,
        };
        let group_by = text.group_by.as_ref().unwrap_or(&self.text.group_by);
        for name in group_by {
            self.check_field("group_by", name, &fields);
        }
        if group_by.len() != self.text.group_by.len() {
            let message = "each step has as many group_by as the rule: they give the same group";
            let place = group_by.first().map_or_else(|| self.text.id.span(), Spanned::span);
            self.report_at(place, message.to_owned(), None);
        }
        Some(SequenceStep {
            on: on.iter().map(|pattern| pattern.get_ref().clone()).collect(),
            condition,
            group_by: group_by.iter().map(|name| name.get_ref().clone()).collect(),
        })
    }

    /// What a step reads must be among what the rule reads.
    fn check_is_part(&mut self, on: &[Spanned<String>], whole: &[Spanned<String>]) {
        for pattern in on {
            if whole.iter().any(|known| known.get_ref() == pattern.get_ref()) {
                continue;
            }
            let message = format!("{:?} is not in the rule's own `on`", pattern.get_ref());
            let hint = "the rule's `on` lists the patterns of all steps".to_owned();
            self.report(pattern, message, Some(hint));
        }
    }

    fn absence(&mut self) -> Option<Trigger> {
        let text: &AbsenceText = self.text.trigger.absence.as_ref()?.get_ref();
        let for_us = self.period(&text.lasts)?;
        if let (Some(first), true) = (text.keys.first(), self.text.group_by.len() != 1) {
            let message = "`keys` are values of one group_by field".to_owned();
            self.report(first, message, Some("such as group_by = [\"chain\"]".to_owned()));
        }
        let keys = text.keys.iter().map(|key| key.get_ref().clone()).collect();
        Some(Trigger::Absence(Absence { for_us, keys }))
    }

    fn first(&mut self) -> Option<Trigger> {
        let text = self.text.trigger.first.as_ref()?.get_ref();
        let over_us = self.period(&text.over)?;
        if self.text.group_by.is_empty() {
            let message = "the first event of what? name it by group_by".to_owned();
            self.report(&text.over, message, Some("such as group_by = [\"to\"]".to_owned()));
        }
        Some(Trigger::First { over_us })
    }

    /// What makes the rule a condition; `None` for one that tells of single events.
    fn lasting(&mut self, trigger: &Trigger, fields: &[Field]) -> Option<Lasting> {
        let text = &self.text.trigger;
        let is_asked =
            text.lasts.is_some() || text.keep_firing_for.is_some() || text.resolve_when.is_some();
        let condition_fields = match trigger {
            Trigger::Window(_) => window_fields(),
            Trigger::Event if is_asked => fields.to_vec(),
            Trigger::Absence(_) => {
                let places = [&text.lasts, &text.resolve_when];
                if let Some(place) = places.into_iter().flatten().next() {
                    let message = "an absence ends with the next event".to_owned();
                    self.report(place, message, Some("`for` stands in [rule.absence]".to_owned()));
                }
                Vec::new()
            }
            _ => {
                let places =
                    [&text.lasts, &text.keep_firing_for, &text.resolve_when, &text.resolved_title];
                if let Some(place) = places.into_iter().flatten().next() {
                    let message = "this rule tells of single events, which do not end".to_owned();
                    let hint = "`for`, `keep_firing_for` and `resolve_when` make a condition of events or windows";
                    self.report(place, message, Some(hint.to_owned()));
                }
                return None;
            }
        };
        if let Some(cooldown) = &self.text.cooldown {
            let message =
                "a condition is told once, until it ends: a cooldown has no meaning".to_owned();
            self.report(cooldown, message, Some("use `for` and `keep_firing_for`".to_owned()));
        }
        let resolve_when = match &text.resolve_when {
            Some(when) if !matches!(trigger, Trigger::Absence(_)) => {
                let compiled = self.compile(when, &condition_fields);
                if let Some(condition) = &compiled {
                    self.check_window_values(when, &condition.names());
                }
                compiled
            }
            _ => None,
        };
        Some(Lasting {
            for_us: self.duration(text.lasts.as_ref(), 0),
            keep_firing_for_us: self.duration(text.keep_firing_for.as_ref(), 0),
            resolve_when,
            resolved: self.resolved(),
        })
    }

    /// The message at a condition's end.
    fn resolved(&mut self) -> Option<MessageTemplate> {
        let text = &self.text.trigger;
        if let (None, Some(line)) = (&text.resolved_title, text.resolved_lines.first()) {
            let message = "`resolved_lines` go with a `resolved_title`".to_owned();
            self.report(line, message, None);
        }
        text.resolved_title.as_ref()?;
        let mut names = text.resolved_templates(self.text.id.get_ref()).map(|(name, _)| name);
        let title = names.next()?;
        Some(MessageTemplate { title, lines: names.collect(), ..MessageTemplate::default() })
    }

    fn finality(&mut self) -> Finality {
        let text = &self.text.trigger;
        let name = text.finality.as_ref().map_or("seen", |finality| finality.get_ref().as_str());
        let confirmations = text.confirmations.as_ref();
        let hint = "\"seen\" (default), \"confirmed\" with `confirmations = N`, or \"finalized\"";
        match (name, confirmations) {
            ("seen", None) => return Finality::Seen,
            ("finalized", None) => return Finality::Finalized,
            ("confirmed", Some(depth)) if (1..=10_000).contains(depth.get_ref()) => {
                return Finality::Confirmed(*depth.get_ref());
            }
            ("confirmed", Some(depth)) => {
                let message = "confirmations are 1 to 10,000 blocks".to_owned();
                self.report(depth, message, None);
            }
            ("seen" | "finalized", Some(depth)) => {
                let message = "`confirmations` is for finality = \"confirmed\"".to_owned();
                self.report(depth, message, Some(hint.to_owned()));
            }
            _ => {
                let message = format!("finality {name:?} is not supported");
                let place = text.finality.as_ref().map(Spanned::span).unwrap_or_default();
                self.report_at(place, message, Some(hint.to_owned()));
            }
        }
        Finality::Seen
    }
}
