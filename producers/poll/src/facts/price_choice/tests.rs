#![allow(clippy::unwrap_used)]

use crypto_intel_schemas::{Decimal, FactChoice};
use proptest::prelude::*;

use super::*;
use crate::facts::{choice::median_of, pegs::Rate};

const NOW: i64 = 1_700_000_000_000_000;
const SECOND: i64 = 1_000_000;

/// A bucket value that sources change one after the other.
struct Asset {
    value: Option<AssetPrice>,
    settings: PriceSettings,
    rates: Rates,
    now_us: i64,
}

impl Asset {
    fn new() -> Self {
        let settings = PriceSettings {
            preference: vec!["first".to_owned(), "second".to_owned()],
            ..PriceSettings::default()
        };
        Self { value: None, settings, rates: Rates::default(), now_us: NOW }
    }

    fn says_in(&mut self, source: &str, price: &str, quote: &str, age_seconds: i64) -> &mut Self {
        let offered = SourcePrice {
            source: source.to_owned(),
            price: Decimal::parse(price).unwrap(),
            quote: quote.to_owned(),
            at_us: self.now_us - age_seconds * SECOND,
            dollars: None,
            verdict: SourceVerdict::Unknown,
        };
        let context = Context { settings: &self.settings, rates: &self.rates, now_us: self.now_us };
        if let Some(next) = next(self.value.as_ref(), offered, &context) {
            self.value = Some(next);
        }
        self
    }

    fn says(&mut self, source: &str, price: &str, age_seconds: i64) -> &mut Self {
        self.says_in(source, price, "usd", age_seconds)
    }

    fn later(&mut self, seconds: i64) -> &mut Self {
        self.now_us += seconds * SECOND;
        self
    }

    /// Source and price that are used, and why.
    fn used(&self) -> (&str, &str, FactChoice) {
        let value = self.value.as_ref().unwrap();
        (&value.source, value.price.as_str(), value.how.unwrap())
    }

    fn verdict(&self, source: &str) -> SourceVerdict {
        let value = self.value.as_ref().unwrap();
        value.sources.iter().find(|price| price.source == source).unwrap().verdict
    }
}

#[test]
fn of_one_source_the_newer_price_is_used() {
    let mut asset = Asset::new();
    asset.says("first", "100", 60).says("first", "101", 30);
    assert_eq!(asset.used(), ("first", "101", FactChoice::Only));
    asset.says("first", "102", 45);
    assert_eq!(asset.used().1, "101", "older than what is known");
}

#[test]
fn the_preferred_source_is_used_while_it_is_fresh() {
    let mut asset = Asset::new();
    asset.says("second", "100", 1).says("first", "101", 200).says("other", "102", 0);
    assert_eq!(asset.used(), ("first", "101", FactChoice::Preferred));
    asset.later(101).says("other", "102.5", 0);
    assert_eq!(asset.used(), ("second", "100", FactChoice::Preferred));
    assert_eq!(asset.verdict("first"), SourceVerdict::Stale);
}

#[test]
fn among_sources_without_preference_the_newest_is_used() {
    let mut asset = Asset::new();
    asset.says("a", "100", 20).says("b", "101", 10).says("c", "102", 30);
    assert_eq!(asset.used().0, "b");
}

#[test]
fn without_a_fresh_source_the_newest_price_stays_and_time_does_not_go_back() {
    let mut asset = Asset::new();
    asset.says("first", "100", 900).says("other", "101", 600);
    assert_eq!(asset.used(), ("other", "101", FactChoice::Newest));
    asset.says("third", "102", 700);
    assert_eq!(asset.used().0, "other");
}

#[test]
fn a_wrong_tick_of_the_preferred_source_is_not_used() {
    let mut asset = Asset::new();
    asset.says("first", "64000", 9).says("second", "64010", 8).says("third", "63990", 7);
    asset.says("first", "640000", 1);
    assert_eq!(asset.used(), ("second", "64010", FactChoice::Preferred));
    assert_eq!(asset.verdict("first"), SourceVerdict::Outlier);
    asset.says("first", "64020", 0);
    assert_eq!(asset.used().1, "64020");
}

#[test]
fn of_two_sources_the_one_near_the_last_price_is_used() {
    let mut asset = Asset::new();
    asset.says("first", "100", 9).says("second", "101", 8).says("first", "700", 5);
    assert_eq!(asset.used(), ("second", "101", FactChoice::Preferred));
    assert_eq!(asset.verdict("first"), SourceVerdict::Jump);
    // The second one confirms.
    asset.says("second", "705", 1);
    assert_eq!(asset.used(), ("first", "700", FactChoice::Preferred));
}

