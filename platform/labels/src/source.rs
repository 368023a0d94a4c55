use serde::{Deserialize, Serialize};

/// The source that lists of sanctions are imported as.
pub const SANCTIONS_SOURCE: &str = "ofac";
const MAX_SOURCE_CHARS: usize = 32;
const MAX_LICENCE_CHARS: usize = 200;

/// Where labels come from.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SourceInfo {
    /// Its name: a slug.
    #[serde(default)]
    pub name: String,
    /// Under which terms its labels may be used.
    pub licence: String,
    /// Where it was taken from, for people.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub origin: String,
    /// The day its labels are of, `2026-08-20`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub date: Option<String>,
    /// How sure its labels are, in percent, where a label does not say it itself.
    pub confidence: u8,
    /// How many labels it has.
    #[serde(default)]
    pub labels: u64,
    /// When it was imported, microseconds UTC; 0 for one that is shipped.
    #[serde(default)]
    pub imported_at_us: i64,
}

/// What is wrong with what is said of a source.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct SourceProblem(pub String);

impl SourceInfo {
    /// Checks what people wrote.
    ///
    /// # Errors
    /// One sentence that names what is wrong and how to correct it.
    pub fn validate(&self) -> Result<(), SourceProblem> {
        let problem = |text: String| Err(SourceProblem(text));
        if let Err(reason) = parse_source_name(&self.name) {
            return problem(reason);
        }
        if self.licence.trim().is_empty() || self.licence.chars().count() > MAX_LICENCE_CHARS {
            return problem(format!(
                "a source says under which licence it may be used, in 1 to {MAX_LICENCE_CHARS} characters, such as MIT or \"our own\""
            ));
        }
        if !(1..=100).contains(&self.confidence) {
            return problem(format!(
                "confidence {} is none: use 1 to 100 percent",
                self.confidence
            ));
        }
        if let Some(date) = &self.date
            && !is_date(date)
        {
            return problem(format!("{date:?} is no date: write it as 2026-01-31"));
        }
        Ok(())
    }
}

/// The name of a source.
///
/// # Errors
/// What a name is.
pub fn parse_source_name(text: &str) -> Result<String, String> {
    let is_word = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
    if text.is_empty() || text.len() > MAX_SOURCE_CHARS || !text.bytes().all(is_word) {
        return Err(format!(
            "{text:?} cannot name a source: use 1 to {MAX_SOURCE_CHARS} of the characters a-z, 0-9 and -"
        ));
    }
    Ok(text.to_owned())
}

/// Whether a text is a day such as `2026-01-31`.
fn is_date(text: &str) -> bool {
    let mut parts = text.split('-');
    let mut part = |length: usize, range: std::ops::RangeInclusive<u16>| {
        parts.next().is_some_and(|part| {
            part.len() == length && part.parse().is_ok_and(|number| range.contains(&number))
        })
    };
    part(4, 1970..=9999) && part(2, 1..=12) && part(2, 1..=31) && parts.next().is_none()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_source_says_who_it_is_and_what_may_be_done_with_it() {
        let good = SourceInfo {
            name: "our-desk".into(),
            licence: "our own".into(),
            confidence: 90,
            date: Some("2026-08-20".into()),
            ..SourceInfo::default()
        };
        assert_eq!(good.validate(), Ok(()));
        for bad in [
            SourceInfo { name: "Our Desk".into(), ..good.clone() },
            SourceInfo { licence: " ".into(), ..good.clone() },
            SourceInfo { confidence: 0, ..good.clone() },
            SourceInfo { date: Some("20.8.2026".into()), ..good.clone() },
        ] {
            assert!(bad.validate().is_err(), "{bad:?}");
        }
    }
}
