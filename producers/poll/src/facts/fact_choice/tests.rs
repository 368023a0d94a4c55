#![allow(clippy::unwrap_used)]

use std::collections::BTreeMap;

use crypto_intel_schemas::{Decimal, FactChoice};

use super::*;
use crate::facts::families::Families;

const NOW: i64 = 1_700_000_000_000_000;
const SECOND: i64 = 1_000_000;

/// A fact that sources change one after the other, by the built-in rules of its family.
struct Fact {
    name: &'static str,
    value: Option<FactValue>,
    now_us: i64,
}

impl Fact {
    fn new(name: &'static str) -> Self {
        Self { name, value: None, now_us: NOW }
    }

    fn says(&mut self, source: &str, value: &str, age_seconds: i64) -> &mut Self {
        let families = Families::new(&BTreeMap::new());
        let family = families.of(self.name, false).unwrap();
        let offered = SourceValue {
            source: source.to_owned(),
            value: Decimal::parse(value).unwrap(),
            at_us: self.now_us - age_seconds * SECOND,
            verdict: SourceVerdict::Unknown,
        };
        let rules = family.rules(self.now_us);
        if let Some(next) = next(self.value.as_ref(), &FactValue::default(), offered, &rules) {
            self.value = Some(next);
        }
        self
    }

    fn later(&mut self, seconds: i64) -> &mut Self {
        self.now_us += seconds * SECOND;
        self
    }

    fn used(&self) -> (&str, FactChoice) {
        let value = self.value.as_ref().unwrap();
        (value.value.as_str(), value.how.unwrap())
    }

    fn verdict(&self, source: &str) -> SourceVerdict {
        let value = self.value.as_ref().unwrap();
        value.sources.iter().find(|said| said.source == source).unwrap().verdict
    }
}

#[test]
fn of_gas_the_median_without_outliers_is_used() {
    let mut gas = Fact::new("gas.fast");
    gas.says("a", "20", 9).says("b", "24", 8).says("c", "22", 7);
    assert_eq!(gas.used(), ("22", FactChoice::Median));
    gas.says("b", "2400", 1);
    assert_eq!(gas.verdict("b"), SourceVerdict::Outlier);
    assert_eq!(gas.used(), ("20", FactChoice::Median), "the lower of two");
}

#[test]
fn of_a_head_the_highest_that_two_sources_confirm_is_used() {
    let mut head = Fact::new("network.height");
    head.says("a", "1000", 20);
    assert_eq!(head.used(), ("1000", FactChoice::Only));
    head.says("b", "1002", 15).says("c", "1005", 10);
    assert_eq!(head.used(), ("1002", FactChoice::Highest), "one that is ahead alone waits");
    head.says("a", "1004", 5);
    assert_eq!(head.used().0, "1004");
    head.says("c", "9999", 1);
    assert_eq!((head.used().0, head.verdict("c")), ("1004", SourceVerdict::Outlier));
}

#[test]
fn a_head_does_not_fall_while_it_is_fresh() {
    let mut head = Fact::new("network.height");
    head.says("a", "1000", 9).says("b", "1001", 8).says("a", "990", 2);
    assert_eq!(head.used(), ("1000", FactChoice::Kept));
    // The chain was set back, or what was believed was wrong.
    head.later(301).says("a", "991", 1).says("b", "992", 0);
    assert_eq!(head.used(), ("991", FactChoice::Highest));
}

#[test]
fn a_jump_is_confirmed_by_a_second_source_or_repeated() {
    let mut tvl = Fact::new("defi.tvl");
    tvl.says("a", "100", 60).says("a", "50", 50);
    assert_eq!(tvl.used(), ("100", FactChoice::Kept));
    tvl.says("b", "51", 40);
    assert_eq!(tvl.used(), ("50", FactChoice::Median));
    tvl.later(100_000).says("a", "10", 0);
    assert_eq!(tvl.verdict("a"), SourceVerdict::Jump);
}

#[test]
fn zero_and_negative_numbers_are_values() {
    let mut flow = Fact::new("network.exchange-netflow-24h");
    flow.says("a", "0", 9).says("b", "0", 8);
    assert_eq!(flow.used().0, "0");
    flow.says("a", "-100", 5).says("b", "-101", 4);
    assert_eq!(flow.used(), ("-101", FactChoice::Median));
}

#[test]
fn what_a_market_says_of_itself_is_not_compared() {
    let families = Families::new(&BTreeMap::new());
    assert!(families.of("market.funding-rate", false).is_none());
    assert!(families.of("market.funding-rate", true).is_some(), "someone wants it");
    assert_ne!(families.of("gas.fast", false), families.of("gas.base-fee", false));
}
