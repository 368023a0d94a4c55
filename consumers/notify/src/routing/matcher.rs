//! What an alert must be for a route, a silence or an inhibition: `rule=depeg`, `chain!=base`, `token=~USD.*`,
//! `chain in (base, optimism)`.

use std::fmt;

use crypto_intel_schemas::Alert;
use regex::Regex;

/// A regular expression that needs more memory than this is refused.
const MAX_REGEX_BYTES: usize = 256 << 10;

/// The value of a field or label that matchers see. The chain of an alert is a label also where its rule sets none.
pub(crate) fn value<'a>(alert: &'a Alert, name: &str) -> Option<&'a str> {
    match name {
        "rule" => Some(&alert.rule),
        "severity" => Some(alert.severity.as_str()),
        "state" => Some(alert.state.as_str()),
        "chain" => alert.labels.get(name).or(alert.chain.as_deref()),
        name => alert.labels.get(name),
    }
}

/// One condition on a field or label. A missing label has no value: it is unequal to every text.
#[derive(Debug, Clone)]
pub struct Matcher {
    pub(crate) name: String,
    pub(crate) test: Test,
}

#[derive(Debug, Clone)]
pub(crate) enum Test {
    Is(String),
    IsNot(String),
    Like(Regex),
    NotLike(Regex),
    In(Vec<String>),
}

/// A text that is no matcher.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{text:?}: {why}")]
pub struct NoMatcher {
    text: String,
    why: String,
}

impl Matcher {
    /// Reads `name=value`, `name!=value`, `name=~regex`, `name!~regex` or `name in (one, two)`.
    ///
    /// # Errors
    /// Says what is expected.
    pub fn parse(text: &str) -> Result<Self, NoMatcher> {
        let refuse = |why: String| NoMatcher { text: text.to_owned(), why };
        let trimmed = text.trim();
        let is_name = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '.');
        let end = trimmed.find(|c| !is_name(c)).unwrap_or(trimmed.len());
        let (name, rest) = trimmed.split_at(end);
        let rest = rest.trim_start();
        if name.is_empty() {
            return Err(refuse(
                "it must begin with the name of a label, such as rule=depeg".into(),
            ));
        }
        let regex = |pattern: &str| {
            // Of the whole value, as people expect of a condition on it.
            regex::RegexBuilder::new(&format!("^(?:{pattern})$"))
                .size_limit(MAX_REGEX_BYTES)
                .build()
                .map_err(|error| refuse(format!("{pattern:?} is no regular expression: {error}")))
        };
        let test = if let Some(pattern) = rest.strip_prefix("=~") {
            Test::Like(regex(unquoted(pattern))?)
        } else if let Some(pattern) = rest.strip_prefix("!~") {
            Test::NotLike(regex(unquoted(pattern))?)
        } else if let Some(value) = rest.strip_prefix("!=") {
            Test::IsNot(unquoted(value).to_owned())
        } else if let Some(value) = rest.strip_prefix('=') {
            Test::Is(unquoted(value).to_owned())
        } else if let Some(list) = rest.strip_prefix("in") {
            let list = list.trim().strip_prefix('(').and_then(|list| list.strip_suffix(')'));
            let list = list.ok_or_else(|| refuse(format!("write {name} in (one, two)")))?;
            let values: Vec<String> = list
                .split(',')
                .map(|value| unquoted(value).to_owned())
                .filter(|value| !value.is_empty())
                .collect();
            if values.is_empty() {
                return Err(refuse("the list is empty".into()));
            }
            Test::In(values)
        } else {
            return Err(refuse(format!(
                "behind {name:?} comes one of =, !=, =~, !~ or in (…), such as {name}=value"
            )));
        };
        let matcher = Self { name: name.to_owned(), test };
        matcher.check_value().map_err(refuse)?;
        Ok(matcher)
    }

    /// The label has exactly this value.
    #[must_use]
    pub fn exact(name: &str, value: &str) -> Self {
        Self { name: name.to_owned(), test: Test::Is(value.to_owned()) }
    }

    /// The values of which a label must have one; none where it is about another label, or only excludes values.
    #[must_use]
    pub fn demanded(&self, name: &str) -> Option<&[String]> {
        match &self.test {
            _ if self.name != name => None,
            Test::Is(value) => Some(std::slice::from_ref(value)),
            Test::In(values) => Some(values),
            Test::IsNot(_) | Test::Like(_) | Test::NotLike(_) => None,
        }
    }

    /// Whether an alert has it.
    #[must_use]
    pub fn matches(&self, alert: &Alert) -> bool {
        self.holds(value(alert, &self.name))
    }

    pub(crate) fn holds(&self, value: Option<&str>) -> bool {
        match &self.test {
            Test::Is(wanted) => value == Some(wanted),
            Test::IsNot(other) => value != Some(other),
            Test::Like(regex) => value.is_some_and(|value| regex.is_match(value)),
            Test::NotLike(regex) => !value.is_some_and(|value| regex.is_match(value)),
            Test::In(values) => value.is_some_and(|value| values.iter().any(|one| one == value)),
        }
    }

    /// Severities and states are few: a misspelt one would never match.
    fn check_value(&self) -> Result<(), String> {
        let known: &[&str] = match self.name.as_str() {
            "severity" => &["info", "warning", "critical"],
            "state" => &["fired", "corrected", "resolved"],
            _ => return Ok(()),
        };
        let named: Vec<&String> = match &self.test {
            Test::Is(value) | Test::IsNot(value) => vec![value],
            Test::In(values) => values.iter().collect(),
            Test::Like(_) | Test::NotLike(_) => Vec::new(),
        };
        match named.into_iter().find(|value| !known.contains(&value.as_str())) {
            None => Ok(()),
            Some(value) => {
                let hint = did_you_mean(value, known.iter().copied());
                Err(format!("{value:?} is no {}{hint} (known: {})", self.name, known.join(", ")))
            }
        }
    }
}

