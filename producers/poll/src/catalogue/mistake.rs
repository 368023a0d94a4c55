//! A mistake in a provider file, and the line that it is in.

use toml::{
    Spanned,
    de::{DeTable, DeValue},
};

/// What is wrong with a field of a file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Mistake {
    /// From the outside in, such as `endpoints`, `0`, `jq`, `events`.
    pub(crate) field: Vec<String>,
    pub(crate) problem: String,
    /// Of a filter: the line in it.
    pub(crate) line: Option<usize>,
}

impl Mistake {
    /// Of one field, or of a table and its field: `jq.events`.
    pub(crate) fn at(field: &str, problem: impl Into<String>) -> Self {
        let field = field.split('.').filter(|part| !part.is_empty()).map(str::to_owned).collect();
        Self { field, problem: problem.into(), line: None }
    }

    /// Of the configuration instead of the file.
    pub(crate) fn of_setting(problem: impl Into<String>) -> Self {
        Self::at("", problem)
    }

    /// The same mistake in a field of that field, whose name may hold anything.
    pub(crate) fn inside(mut self, inner: &str) -> Self {
        self.field.push(inner.to_owned());
        self
    }

    /// The same mistake, seen from the table around it.
    pub(crate) fn within(mut self, outer: &str) -> Self {
        self.field.insert(0, outer.to_owned());
        self
    }

    /// The mistake's line in the text of its file, from 1: that of the field, or of the innermost table around
    /// it that is there.
    pub(crate) fn line_in(&self, text: &str) -> Option<usize> {
        let table = DeTable::parse(text).ok()?;
        let mut start = None;
        let mut value: Option<&Spanned<DeValue<'_>>> = None;
        for (depth, part) in self.field.iter().enumerate() {
            let inner = match (depth, value.map(Spanned::get_ref)) {
                (0, _) => table.get_ref().get_key_value(part.as_str()),
                (_, Some(DeValue::Table(table))) => table.get_key_value(part.as_str()),
                (_, Some(DeValue::Array(list))) => {
                    let item = part.parse().ok().and_then(|index: usize| list.get(index));
                    start = item.map(|item| item.span().start).or(start);
                    value = item;
                    continue;
                }
                _ => None,
            };
            let Some((key, inner)) = inner else { break };
            start = Some(key.span().start);
            value = Some(inner);
        }
        let line_at = |offset: usize| text.get(..offset).map(|text| text.matches('\n').count() + 1);
        match (self.line, value) {
            // The first line of a text in three quotes is left out when it is empty.
            (Some(line), Some(value)) => {
                let written = text.get(value.span()).unwrap_or_default();
                let skipped =
                    usize::from(written.starts_with("'''\n") || written.starts_with("\"\"\"\n"));
                line_at(value.span().start).map(|first| first + skipped + line - 1)
            }
            _ => line_at(start?),
        }
    }
}
