use std::{
    fmt,
    ops::Range,
    path::{Path, PathBuf},
};

/// What is wrong with a rule file, where, and how to correct it.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct RuleProblem {
    /// The file.
    pub file: PathBuf,
    /// The rule, where it is known.
    pub rule: Option<String>,
    /// Line, from 1; absent when the file itself is the problem.
    pub line: Option<usize>,
    /// Column in characters, from 1.
    pub column: Option<usize>,
    /// What is wrong.
    pub message: String,
    /// How to correct it.
    pub hint: Option<String>,
    /// The line, and carets under what is meant.
    pub excerpt: Option<String>,
}

impl RuleProblem {
    /// File, line and column.
    pub(crate) fn place(&self) -> String {
        match (self.line, self.column) {
            (Some(line), Some(column)) => format!("{}:{line}:{column}", self.file.display()),
            _ => self.file.display().to_string(),
        }
    }
}

impl fmt::Display for RuleProblem {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.place())?;
        if let Some(rule) = &self.rule {
            write!(formatter, ": rule {rule}")?;
        }
        write!(formatter, ": {}", self.message)?;
        if let Some(excerpt) = &self.excerpt {
            write!(formatter, "\n{excerpt}")?;
        }
        if let Some(hint) = &self.hint {
            write!(formatter, "\n  = {hint}")?;
        }
        Ok(())
    }
}

/// A rule file's text, for finding lines and columns in it.
#[derive(Debug, Clone, Copy)]
pub(super) struct SourceText<'s> {
    pub(super) path: &'s Path,
    pub(super) text: &'s str,
}

impl SourceText<'_> {
    /// A problem of the file as a whole.
    pub(super) fn whole(path: &Path, message: String, hint: Option<String>) -> RuleProblem {
        let file = path.to_owned();
        RuleProblem { file, rule: None, line: None, column: None, message, hint, excerpt: None }
    }

    /// A problem at a range of bytes of the file.
    pub(super) fn at(
        &self,
        range: Range<usize>,
        rule: Option<&str>,
        message: String,
        hint: Option<String>,
    ) -> RuleProblem {
        let start = floor_boundary(self.text, range.start.min(self.text.len()));
        let line_start = self.text[..start].rfind('\n').map_or(0, |newline| newline + 1);
        let line_text = self.text[line_start..].lines().next().unwrap_or_default();
        let line = self.text[..start].matches('\n').count() + 1;
        let column = self.text[line_start..start].chars().count() + 1;
        let end = floor_boundary(self.text, range.end.clamp(start, self.text.len()));
        let marked =
            self.text[start..end].lines().next().unwrap_or_default().chars().count().max(1);
        let number = line.to_string();
        let excerpt = format!(
            "{number} | {line_text}\n{} | {}{}",
            " ".repeat(number.len()),
            " ".repeat(column - 1),
            "^".repeat(marked)
        );
        RuleProblem {
            file: self.path.to_owned(),
            rule: rule.map(str::to_owned),
            line: Some(line),
            column: Some(column),
            message,
            hint,
            excerpt: Some(excerpt),
        }
    }

    /// The range of the file that holds bytes `within` of a string `value` written at `span`. Where
    /// the string is written with escapes, the whole string.
    pub(super) fn within(
        &self,
        span: &Range<usize>,
        value: &str,
        within: Range<usize>,
    ) -> Range<usize> {
        match self.text.get(span.clone()).and_then(|raw| raw.find(value)) {
            Some(offset) => span.start + offset + within.start..span.start + offset + within.end,
            None => span.clone(),
        }
    }
}

/// Where a name stands in a text by itself, and not as a part of another one.
pub(super) fn find_name(text: &str, name: &str) -> Option<Range<usize>> {
    let is_of_name = |character: char| character.is_alphanumeric() || character == '_';
    let stands_alone = |start: usize| {
        let before = text[..start].chars().next_back();
        let after = text[start + name.len()..].chars().next();
        !before.is_some_and(is_of_name) && !after.is_some_and(is_of_name)
    };
    let mut places = text.match_indices(name).map(|(start, _)| start);
    places.find(|start| stands_alone(*start)).map(|start| start..start + name.len())
}

fn floor_boundary(text: &str, mut index: usize) -> usize {
    while !text.is_char_boundary(index) {
        index -= 1;
    }
    index
}
