//! How values of indices and metrics are judged, by the family that they are of.

use std::{collections::BTreeMap, num::NonZeroU32};

use super::choice::{Choose, Rules};
use crate::config::{ChooseFact, FamilySettings};

/// The family of all indices.
pub(super) const INDEX: &str = "index";
const DAY_SECONDS: u32 = 86_400;

/// How the values of a family are judged.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Family {
    choose: ChooseFact,
    preference: Vec<String>,
    fresh_seconds: u32,
    outlier_percent: u32,
    jump_percent: u32,
    jump_seconds: u32,
    is_monotonic: bool,
}

/// All families, by the beginning of a metric's name: the longest one counts.
#[derive(Debug, Clone)]
pub(super) struct Families {
    by_name: BTreeMap<String, Family>,
    general: Family,
}

const fn family(
    choose: ChooseFact,
    fresh_seconds: u32,
    outlier_percent: u32,
    jump: (u32, u32),
) -> Family {
    let (jump_percent, jump_seconds) = jump;
    Family {
        choose,
        preference: Vec::new(),
        fresh_seconds,
        outlier_percent,
        jump_percent,
        jump_seconds,
        is_monotonic: matches!(choose, ChooseFact::Highest),
    }
}

/// What holds unless the configuration says otherwise. What a market says of itself is its own, and not compared.
const BUILT_IN: [(&str, Family); 10] = [
    ("gas", family(ChooseFact::Median, 300, 50, (300, 60))),
    ("gas.base-fee", family(ChooseFact::Median, 120, 30, (0, 0))),
    // One node that is ahead alone is not believed, and one that lags is not asked to agree.
    ("network.height", family(ChooseFact::Highest, 300, 1, (1, 120))),
    ("network.finalized-height", family(ChooseFact::Highest, 1_800, 1, (1, 600))),
    ("network.slot", family(ChooseFact::Highest, 300, 1, (1, 120))),
    ("network", family(ChooseFact::Median, 2 * 3_600, 10, (50, 3_600))),
    ("defi", family(ChooseFact::Median, 2 * DAY_SECONDS, 10, (30, 3_600))),
    ("market.dominance", family(ChooseFact::Median, 2 * 3_600, 10, (50, 3_600))),
    ("market.market-cap", family(ChooseFact::Median, 2 * 3_600, 10, (50, 3_600))),
    // Those of a day have the time of its beginning.
    (INDEX, family(ChooseFact::Median, 2 * DAY_SECONDS, 20, (0, 0))),
];

/// What someone uses without a family of its own.
const GENERAL: Family = family(ChooseFact::Median, 3_600, 10, (0, 0));

impl Families {
    /// The built-in ones, changed and completed by the configuration.
    pub(super) fn new(settings: &BTreeMap<String, FamilySettings>) -> Self {
        let built_in = BUILT_IN.into_iter().map(|(name, family)| (name.to_owned(), family));
        let mut families = Self { by_name: built_in.collect(), general: GENERAL };
        for (name, settings) in settings {
            let known = families.of_name(name).cloned();
            let family = known.unwrap_or(GENERAL);
            families.by_name.insert(name.clone(), family.with(settings));
        }
        families
    }

    /// The family of a metric by its name, or that of indices; `None`: it is not compared. What someone uses always is.
    pub(super) fn of(&self, name: &str, is_used: bool) -> Option<&Family> {
        self.of_name(name).or_else(|| is_used.then_some(&self.general))
    }

    /// Age above which a value of a metric by its name, or of an index, is not used while another one is younger.
    pub(super) fn fresh_seconds(&self, name: &str) -> u32 {
        self.of_name(name).unwrap_or(&self.general).fresh_seconds
    }

    fn of_name(&self, name: &str) -> Option<&Family> {
        let is_of = |family: &str| {
            name.strip_prefix(family).is_some_and(|rest| rest.is_empty() || rest.starts_with('.'))
        };
        let all = self.by_name.iter().filter(|(family, _)| is_of(family));
        all.max_by_key(|(family, _)| family.len()).map(|(_, family)| family)
    }
}

impl Family {
    fn with(self, settings: &FamilySettings) -> Self {
        let FamilySettings {
            choose,
            preference,
            fresh_seconds,
            outlier_percent,
            jump_percent,
            jump_seconds,
            monotonic,
        } = settings;
        Self {
            choose: choose.unwrap_or(self.choose),
            preference: preference.clone().unwrap_or(self.preference),
            fresh_seconds: fresh_seconds.unwrap_or(self.fresh_seconds),
            outlier_percent: outlier_percent.map_or(self.outlier_percent, NonZeroU32::get),
            jump_percent: jump_percent.unwrap_or(self.jump_percent),
            jump_seconds: jump_seconds.unwrap_or(self.jump_seconds),
            is_monotonic: monotonic.unwrap_or(self.is_monotonic),
        }
    }

    pub(super) fn rules(&self, now_us: i64) -> Rules<'_> {
        Rules {
            choose: match self.choose {
                ChooseFact::Median => Choose::Median,
                ChooseFact::Highest => Choose::Highest,
                ChooseFact::Preference => Choose::Preference,
            },
            preference: &self.preference,
            fresh_seconds: self.fresh_seconds,
            outlier_percent: self.outlier_percent,
            jump_percent: self.jump_percent,
            jump_seconds: self.jump_seconds,
            is_monotonic: self.is_monotonic,
            now_us,
        }
    }
}
