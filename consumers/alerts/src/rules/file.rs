//! The form of a rule file.

use crypto_intel_schemas::Severity;
use serde::Deserialize;
use toml::Spanned;

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RuleFile {
    #[serde(default)]
    pub(super) rule: Vec<RuleText>,
}

/// A rule as it is written. `README.md` documents every key.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RuleText {
    pub(super) id: Spanned<String>,
    /// For people only.
    #[serde(default, rename = "description")]
    pub(super) _description: Option<String>,
    #[serde(default = "yes")]
    pub(super) enabled: bool,
    pub(super) on: Spanned<String>,
    pub(super) when: Option<Spanned<String>>,
    #[serde(default)]
    pub(super) severity: Severity,
    pub(super) cooldown: Option<Spanned<String>>,
    #[serde(default)]
    pub(super) group_by: Vec<Spanned<String>>,
    pub(super) max_event_age: Option<Spanned<String>>,
    pub(super) finality: Option<Spanned<String>>,
    pub(super) title: Spanned<String>,
    #[serde(default)]
    pub(super) lines: Vec<Spanned<String>>,
    pub(super) links: Option<Vec<LinkText>>,
    #[serde(default)]
    pub(super) routes: Vec<Spanned<String>>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct LinkText {
    pub(super) label: Spanned<String>,
    pub(super) url: Spanned<String>,
}

/// Keys of a rule: what "did you mean" chooses from.
pub(super) const RULE_KEYS: &[&str] = &[
    "id",
    "description",
    "enabled",
    "on",
    "when",
    "severity",
    "cooldown",
    "group_by",
    "max_event_age",
    "finality",
    "title",
    "lines",
    "links",
    "routes",
];

fn yes() -> bool {
    true
}

/// Reads `90s`, `5m`, `1h30m`, `2d`, `250ms` as microseconds.
pub(super) fn parse_duration_us(text: &str) -> Option<i64> {
    let mut rest = text.trim();
    let mut total: i64 = 0;
    if rest.is_empty() {
        return None;
    }
    while !rest.is_empty() {
        let digits = rest.find(|character: char| !character.is_ascii_digit())?;
        let number: i64 = rest[..digits].parse().ok()?;
        rest = &rest[digits..];
        let unit_length =
            rest.find(|character: char| character.is_ascii_digit()).unwrap_or(rest.len());
        let factor: i64 = match rest[..unit_length].trim() {
            "ms" => 1_000,
            "s" => 1_000_000,
            "m" => 60_000_000,
            "h" => 3_600_000_000,
            "d" => 86_400_000_000,
            _ => return None,
        };
        rest = &rest[unit_length..];
        total = total.checked_add(number.checked_mul(factor)?)?;
    }
    Some(total)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_are_read_with_their_units() {
        assert_eq!(parse_duration_us("90s"), Some(90_000_000));
        assert_eq!(parse_duration_us("1h30m"), Some(5_400_000_000));
        assert_eq!(parse_duration_us("0s"), Some(0));
        for refused in ["", "5", "m", "5 minutes", "-5m", "1.5h", "99999999999999999d"] {
            assert_eq!(parse_duration_us(refused), None, "{refused}");
        }
    }
}
