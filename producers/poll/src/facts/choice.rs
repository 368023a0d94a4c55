//! Which price of an asset is used, of all that its sources say: a pure function of what the bucket holds, what a source
//! says now, and the time.

use std::cmp::Reverse;

use crypto_intel_schemas::{
    AssetPrice, Decimal, HeldPrice, PriceChoice, PriceVerdict, SourcePrice,
};

use super::pegs::Rates;
use crate::config::{ChoosePrice, PriceSettings};

/// Sources that are kept of one asset.
const MAX_SOURCES: usize = 24;
/// Prices of sources that are older than this are forgotten, microseconds.
const FORGET_US: i64 = 86_400_000_000;

/// The bucket's next value for an asset after a source said something; `None` when nothing changes.
pub(super) fn next(
    known: Option<&AssetPrice>,
    offered: SourcePrice,
    context: &Context<'_>,
) -> Option<AssetPrice> {
    let mut value = known.cloned().unwrap_or_default();
    seed(&mut value);
    let source = offered.source.clone();
    context.note(&mut value.sources, offered);
    context.forget(&mut value.sources, &source);
    value.sources.sort_by(|one, two| one.source.cmp(&two.source));
    // Also what is not new is looked at: others may have become old, or a quote worth a dollar again.
    let has_price = context.choose(&mut value, known.is_some());
    (has_price && known != Some(&value)).then_some(value)
}

/// An earlier writer kept the chosen price alone.
fn seed(value: &mut AssetPrice) {
    if value.sources.is_empty() && !value.source.is_empty() {
        value.sources.push(SourcePrice {
            source: value.source.clone(),
            price: value.price.clone(),
            quote: super::pegs::DOLLAR.to_owned(),
            at_us: value.at_us,
            dollars: None,
            verdict: PriceVerdict::Used,
        });
    }
}

/// What a choice depends on beside the prices.
#[derive(Debug, Clone, Copy)]
pub(super) struct Context<'a> {
    pub(super) settings: &'a PriceSettings,
    pub(super) rates: &'a Rates,
    pub(super) now_us: i64,
}

/// A source's price in dollars.
#[derive(Debug, Clone, Copy)]
struct Candidate<'a> {
    /// Its place in the list of sources.
    index: usize,
    source: &'a str,
    /// For comparisons only: floating point is exact enough for percents.
    dollars: f64,
    at_us: i64,
}

