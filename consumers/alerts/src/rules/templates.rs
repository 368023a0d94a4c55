//! The templates of a rule: compiled, and tried with samples of its events.

use minijinja::Environment;
use toml::Spanned;

use crate::{
    condition::fields::Field,
    nearest::correction,
    rules::{check::RuleCheck, problem::find_name},
    template::{self, MessageTemplate, RULE_NAMES},
};

/// What reads a template calls itself for each of its operators: a very long one could end the process.
const MAX_TEMPLATE_BYTES: usize = 4_000;

impl<'c> RuleCheck<'c> {
    /// Every template of the rule with the name it gets.
    fn named_templates(&self) -> Vec<(String, &'c Spanned<String>)> {
        let id = self.text.id.get_ref();
        let mut named = vec![(format!("{id}/title"), &self.text.title)];
        for (index, line) in self.text.lines.iter().enumerate() {
            named.push((format!("{id}/line/{index}"), line));
        }
        for (index, link) in self.text.links.iter().flatten().enumerate() {
            named.push((format!("{id}/label/{index}"), &link.label));
            named.push((format!("{id}/url/{index}"), &link.url));
        }
        named.extend(self.text.trigger.resolved_templates(id));
        named
    }

    pub(super) fn add_templates(
        &mut self,
        templates: &mut Environment<'static>,
    ) -> MessageTemplate {
        let mut message = MessageTemplate {
            default_link: self.text.links.is_none(),
            ..MessageTemplate::default()
        };
        let mut label = String::new();
        for (name, text) in self.named_templates() {
            if text.get_ref().len() > MAX_TEMPLATE_BYTES {
                let message = format!("template: it is longer than {MAX_TEMPLATE_BYTES} bytes");
                self.report_within(text, 0..1, message, None);
            } else if let Err(error) =
                templates.add_template_owned(name.clone(), text.get_ref().clone())
            {
                self.report_template(text, &error);
            }
            match name.split('/').nth(1) {
                Some("title") => message.title = name,
                Some("line") => message.lines.push(name),
                Some("label") => label = name,
                Some("resolved") => {}
                _ => message.links.push((std::mem::take(&mut label), name)),
            }
        }
        message
    }

    fn report_template(&mut self, text: &Spanned<String>, error: &minijinja::Error) {
        let whole = 0..text.get_ref().len();
        let within = error.range().filter(|range| range.end <= whole.end).unwrap_or(whole);
        let detail = error.detail().map_or_else(|| error.kind().to_string(), str::to_owned);
        self.report_within(text, within, format!("template: {detail}"), None);
    }

    /// Unknown names first; then each template is written once with every field there, and once
    /// with only those that always are: an unknown filter shows only when it is used.
    pub(super) fn try_templates(
        &mut self,
        templates: &Environment<'static>,
        message: &MessageTemplate,
        fields: &[Field],
    ) {
        debug_assert!(message.title.ends_with("/title"));
        let samples =
            [template::sample_values(fields, true), template::sample_values(fields, false)];
        let known: Vec<&str> =
            fields.iter().map(|field| field.name).chain(RULE_NAMES.iter().copied()).collect();
        for (name, text) in self.named_templates() {
            // One that does not compile is reported already.
            let Ok(compiled) = templates.get_template(&name) else { continue };
            let mut named: Vec<String> = compiled.undeclared_variables(false).into_iter().collect();
            named.sort();
            let unknown: Vec<&String> = named
                .iter()
                .filter(|variable| !known.contains(&variable.as_str()))
                .filter(|variable| templates.globals().all(|(global, _)| global != *variable))
                .collect();
            for variable in &unknown {
                let within = find_name(text.get_ref(), variable).unwrap_or_default();
                let hint = correction(variable, known.iter().copied());
                let message = format!("template names unknown field `{variable}`");
                self.report_within(text, within, message, Some(hint));
            }
            self.check_window_values(text, &named);
            if unknown.is_empty()
                && let Some(error) = samples.iter().find_map(|values| compiled.render(values).err())
            {
                self.report_template(text, &error);
            }
        }
    }
}