#[test]
fn the_only_source_has_to_repeat_a_jump_for_a_while() {
    let mut asset = Asset::new();
    asset.says("first", "100", 9).says("first", "130", 0);
    assert_eq!(asset.used(), ("first", "100", FactChoice::Kept));
    let held = asset.value.as_ref().unwrap().held.clone().unwrap();
    assert_eq!((held.source.as_str(), held.price.as_str()), ("first", "130"));
    asset.later(30).says("first", "131", 0);
    assert_eq!(asset.used(), ("first", "100", FactChoice::Kept), "30 s are not 60 s");
    asset.later(30).says("first", "132", 0);
    assert_eq!(asset.used(), ("first", "132", FactChoice::Only));
    assert_eq!(asset.value.as_ref().unwrap().held, None);
}

#[test]
fn a_jump_that_goes_back_was_none() {
    let mut asset = Asset::new();
    asset.says("first", "100", 9).says("first", "130", 5).says("first", "101", 0);
    assert_eq!(asset.used(), ("first", "101", FactChoice::Only));
    asset.later(90).says("first", "130", 0);
    assert_eq!(asset.used().1, "101", "the wait begins with each jump");
}

#[test]
fn the_median_is_a_price_that_a_source_said() {
    let mut asset = Asset::new();
    asset.settings.choose = ChoosePrice::Median;
    asset.says("a", "100", 5).says("b", "102", 4).says("c", "101", 3).says("d", "900", 2);
    assert_eq!(asset.used(), ("c", "101", FactChoice::Median));
    asset.says("e", "100.5", 1);
    assert_eq!(asset.used(), ("e", "100.5", FactChoice::Median), "the lower of two middle ones");
}

#[test]
fn a_quote_off_its_peg_is_converted_or_left_out() {
    let mut asset = Asset::new();
    asset.rates.set("usdt", Rate::Worth(Decimal::parse("0.9").unwrap()));
    asset.says("second", "63900", 5).says_in("first", "71111.1", "usdt", 1);
    assert_eq!(asset.used(), ("first", "63999.99", FactChoice::Preferred));
    let first = &asset.value.as_ref().unwrap().sources[0];
    assert_eq!((first.price.as_str(), first.quote.as_str()), ("71111.1", "usdt"));
    asset.rates.set("usdt", Rate::Unknown);
    asset.says("second", "63910", 0);
    assert_eq!(asset.used(), ("second", "63910", FactChoice::Only));
    assert_eq!(asset.verdict("first"), SourceVerdict::OffPeg);
}

#[test]
fn of_one_source_dollars_count_before_a_stablecoin() {
    let mut asset = Asset::new();
    asset.says("first", "100", 10).says_in("first", "101", "usdt", 1);
    assert_eq!(asset.used().1, "100");
    asset.later(400).says_in("first", "102", "usdt", 0);
    assert_eq!(asset.used().1, "102", "the price in dollars is old");
    asset.says("first", "103", 2);
    assert_eq!(asset.used().1, "103");
}

#[test]
fn a_price_of_the_future_ages_as_if_it_were_of_now() {
    let mut asset = Asset::new();
    asset.says("first", "100", -9_000).says("second", "101", 0);
    asset.later(301).says("second", "102", 0);
    assert_eq!(asset.used().0, "second");
}

#[test]
fn a_value_of_an_earlier_writer_is_a_source_and_the_last_price() {
    let mut asset = Asset::new();
    let price = Decimal::parse("100").unwrap();
    let at_us = NOW - 10 * SECOND;
    let source = "second".to_owned();
    asset.value = Some(AssetPrice { price, at_us, source, ..AssetPrice::default() });
    asset.says("first", "900", 0);
    assert_eq!(asset.used(), ("second", "100", FactChoice::Preferred));
}

#[test]
fn what_is_kept_is_bounded() {
    let mut asset = Asset::new();
    asset.says("first", "100", 200);
    for index in 0..60 {
        asset.says(&format!("source-{index}"), "100", 100 - index);
    }
    let sources = &asset.value.as_ref().unwrap().sources;
    assert_eq!(sources.len(), 24);
    assert!(sources.iter().any(|price| price.source == "first"), "the preferred one stays");
    asset.later(86_401).says("first", "100", 0);
    assert_eq!(asset.value.as_ref().unwrap().sources.len(), 1, "a day is long enough");
}

/// What one source says: its name, its price in cents, its age in seconds.
fn saying() -> impl Strategy<Value = (usize, u32, i64)> {
    let cents = prop_oneof![
        6 => 9_800_u32..10_200,
        2 => 5_000_u32..20_000,
        1 => prop_oneof![Just(1_u32), Just(1_000_000), Just(640_000)],
    ];
    (0_usize..6, cents, 0_i64..600)
}

const NAMES: [&str; 6] = ["first", "second", "a", "b", "c", "d"];