/// In the form that [`Matcher::parse`] reads.
impl fmt::Display for Matcher {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = &self.name;
        let inner = |regex: &Regex| {
            let text = regex.as_str();
            text.strip_prefix("^(?:")
                .and_then(|text| text.strip_suffix(")$"))
                .unwrap_or(text)
                .to_owned()
        };
        match &self.test {
            Test::Is(value) => write!(f, "{name}={value}"),
            Test::IsNot(value) => write!(f, "{name}!={value}"),
            Test::Like(regex) => write!(f, "{name}=~{}", inner(regex)),
            Test::NotLike(regex) => write!(f, "{name}!~{}", inner(regex)),
            Test::In(values) => write!(f, "{name} in ({})", values.join(", ")),
        }
    }
}

/// Whether an alert has all of them.
pub(crate) fn all_match(matchers: &[Matcher], alert: &Alert) -> bool {
    matchers.iter().all(|matcher| matcher.matches(alert))
}

/// `; did you mean …?` where one of the known names is near.
pub(crate) fn did_you_mean<'a>(name: &str, known: impl IntoIterator<Item = &'a str>) -> String {
    let nearest = known.into_iter().map(|one| (strsim::damerau_levenshtein(name, one), one)).min();
    match nearest {
        Some((distance, one)) if distance <= 1 + name.chars().count() / 3 => {
            format!("; did you mean {one}?")
        }
        _ => String::new(),
    }
}

fn unquoted(text: &str) -> &str {
    let text = text.trim();
    let inner = text.strip_prefix('"').and_then(|text| text.strip_suffix('"'));
    inner.unwrap_or(text)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use crypto_intel_schemas::{Labels, Severity};

    use super::*;

    fn alert() -> Alert {
        Alert {
            rule: "depeg".into(),
            severity: Severity::Critical,
            chain: Some("base".into()),
            labels: Labels::from([("token", "USDC")]),
            ..Alert::empty()
        }
    }

    #[test]
    fn matchers_read_as_they_are_written() {
        for (text, matches) in [
            ("rule=depeg", true),
            ("severity = \"critical\"", true),
            ("severity!=critical", false),
            ("token=~USD.*", true),
            ("token=~USD", false),
            ("token!~EUR.*", true),
            ("chain in (base, optimism)", true),
            ("chain in (ethereum)", false),
        ] {
            let matcher = Matcher::parse(text).unwrap();
            assert_eq!(matcher.matches(&alert()), matches, "{text}");
            let again = Matcher::parse(&matcher.to_string()).unwrap();
            assert_eq!(again.to_string(), matcher.to_string());
        }
    }

    #[test]
    fn a_missing_label_equals_nothing_not_even_the_empty_text() {
        for (text, matches) in [
            ("venue=", false),
            ("venue!=kraken", true),
            ("venue=~.*", false),
            ("venue!~.+", true),
            ("venue in (kraken)", false),
        ] {
            assert_eq!(Matcher::parse(text).unwrap().matches(&alert()), matches, "{text}");
        }
    }

    #[test]
    fn what_is_no_matcher_is_refused_with_a_hint() {
        for (text, part) in [
            ("", "name of a label"),
            ("=x", "name of a label"),
            ("rule", "such as rule=value"),
            ("rule depeg", "such as rule=value"),
            ("rule=~(", "no regular expression"),
            ("chain in base", "chain in (one, two)"),
            ("chain in ()", "empty"),
            ("severity=critcal", "did you mean critical?"),
        ] {
            let error = Matcher::parse(text).unwrap_err().to_string();
            assert!(error.contains(part), "{text}: {error}");
        }
    }
}
