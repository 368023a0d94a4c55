//! From the text of a window to a window.

use crypto_intel_schemas::{Field, FieldType};
use toml::Spanned;

use crate::{
    engine::triggers::window::HOUR_US,
    rules::{
        check::RuleCheck,
        problem::find_name,
        trigger::{
            Baseline, Measured, Trigger, ValueOf, Window, percent_of,
            text::WindowText,
            values::{PERCENTILES, window_fields},
        },
    },
};

/// Steps of a window: each is kept for every group.
const MAX_STEPS: i64 = 1_440;

/// Steps of a window that does not say.
const DEFAULT_STEPS: i64 = 60;

impl RuleCheck<'_> {
    pub(super) fn window(&mut self, fields: &[Field]) -> Option<Trigger> {
        let spanned = self.text.trigger.window.as_ref()?;
        let text = spanned.get_ref();
        let over_us = self.period(&text.over)?;
        let baseline = self.baseline(text);
        let step_us = self.step(text, over_us, baseline)?;
        let of = match &text.of {
            Some(of) => Some(self.value_of(of, fields)?),
            None => None,
        };
        if let Some(distinct) = &text.distinct {
            self.check_field("distinct", distinct, fields);
        }
        let measured = self.measured(text)?;
        let having = self.compile(&text.having, &window_fields())?;
        let names = having.names();
        self.check_window_values(&text.having, &names);
        Some(Trigger::Window(Box::new(Window {
            over_us,
            step_us,
            of,
            distinct: text.distinct.as_ref().map(|name| name.get_ref().clone()),
            percentiles: self.percentiles(&names),
            baseline,
            measured,
            having,
        })))
    }

    /// Notes names of values that the rule's window does not have, in a condition or a template of the rule.
    pub(in crate::rules) fn check_window_values(
        &mut self,
        text: &Spanned<String>,
        names: &[String],
    ) {
        let Some(window) = self.text.trigger.window.as_ref().map(Spanned::get_ref) else { return };
        let needs_value =
            ["sum", "min", "max", "mean", "first", "last", "change", "change_percent"];
        let is_valued = |name: &str| needs_value.contains(&name) || percent_of(name).is_some();
        let missing = |name: &str| match name {
            "distinct" if window.distinct.is_none() => Some("distinct = \"FIELD\""),
            "baseline" | "ratio" if window.baseline.is_none() => Some("baseline = \"24h mean\""),
            name if window.of.is_none() && is_valued(name) => Some("of = \"FIELD\""),
            _ => None,
        };
        if let Some((name, key)) = names.iter().find_map(|name| Some((name, missing(name)?))) {
            let within = find_name(text.get_ref(), name).unwrap_or_default();
            let message = format!("`{name}` is not known in this window");
            self.report_within(
                text,
                within,
                message,
                Some(format!("add `{key}` to [rule.window]")),
            );
        }
    }

    /// How far the window moves at a time.
    fn step(&mut self, text: &WindowText, over_us: i64, baseline: Option<Baseline>) -> Option<i64> {
        let kind = text.kind.as_ref().map_or("sliding", |kind| kind.get_ref().as_str());
        let (step_us, place) = match (kind, &text.every) {
            ("tumbling", None) => (over_us, &text.over),
            ("tumbling", Some(every)) => {
                let message = "a tumbling window does not slide".to_owned();
                self.report(every, message, Some("leave `every` out".to_owned()));
                return None;
            }
            ("sliding", Some(every)) => (self.period(every)?, every),
            ("sliding", None) => (default_step(over_us), &text.over),
            _ => {
                let message = format!("no window is {kind:?}");
                let hint = "\"sliding\" or \"tumbling\"".to_owned();
                self.report(text.kind.as_ref()?, message, Some(hint));
                return None;
            }
        };
        if over_us % step_us != 0 || over_us / step_us > MAX_STEPS {
            let message = format!("a window is 1 to {MAX_STEPS} whole steps of `every`");
            self.report(place, message, Some("such as over = \"1h\", every = \"1m\"".to_owned()));
            return None;
        }
        if baseline.is_some() && HOUR_US % step_us != 0 {
            let message = "with a baseline, an hour is a whole number of steps".to_owned();
            self.report(place, message, Some("such as every = \"5m\"".to_owned()));
            return None;
        }
        Some(step_us)
    }

    fn value_of(&mut self, of: &Spanned<String>, fields: &[Field]) -> Option<ValueOf> {
        let name = of.get_ref();
        let Some(field) = fields.iter().find(|field| field.name == name) else {
            let expression = self.compile_number(of, fields)?;
            return Some(ValueOf::Expression(expression));
        };
        let is_number = matches!(
            field.field_type,
            FieldType::Int | FieldType::Decimal | FieldType::U256 | FieldType::I256
        );
        if !is_number {
            let message = format!("`{name}` is no number");
            self.report(of, message, Some("count different texts by `distinct`".to_owned()));
            return None;
        }
        Some(ValueOf::Field(name.clone()))
    }

    fn baseline(&mut self, text: &WindowText) -> Option<Baseline> {
        let baseline = text.baseline.as_ref()?;
        match baseline.get_ref().as_str() {
            "24h mean" => Some(Baseline::DayMean),
            "same hour 7d" => Some(Baseline::SameHour),
            other => {
                let hint = "\"24h mean\" or \"same hour 7d\"".to_owned();
                self.report(baseline, format!("no baseline is {other:?}"), Some(hint));
                None
            }
        }
    }

    fn measured(&mut self, text: &WindowText) -> Option<Measured> {
        let default = if text.of.is_some() { "sum" } else { "count" };
        let name = text.measure.as_ref().map_or(default, |name| name.get_ref().as_str());
        match (name, &text.measure) {
            ("count", _) => Some(Measured::Count),
            ("sum", _) if text.of.is_some() => Some(Measured::Sum),
            ("mean", _) if text.of.is_some() => Some(Measured::Mean),
            (other, Some(place)) => {
                let message = format!("{other:?} cannot be compared with a baseline here");
                let hint = "\"count\", and with `of` \"sum\" or \"mean\"".to_owned();
                self.report(place, message, Some(hint));
                None
            }
            (_, None) => None,
        }
    }

    /// The percentiles that the rule names anywhere.
    fn percentiles(&self, names: &[String]) -> Vec<u32> {
        let texts = [&self.text.title].into_iter().chain(&self.text.lines);
        let texts = texts.chain(&self.text.trigger.resolved_title);
        let texts: Vec<&Spanned<String>> = texts
            .chain(&self.text.trigger.resolved_lines)
            .chain(&self.text.trigger.resolve_when)
            .collect();
        let is_named = |name: &str| {
            names.iter().any(|known| known == name)
                || texts.iter().any(|text| text.get_ref().contains(name))
        };
        PERCENTILES.iter().filter(|(name, _)| is_named(name)).map(|(_, percent)| *percent).collect()
    }
}

/// Sixtieths, or whole minutes of a day and more.
fn default_step(over_us: i64) -> i64 {
    if over_us % DEFAULT_STEPS == 0 { over_us / DEFAULT_STEPS } else { over_us }
}