impl Context<'_> {
    /// Puts what a source says into the list, unless it is nothing new.
    fn note(&self, sources: &mut Vec<SourcePrice>, mut offered: SourcePrice) {
        // A clock that is ahead would keep a price fresh.
        offered.at_us = offered.at_us.min(self.now_us);
        let Some(known) = sources.iter_mut().find(|known| known.source == offered.source) else {
            return sources.push(offered);
        };
        let in_dollars = |price: &SourcePrice| price.quote == super::pegs::DOLLAR;
        let replaces = match (in_dollars(known), in_dollars(&offered)) {
            // Of one source a price in dollars says more than one in a stablecoin.
            (true, false) => !self.is_fresh(known.at_us) && offered.at_us > known.at_us,
            (false, true) => self.is_fresh(offered.at_us) || offered.at_us > known.at_us,
            _ => offered.at_us > known.at_us,
        };
        if replaces {
            *known = offered;
        }
    }

    /// Bounds the list; `keep` stays.
    fn forget(&self, sources: &mut Vec<SourcePrice>, keep: &str) {
        let age = |price: &SourcePrice| self.now_us.saturating_sub(price.at_us);
        sources.retain(|price| price.source == keep || age(price) <= FORGET_US);
        sources.sort_by(|one, two| {
            let key = |price: &SourcePrice| {
                let is_other = price.source != keep;
                (is_other, !self.is_fresh(price.at_us), self.rank(&price.source))
            };
            let newest_first = two.at_us.cmp(&one.at_us);
            key(one).cmp(&key(two)).then(newest_first).then(one.source.cmp(&two.source))
        });
        sources.truncate(MAX_SOURCES);
    }

    /// Chooses, and writes into the value what became of each source; `false` when there is no price at all.
    fn choose(&self, value: &mut AssetPrice, has_last: bool) -> bool {
        for price in &mut value.sources {
            price.dollars = self.rates.converted(&price.quote, &price.price);
            price.verdict = match self.rates.is_known(&price.quote) {
                true => PriceVerdict::Stale,
                false => PriceVerdict::OffPeg,
            };
        }
        let sources = value.sources.clone();
        let (pool, is_fresh) = self.pool(&sources);
        let (accepted, is_disputed) = self.without_outliers(&pool);
        let last = has_last.then(|| value.price.to_f64()).filter(|price| *price > 0.0);
        let eligible = self.within_bound(&accepted, is_disputed, last);
        for candidate in &pool {
            value.sources[candidate.index].verdict = PriceVerdict::Outlier;
        }
        for candidate in &accepted {
            value.sources[candidate.index].verdict = PriceVerdict::Jump;
        }
        for candidate in &eligible {
            value.sources[candidate.index].verdict = PriceVerdict::Accepted;
        }
        let picked = match self.pick(&eligible) {
            Some(picked) => {
                value.held = None;
                Some(picked)
            }
            None => self.confirmed(&accepted, &sources, &mut value.held),
        };
        // Without a fresh source time does not go back.
        let picked = picked.filter(|pick| is_fresh || !has_last || pick.at_us >= value.at_us);
        let Some(picked) = picked else {
            value.how = Some(PriceChoice::Kept);
            return has_last;
        };
        let used = &mut value.sources[picked.index];
        used.verdict = PriceVerdict::Used;
        value.price = dollars_of(used).clone();
        value.at_us = used.at_us;
        value.source.clone_from(&used.source);
        value.how = Some(match (is_fresh, pool.len(), self.settings.choose) {
            (false, _, _) => PriceChoice::Newest,
            (true, 1, _) => PriceChoice::Only,
            (true, _, ChoosePrice::Preference) => PriceChoice::Preferred,
            (true, _, ChoosePrice::Median) => PriceChoice::Median,
        });
        true
    }

    /// What is compared: the fresh prices, or the newest one where none is fresh; and whether they are fresh.
    fn pool<'a>(&self, sources: &'a [SourcePrice]) -> (Vec<Candidate<'a>>, bool) {
        let usable = |(index, price): (usize, &'a SourcePrice)| {
            let dollars = dollars_of(price).to_f64();
            let is_usable = price.verdict != PriceVerdict::OffPeg && dollars > 0.0;
            is_usable.then_some(Candidate {
                index,
                source: &price.source,
                dollars,
                at_us: price.at_us,
            })
        };
        let all: Vec<Candidate<'a>> = sources.iter().enumerate().filter_map(usable).collect();
        let fresh: Vec<Candidate<'a>> =
            all.iter().copied().filter(|candidate| self.is_fresh(candidate.at_us)).collect();
        if !fresh.is_empty() {
            return (fresh, true);
        }
        let newest = all.into_iter().max_by_key(|price| (price.at_us, Reverse(price.source)));
        (newest.into_iter().collect(), false)
    }

    /// Those around which most are. Without such a majority nothing is an outlier, and the sources are in dispute.
    fn without_outliers<'a>(&self, pool: &[Candidate<'a>]) -> (Vec<Candidate<'a>>, bool) {
        let Some(median) = median(pool) else { return (Vec::new(), false) };
        let near: Vec<Candidate<'a>> = pool
            .iter()
            .copied()
            .filter(|candidate| (candidate.dollars - median).abs() <= self.tolerance() * median)
            .collect();
        match near.len() * 2 > pool.len() {
            true => (near, false),
            false => (pool.to_vec(), true),
        }
    }

    /// Those near the last price, and those that a second source confirms.
    fn within_bound<'a>(
        &self,
        accepted: &[Candidate<'a>],
        is_disputed: bool,
        last: Option<f64>,
    ) -> Vec<Candidate<'a>> {
        let Some(last) = last.filter(|_| self.settings.jump_percent > 0) else {
            return accepted.to_vec();
        };
        let bound = f64::from(self.settings.jump_percent) / 100.0;
        let is_near = |candidate: &Candidate<'_>| (candidate.dollars - last).abs() <= bound * last;
        let near: Vec<Candidate<'a>> = accepted.iter().copied().filter(is_near).collect();
        // In a dispute the last price decides.
        if is_disputed && !near.is_empty() {
            return near;
        }
        let is_confirmed = |candidate: &Candidate<'_>| {
            accepted.iter().any(|other| {
                other.source != candidate.source && self.agree(other.dollars, candidate.dollars)
            })
        };
        accepted
            .iter()
            .copied()
            .filter(|candidate| is_near(candidate) || is_confirmed(candidate))
            .collect()
    }

    fn pick<'a>(&self, eligible: &[Candidate<'a>]) -> Option<Candidate<'a>> {
        match self.settings.choose {
            ChoosePrice::Preference => self.preferred(eligible),
            ChoosePrice::Median => {
                let mut sorted = eligible.to_vec();
                sort(&mut sorted);
                // Of an even number the lower one: a price that a source has said.
                sorted.get(sorted.len().saturating_sub(1) / 2).copied()
            }
        }
    }

    fn preferred<'a>(&self, candidates: &[Candidate<'a>]) -> Option<Candidate<'a>> {
        candidates.iter().copied().min_by_key(|candidate| {
            (self.rank(candidate.source), Reverse(candidate.at_us), candidate.source)
        })
    }

    /// A jump that the same source has said for long enough; otherwise it is held.
    fn confirmed<'a>(
        &self,
        accepted: &[Candidate<'a>],
        sources: &[SourcePrice],
        held: &mut Option<HeldPrice>,
    ) -> Option<Candidate<'a>> {
        let candidate = self.preferred(accepted)?;
        let wait_us = i64::from(self.settings.jump_seconds).saturating_mul(1_000_000);
        match held {
            Some(first)
                if first.source == candidate.source
                    && self.agree(first.price.to_f64(), candidate.dollars) =>
            {
                if candidate.at_us.saturating_sub(first.since_us) < wait_us {
                    return None;
                }
                *held = None;
                Some(candidate)
            }
            _ => {
                *held = Some(HeldPrice {
                    source: candidate.source.to_owned(),
                    price: dollars_of(&sources[candidate.index]).clone(),
                    since_us: candidate.at_us,
                });
                None
            }
        }
    }

    fn is_fresh(&self, at_us: i64) -> bool {
        let fresh_us = i64::from(self.settings.fresh_seconds).saturating_mul(1_000_000);
        self.now_us.saturating_sub(at_us) <= fresh_us
    }

    fn rank(&self, source: &str) -> usize {
        let place = self.settings.preference.iter().position(|name| name == source);
        place.unwrap_or(usize::MAX)
    }

    fn tolerance(&self) -> f64 {
        f64::from(self.settings.outlier_percent.get()) / 100.0
    }

    fn agree(&self, one: f64, two: f64) -> bool {
        (one - two).abs() <= self.tolerance() * one.min(two)
    }
}

fn dollars_of(price: &SourcePrice) -> &Decimal {
    price.dollars.as_ref().unwrap_or(&price.price)
}

fn sort(candidates: &mut [Candidate<'_>]) {
    candidates.sort_by(|one, two| {
        one.dollars.total_cmp(&two.dollars).then_with(|| one.source.cmp(two.source))
    });
}

fn median(pool: &[Candidate<'_>]) -> Option<f64> {
    let values: Vec<f64> = pool.iter().map(|candidate| candidate.dollars).collect();
    median_of(values)
}

/// The median of numbers; of an even number of them the middle between the two middle ones.
pub(super) fn median_of(mut values: Vec<f64>) -> Option<f64> {
    values.sort_by(f64::total_cmp);
    let middle = values.len() / 2;
    let upper = *values.get(middle)?;
    match values.len() % 2 {
        0 => Some(f64::midpoint(*values.get(middle - 1)?, upper)),
        _ => Some(upper),
    }
}

#[cfg(test)]
mod tests;