fn price_of(cents: u32) -> String {
    format!("{}.{:02}", cents / 100, cents % 100)
}

fn told(sayings: &[(usize, u32, i64)], choose: ChoosePrice) -> Asset {
    let mut asset = Asset::new();
    asset.settings.choose = choose;
    asset.says("second", "100", 700);
    for (name, cents, age_seconds) in sayings {
        asset.says(NAMES[*name], &price_of(*cents), *age_seconds);
    }
    asset
}

/// The newest of each source by another, slower way.
fn newest(sayings: &[(usize, u32, i64)]) -> Vec<(&'static str, f64, i64)> {
    let mut newest: Vec<(&'static str, f64, i64)> = vec![("second", 100.0, 700)];
    for (name, cents, age) in sayings {
        let (name, dollars) = (NAMES[*name], f64::from(*cents) / 100.0);
        match newest.iter_mut().find(|(known, _, _)| *known == name) {
            Some(known) if *age < known.2 => *known = (name, dollars, *age),
            Some(_) => {}
            None => newest.push((name, dollars, *age)),
        }
    }
    newest
}

fn either() -> impl Strategy<Value = ChoosePrice> {
    prop_oneof![Just(ChoosePrice::Preference), Just(ChoosePrice::Median)]
}

proptest! {
    #[test]
    fn never_an_outlier(sayings in prop::collection::vec(saying(), 1..12), choose in either()) {
        let asset = told(&sayings, choose);
        let (_, price, how) = asset.used();
        let fresh: Vec<f64> = newest(&sayings)
            .into_iter()
            .filter(|(_, _, age)| *age <= 300)
            .map(|(_, dollars, _)| dollars)
            .collect();
        let Some(median) = median_of(fresh.clone()) else { return Ok(()) };
        let is_near = |dollars: f64| (dollars - median).abs() <= 0.05 * median;
        let near = fresh.iter().filter(|dollars| is_near(**dollars)).count();
        if near * 2 > fresh.len() && how != FactChoice::Kept {
            prop_assert!(is_near(price.parse().unwrap()), "{price} of {fresh:?}");
        }
    }

    #[test]
    fn never_an_old_price_while_a_fresh_one_is_acceptable(
        sayings in prop::collection::vec((0_usize..6, 9_800_u32..10_200, 0_i64..600), 1..12),
        choose in either(),
    ) {
        let asset = told(&sayings, choose);
        let value = asset.value.as_ref().unwrap();
        let youngest = newest(&sayings).into_iter().map(|(_, _, age)| age).min().unwrap();
        let age = (NOW - value.at_us) / SECOND;
        prop_assert_eq!(age <= 300, youngest <= 300, "{:?}", value);
        if youngest > 300 {
            prop_assert_eq!(age, youngest);
        }
    }

    #[test]
    fn the_same_in_any_order_of_arrival(
        sayings in prop::collection::vec((0_usize..6, 9_800_u32..10_200, 0_i64..600), 1..10),
        seed in any::<u64>(),
        choose in either(),
    ) {
        // Where one source said two things at one time, which came first decides.
        let mut said = std::collections::BTreeSet::new();
        let mut sayings = sayings;
        sayings.retain(|(name, _, age)| said.insert((*name, *age)));
        let one = told(&sayings, choose);
        let mut mixed = sayings.clone();
        mixed.sort_by_key(|(name, cents, age)| {
            let key = seed ^ ((*name as u64) << 40) ^ (u64::from(*cents) << 16) ^ (*age as u64);
            key.wrapping_mul(0x9E37_79B9_7F4A_7C15)
        });
        let two = told(&mixed, choose);
        prop_assert_eq!(one.value, two.value);
    }

    #[test]
    fn a_large_change_is_confirmed_by_a_second_source(
        // Within half a minute no source repeats anything for a minute.
        sayings in prop::collection::vec(saying().prop_map(|(a, b, age)| (a, b, age % 30)), 1..12),
        choose in either(),
    ) {
        let mut asset = Asset::new();
        asset.settings.choose = choose;
        asset.says("second", "100", 30);
        for (name, cents, age_seconds) in sayings {
            let before: f64 = asset.used().1.parse().unwrap();
            asset.says(NAMES[name], &price_of(cents), age_seconds);
            let (source, price, _) = asset.used();
            let after: f64 = price.parse().unwrap();
            if (after - before).abs() > 0.2 * before {
                let value = asset.value.as_ref().unwrap();
                let confirms = |price: &SourcePrice| {
                    let dollars = price.price.to_f64();
                    price.source != source && (dollars - after).abs() <= 0.051 * after
                };
                prop_assert!(value.sources.iter().any(confirms), "{before} {value:?}");
            }
        }
    }
}
