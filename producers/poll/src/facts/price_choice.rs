//! Which price of an asset is used: a pure function of what the bucket holds, what a source says now, and the time.

use crypto_intel_schemas::{AssetPrice, HeldPrice, SourcePrice, SourceVerdict};

use super::{
    choice::{Candidate, Choose, Held, Last, Rules, Said},
    pegs::{DOLLAR, Rates},
};
use crate::config::{ChoosePrice, PriceSettings};

/// The bucket's next value for an asset after a source said something; `None` when nothing changes.
pub(super) fn next(
    known: Option<&AssetPrice>,
    offered: SourcePrice,
    context: &Context<'_>,
) -> Option<AssetPrice> {
    let mut value = known.cloned().unwrap_or_default();
    seed(&mut value);
    let source = offered.source.clone();
    let rules = context.rules();
    note(&rules, &mut value.sources, offered);
    rules.forget(&mut value.sources, &source);
    // Also what is not new is looked at: others may have become old, or a quote worth a dollar again.
    let has_price = context.choose(&rules, &mut value, known.is_some());
    (has_price && known != Some(&value)).then_some(value)
}

/// An earlier writer kept the chosen price alone.
fn seed(value: &mut AssetPrice) {
    if value.sources.is_empty() && !value.source.is_empty() {
        value.sources.push(SourcePrice {
            source: value.source.clone(),
            price: value.price.clone(),
            quote: DOLLAR.to_owned(),
            at_us: value.at_us,
            dollars: None,
            verdict: SourceVerdict::Used,
        });
    }
}

/// Puts what a source says into the list, unless it is nothing new.
fn note(rules: &Rules<'_>, sources: &mut Vec<SourcePrice>, mut offered: SourcePrice) {
    // A clock that is ahead would keep a price fresh.
    offered.at_us = offered.at_us.min(rules.now_us);
    let Some(known) = sources.iter_mut().find(|known| known.source == offered.source) else {
        return sources.push(offered);
    };
    let in_dollars = |price: &SourcePrice| price.quote == DOLLAR;
    let replaces = match (in_dollars(known), in_dollars(&offered)) {
        // Of one source a price in dollars says more than one in a stablecoin.
        (true, false) => !rules.is_fresh(known.at_us) && offered.at_us > known.at_us,
        (false, true) => rules.is_fresh(offered.at_us) || offered.at_us > known.at_us,
        _ => offered.at_us > known.at_us,
    };
    if replaces {
        *known = offered;
    }
}

impl Said for SourcePrice {
    fn source(&self) -> &str {
        &self.source
    }

    fn at_us(&self) -> i64 {
        self.at_us
    }
}

/// What a choice depends on beside the prices.
#[derive(Debug, Clone, Copy)]
pub(super) struct Context<'a> {
    pub(super) settings: &'a PriceSettings,
    pub(super) rates: &'a Rates,
    pub(super) now_us: i64,
}

impl Context<'_> {
    fn rules(&self) -> Rules<'_> {
        let settings = self.settings;
        Rules {
            choose: match settings.choose {
                ChoosePrice::Preference => Choose::Preference,
                ChoosePrice::Median => Choose::Median,
            },
            preference: &settings.preference,
            fresh_seconds: settings.fresh_seconds,
            outlier_percent: settings.outlier_percent.get(),
            jump_percent: settings.jump_percent,
            jump_seconds: settings.jump_seconds,
            is_monotonic: false,
            now_us: self.now_us,
        }
    }

    /// Chooses, and writes into the value what became of each source; `false` when there is no price at all.
    fn choose(&self, rules: &Rules<'_>, value: &mut AssetPrice, has_last: bool) -> bool {
        for price in &mut value.sources {
            price.dollars = self.rates.converted(&price.quote, &price.price);
            price.verdict = match self.rates.is_known(&price.quote) {
                true => SourceVerdict::Stale,
                false => SourceVerdict::OffPeg,
            };
        }
        let last = Last { value: value.price.to_f64(), at_us: value.at_us };
        let held = value.held.take().map(|held| Held {
            source: held.source,
            value: held.price,
            since_us: held.since_us,
        });
        let choice =
            rules.choose(&candidates(&value.sources), has_last.then_some(last), held, |index| {
                value.sources[index].dollars().clone()
            });
        value.held = choice.held.map(|held| HeldPrice {
            source: held.source,
            price: held.value,
            since_us: held.since_us,
        });
        for (index, verdict) in choice.verdicts {
            value.sources[index].verdict = verdict;
        }
        value.how = Some(choice.how);
        let Some(picked) = choice.picked else { return has_last };
        let used = &value.sources[picked];
        value.price = used.dollars().clone();
        value.at_us = used.at_us;
        value.source.clone_from(&used.source);
        true
    }
}

/// The prices that can be compared.
fn candidates(sources: &[SourcePrice]) -> Vec<Candidate<'_>> {
    let usable = sources.iter().enumerate().filter(|(_, price)| {
        price.verdict != SourceVerdict::OffPeg && price.dollars().to_f64() > 0.0
    });
    usable
        .map(|(index, price)| Candidate {
            index,
            source: &price.source,
            value: price.dollars().to_f64(),
            at_us: price.at_us,
        })
        .collect()
}

#[cfg(test)]
mod tests;
