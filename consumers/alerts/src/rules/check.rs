//! From the text of a rule to a rule, noting everything that is wrong with it.

use std::{collections::BTreeSet, ops::Range, sync::Arc};

use cel::Env;
use crypto_intel_schemas::{Kind, Labels};
use minijinja::Environment;
use toml::Spanned;

use crate::{
    condition::{
        Condition,
        check::ConditionProblem,
        fields::{Field, fields_of_all},
    },
    engine::failures::RULE_FAILS,
    labels::MAX_LABEL_TEXT,
    nearest::did_you_mean,
    rules::{
        Rule,
        example::{Example, ExampleText, START_US, event_of},
        file::{RuleText, parse_duration_us},
        problem::{RuleProblem, SourceText, find_name},
        trigger::Triggered,
        unpriced::Unpriced,
    },
    streams,
};

/// An event older than this when it was stored is not news, unless the rule says otherwise.
const DEFAULT_MAX_EVENT_AGE_US: i64 = 600_000_000;

/// Labels that alerts have by themselves.
const GIVEN_LABELS: [&str; 3] = ["rule", "severity", "chain"];

/// What rules are checked against.
pub(super) struct Surroundings<'s> {
    pub(super) conditions: &'s Arc<Env>,
    /// Names of configured destinations; `None` when they are not known here.
    pub(super) destinations: Option<&'s [String]>,
}

/// Checks one rule of a file.
pub(super) struct RuleCheck<'c> {
    pub(super) source: SourceText<'c>,
    pub(super) text: &'c RuleText,
    pub(super) surroundings: &'c Surroundings<'c>,
    pub(super) problems: &'c mut Vec<RuleProblem>,
}

impl<'c> RuleCheck<'c> {
    pub(super) fn new(
        source: SourceText<'c>,
        text: &'c RuleText,
        surroundings: &'c Surroundings<'c>,
        problems: &'c mut Vec<RuleProblem>,
    ) -> Self {
        Self { source, text, surroundings, problems }
    }

    /// The rule, if nothing is wrong with it. Its templates are added to `templates`.
    pub(super) fn run(mut self, templates: &mut Environment<'static>) -> Option<Rule> {
        let known_before = self.problems.len();
        self.check_id();
        let on = self.text.on.get_ref().with_places(self.text.on.span());
        let stream = self.check_patterns(&on);
        let fields = fields_of_all(&streams::kinds_of_patterns(&on));
        // Without a readable pattern no field is known: the rest would be noise.
        let condition = stream.and_then(|_| self.check_condition(&fields));
        if stream.is_some() {
            self.check_group(&fields);
        }
        let triggered = stream.and_then(|stream| self.check_trigger(&fields, stream));
        let labels = self.labels();
        self.check_routes();
        let unpriced = self.unpriced(condition.as_ref());
        let cooldown_us = self.duration(self.text.cooldown.as_ref(), 0);
        let larger_passes = self.larger_passes();
        let max_event_age_us =
            self.duration(self.text.max_event_age.as_ref(), DEFAULT_MAX_EVENT_AGE_US);
        let examples = self.examples(&streams::kinds_of_patterns(&on));
        let message = self.add_templates(templates);
        if stream.is_some() {
            self.try_templates(templates, &message, &self.template_fields(&fields));
        }
        if self.problems.len() > known_before {
            return None;
        }
        let Triggered { trigger, lasting, finality, agreed } = triggered?;
        let texts = |items: &[Spanned<String>]| {
            items.iter().map(|item| item.get_ref().clone()).collect::<Vec<_>>()
        };
        Some(Rule {
            id: self.text.id.get_ref().clone(),
            on: texts(&on),
            stream: stream?,
            fields,
            condition: condition?,
            unpriced,
            severity: self.text.severity,
            cooldown_us,
            larger_passes,
            group_by: texts(&self.text.group_by),
            max_event_age_us,
            trigger,
            lasting,
            finality,
            agreed,
            message,
            labels,
            routes: texts(&self.text.routes),
            examples,
        })
    }

    /// Notes what is wrong with a value.
    pub(super) fn report<T>(
        &mut self,
        value: &Spanned<T>,
        message: impl Into<String>,
        hint: Option<String>,
    ) {
        self.report_at(value.span(), message, hint);
    }

    /// The same of a part of a text.
    pub(super) fn report_within(
        &mut self,
        text: &Spanned<String>,
        within: Range<usize>,
        message: impl Into<String>,
        hint: Option<String>,
    ) {
        let place = self.source.within(&text.span(), text.get_ref(), within);
        self.report_at(place, message, hint);
    }

