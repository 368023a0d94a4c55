//! `on` of a rule: one subject pattern, or a list of them.

use std::fmt;

use serde::{
    Deserialize, Deserializer,
    de::{SeqAccess, Visitor},
};
use toml::Spanned;

/// The patterns as they are written.
#[derive(Debug)]
pub(super) enum Patterns {
    /// `on = "evm.*.swap"`.
    One(String),
    /// `on = ["evm.*.swap", "evm.*.liquidity"]`.
    Several(Vec<Spanned<String>>),
}

impl Patterns {
    /// Each pattern with its place; `whole` is the place of the value of `on`.
    pub(super) fn with_places(&self, whole: std::ops::Range<usize>) -> Vec<Spanned<String>> {
        match self {
            Self::One(pattern) => vec![Spanned::new(whole, pattern.clone())],
            Self::Several(patterns) => patterns.clone(),
        }
    }
}

// An untagged enum would lose the places of the list's items.
impl<'de> Deserialize<'de> for Patterns {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(PatternsVisitor)
    }
}

struct PatternsVisitor;

impl<'de> Visitor<'de> for PatternsVisitor {
    type Value = Patterns;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("a subject pattern or a list of them")
    }

    fn visit_str<E>(self, pattern: &str) -> Result<Patterns, E> {
        Ok(Patterns::One(pattern.to_owned()))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Patterns, A::Error> {
        let mut patterns = Vec::new();
        while let Some(pattern) = items.next_element()? {
            patterns.push(pattern);
        }
        Ok(Patterns::Several(patterns))
    }
}