    /// The same of a place in the file.
    pub(super) fn report_at(
        &mut self,
        place: Range<usize>,
        message: impl Into<String>,
        hint: Option<String>,
    ) {
        let rule = self.text.id.get_ref();
        self.problems.push(self.source.at(place, Some(rule), message.into(), hint));
    }

    fn check_id(&mut self) {
        let id = self.text.id.get_ref();
        let valid = (1..=64).contains(&id.len())
            && id.bytes().all(|byte| matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'-' | b'_'));
        if !valid {
            let message = format!("{id:?} is no rule id: 1 to 64 of a-z, 0-9, - and _");
            self.report(&self.text.id, message, None);
        } else if id == RULE_FAILS {
            let message = format!("{id} is the rule of alerts about rules that fail");
            self.report(&self.text.id, message, Some("choose another id".to_owned()));
        }
    }

    fn check_condition(&mut self, fields: &[Field]) -> Option<Condition> {
        match &self.text.when {
            Some(when) => self.compile(when, fields),
            None => Condition::compile("true", fields, self.surroundings.conditions).ok(),
        }
    }

    /// A condition over these fields.
    pub(super) fn compile(
        &mut self,
        text: &Spanned<String>,
        fields: &[Field],
    ) -> Option<Condition> {
        let compiled = Condition::compile(text.get_ref(), fields, self.surroundings.conditions);
        self.compiled(text, compiled)
    }

    /// An expression over these fields whose value is a number.
    pub(super) fn compile_number(
        &mut self,
        text: &Spanned<String>,
        fields: &[Field],
    ) -> Option<Condition> {
        let env = self.surroundings.conditions;
        let compiled = Condition::compile_number(text.get_ref(), fields, env);
        self.compiled(text, compiled)
    }

    fn compiled(
        &mut self,
        text: &Spanned<String>,
        compiled: Result<Condition, Vec<ConditionProblem>>,
    ) -> Option<Condition> {
        let found = match compiled {
            Ok(condition) => return Some(condition),
            Err(found) => found,
        };
        for problem in found {
            let within = problem.offset..problem.offset + problem.length;
            self.report_within(text, within, problem.message, problem.hint);
        }
        None
    }

    fn check_group(&mut self, fields: &[Field]) {
        for name in &self.text.group_by {
            self.check_field("group_by", name, fields);
        }
    }

    /// What is done where an amount in dollars is unknown: only a condition on one can say it.
    fn unpriced(&mut self, condition: Option<&Condition>) -> Unpriced {
        let Some(unpriced) = &self.text.unpriced else { return Unpriced::default() };
        if condition.is_some_and(|condition| condition.prices().names.is_empty()) {
            let message = "`unpriced` has no meaning: `when` names no amount in dollars";
            let hint = "leave it out; it is for conditions such as `usd >= 1000000.0`".to_owned();
            self.report(unpriced, message, Some(hint));
        }
        *unpriced.get_ref()
    }

    /// The examples, with what is wrong in their events.
    fn examples(&mut self, kinds: &[Kind]) -> Vec<Example> {
        let rule = Some(self.text.id.get_ref().as_str());
        let mut examples = Vec::new();
        for text in &self.text.example {
            let place = self.source.at(text.span(), rule, String::new(), None);
            let ExampleText { name, fires, says, resolves, events } = text.get_ref();
            self.check_silent(*fires, says.as_ref(), resolves.as_ref());
            let mut given = Vec::new();
            let mut earliest_us = START_US;
            for (index, table) in events.iter().enumerate() {
                match event_of(table.get_ref(), kinds, earliest_us, index as u64) {
                    Ok(event) => {
                        earliest_us = event.at_us;
                        given.push(event);
                    }
                    Err((message, hint)) => self.report(table, message, hint),
                }
            }
            examples.push(Example {
                name: name.clone(),
                fires: *fires,
                says: says.as_ref().map(|says| says.get_ref().clone()),
                resolves: resolves.as_ref().map(|resolves| *resolves.get_ref()),
                events: given,
                place,
            });
        }
        examples
    }

    /// What does not fire says nothing, and has no end.
    fn check_silent(
        &mut self,
        fires: bool,
        says: Option<&Spanned<String>>,
        resolves: Option<&Spanned<bool>>,
    ) {
        if fires {
            return;
        }
        let hint = || Some("leave it out, or write `fires = true`".to_owned());
        if let Some(says) = says {
            self.report(says, "example: `says` has no meaning with `fires = false`", hint());
        }
        if let Some(resolves) = resolves {
            self.report(
                resolves,
                "example: `resolves` has no meaning with `fires = false`",
                hint(),
            );
        }
    }

    /// The rule's own labels; those that every alert has may not be among them.
    fn labels(&mut self) -> Labels {
        let mut labels = Labels::default();
        for (name, value) in &self.text.labels {
            let (text, given) = (name.get_ref(), value.get_ref());
            let in_group = self.text.group_by.iter().any(|field| field.get_ref() == text);
            if !is_label_name(text) {
                let message = format!("{text:?} is no name of a label: 1 to 64 of a-z, 0-9 and _");
                self.report(name, message, None);
            } else if in_group || GIVEN_LABELS.contains(&text.as_str()) {
                let message = format!("label `{text}` is set by itself");
                self.report(name, message, Some("choose another name".to_owned()));
            } else if given.is_empty() || given.chars().count() > MAX_LABEL_TEXT {
                let message = format!("a label has 1 to {MAX_LABEL_TEXT} characters");
                self.report(value, message, None);
            }
            labels.0.insert(text.clone(), given.clone());
        }
        labels
    }

    pub(super) fn check_field(&mut self, key: &str, name: &Spanned<String>, fields: &[Field]) {
        if fields.iter().any(|field| field.name == name.get_ref()) {
            return;
        }
        let hint = did_you_mean(name.get_ref(), fields.iter().map(|field| field.name));
        self.report(name, format!("{key}: unknown field `{}`", name.get_ref()), hint);
    }

    fn check_routes(&mut self) {
        let mut seen = BTreeSet::new();
        for route in &self.text.routes {
            let name = route.get_ref();
            if !seen.insert(name) {
                self.report(route, format!("route `{name}` is there twice"), None);
            }
            let Some(destinations) = self.surroundings.destinations else { continue };
            if destinations.contains(name) {
                continue;
            }
            let near = did_you_mean(name, destinations.iter().map(String::as_str));
            let hint = near.unwrap_or_else(|| match destinations {
                [] => "no destination is configured: add [notify.destinations.NAME]".to_owned(),
                known => format!("configured destinations: {}", known.join(", ")),
            });
            self.report(route, format!("unknown route `{name}`"), Some(hint));
        }
    }

    fn larger_passes(&mut self) -> Option<f64> {
        let factor = self.text.larger_passes.as_ref()?;
        let problem = if !(1.0..=1e9).contains(factor.get_ref()) {
            "larger_passes is a factor from 1 on"
        } else if self.text.cooldown.is_none() {
            "larger_passes has no meaning without a cooldown"
        } else {
            return Some(*factor.get_ref());
        };
        let hint =
            "`cooldown = \"1m\"` and `larger_passes = 10`: ten times as large is told at once";
        self.report(factor, problem, Some(hint.to_owned()));
        None
    }

    /// A duration that may be left out; the default also for one that is none.
    pub(super) fn duration(&mut self, text: Option<&Spanned<String>>, default_us: i64) -> i64 {
        text.and_then(|text| self.read_duration(text)).unwrap_or(default_us)
    }

    /// A duration, which may be nothing.
    fn read_duration(&mut self, text: &Spanned<String>) -> Option<i64> {
        let duration = parse_duration_us(text.get_ref());
        if duration.is_none() {
            let message = format!("{:?} is no duration", text.get_ref());
            self.report(text, message, Some("such as 90s, 5m, 1h30m or 2d".to_owned()));
        }
        duration
    }

    /// A duration that is longer than nothing.
    pub(super) fn period(&mut self, text: &Spanned<String>) -> Option<i64> {
        let period = self.read_duration(text)?;
        if period == 0 {
            self.report(text, "a period is longer than nothing", None);
        }
        (period > 0).then_some(period)
    }
}

fn is_label_name(name: &str) -> bool {
    (1..=64).contains(&name.len())
        && name.bytes().all(|byte| matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'_'))
}

/// What is allowed in a rule and probably not meant.
pub(super) fn warning_of(
    source: SourceText<'_>,
    text: &RuleText,
    rule: &Rule,
) -> Option<RuleProblem> {
    let prices = rule.condition.prices();
    let name = prices.names.first()?;
    if text.unpriced.is_some() || prices.asks_whether_known {
        return None;
    }
    let when = text.when.as_ref()?;
    let within = find_name(when.get_ref(), name)?;
    let place = source.within(&when.span(), when.get_ref(), within);
    let message =
        format!("without a fresh price `{name}` is unknown: the rule passes over such events");
    let hint = "write `unpriced = \"skip\"` if that is meant, \"fire\" to be told of them, \"mark\" to be told with the word `unpriced`";
    Some(source.at(place, Some(&rule.id), message, Some(hint.to_owned())))
}
