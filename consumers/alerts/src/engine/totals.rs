//! How large an event is, and how much several are together.

use crypto_intel_schemas::{AlertAddress, Decimal, Event, Kind, Link};
use serde::{Deserialize, Serialize};

use crate::{
    condition::fields::{FieldValue, field_of, hex_text},
    template::filters,
};

/// Addresses that one alert names.
const MAX_ADDRESSES: usize = 64;

/// The addresses that an event touches, with its worth.
pub(crate) fn addresses_of(event: &Event) -> Vec<AlertAddress> {
    let usd = ["usd", "amount_usd"].into_iter().find_map(|worth| match field_of(event, worth) {
        Some(FieldValue::Decimal(usd)) => Some(usd.clone()),
        _ => None,
    });
    let touched = event.touched();
    touched
        .iter()
        .map(|address| AlertAddress { address: address.to_string(), usd: usd.clone() })
        .collect()
}

/// How large an event is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Measure {
    unit: Unit,
    amount: Decimal,
}

/// Only amounts of the same unit are compared or summed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
enum Unit {
    Dollars,
    /// Amount of a token or coin: its chain and address, and its symbol if known.
    Token(String, Option<String>),
}

/// What is remembered of an event until its alert is sent.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Text {
    pub(crate) title: String,
    pub(crate) lines: Vec<String>,
    pub(crate) links: Vec<Link>,
    pub(crate) event_id: String,
    pub(crate) measure: Option<Measure>,
    /// What its event touches.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(crate) addresses: Vec<AlertAddress>,
}

/// Several events together.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Totals {
    pub(crate) count: u64,
    /// Sum, as long as every event has a measure of one unit.
    sum: Option<Measure>,
    /// The largest, or the first where they cannot be compared.
    pub(crate) first: Option<Text>,
    /// What they touch, with the largest worth of each.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(crate) addresses: Vec<AlertAddress>,
}

impl Measure {
    /// Dollars, else a token's amount, else its raw value.
    pub(crate) fn of(event: &Event) -> Option<Self> {
        for worth in ["usd", "amount_usd"] {
            if let Some(FieldValue::Decimal(usd)) = field_of(event, worth) {
                return Some(Self { unit: Unit::Dollars, amount: usd.clone() });
            }
        }
        let moves = matches!(
            event.kind(),
            Kind::NativeTransfer | Kind::Erc20Transfer | Kind::InternalTransfer
        );
        let block = event.block_fields().filter(|_| moves)?;
        let token = match field_of(event, "address") {
            Some(FieldValue::Hex(address)) => hex_text(address),
            _ => String::new(),
        };
        let place = format!("{} {token}", block.chain);
        if let Some(FieldValue::Decimal(amount)) = field_of(event, "amount") {
            let symbol = match field_of(event, "symbol") {
                Some(FieldValue::Text(symbol)) => Some(symbol.to_owned()),
                _ => None,
            };
            return Some(Self { unit: Unit::Token(place, symbol), amount: amount.clone() });
        }
        match field_of(event, "value") {
            Some(FieldValue::U256(value)) => {
                let amount = Decimal::from_units(value, 0);
                Some(Self { unit: Unit::Token(place, None), amount })
            }
            _ => None,
        }
    }

    /// Whether it is at least `factor` times as large as another of the same unit.
    pub(crate) fn is_times(&self, factor: f64, other: &Self) -> bool {
        self.unit == other.unit && self.amount.to_f64() >= factor * other.amount.to_f64()
    }

    fn plus(&self, other: &Self) -> Option<Self> {
        let amount = self.amount.checked_add(&other.amount).filter(|_| self.unit == other.unit)?;
        Some(Self { unit: self.unit.clone(), amount })
    }

    fn is_larger(&self, other: &Self) -> bool {
        self.unit == other.unit && self.amount.is_larger(&other.amount) == Some(true)
    }

    fn shown(&self) -> String {
        match &self.unit {
            Unit::Dollars => filters::dollars(self.amount.as_str()),
            Unit::Token(_, None) => filters::grouped(self.amount.as_str(), 4),
            Unit::Token(_, Some(symbol)) => {
                format!("{} {symbol}", filters::grouped(self.amount.as_str(), 4))
            }
        }
    }
}

impl Totals {
    pub(crate) fn add(&mut self, text: &Text) {
        let is_first = self.count == 0;
        let largest = self.first.as_ref().and_then(|first| first.measure.as_ref());
        let is_larger = largest
            .zip(text.measure.as_ref())
            .is_some_and(|(largest, measure)| measure.is_larger(largest));
        self.sum = match (&self.sum, &text.measure) {
            (None, Some(measure)) if is_first => Some(measure.clone()),
            (Some(sum), Some(measure)) => sum.plus(measure),
            _ => None,
        };
        if is_first || is_larger && self.sum.is_some() {
            self.first = Some(text.clone());
        }
        self.count += 1;
        text.addresses.iter().for_each(|one| self.touch(one));
    }

    fn touch(&mut self, one: &AlertAddress) {
        let Some(known) = self.addresses.iter_mut().find(|known| known.address == one.address)
        else {
            if self.addresses.len() < MAX_ADDRESSES {
                self.addresses.push(one.clone());
            }
            return;
        };
        let is_larger = match (&known.usd, &one.usd) {
            (_, None) => false,
            (None, Some(_)) => true,
            (Some(known), Some(usd)) => usd.is_larger(known) == Some(true),
        };
        if is_larger {
            known.usd.clone_from(&one.usd);
        }
    }

    /// `4 more, largest $100M, sum $180M`.
    pub(crate) fn shown(&self) -> String {
        let largest = self.first.as_ref().and_then(|first| first.measure.as_ref());
        match (self.count, &self.sum, largest) {
            (1, Some(sum), _) => format!("1 more, {}", sum.shown()),
            (count, Some(sum), Some(largest)) => {
                format!("{count} more, largest {}, sum {}", largest.shown(), sum.shown())
            }
            (count, ..) => format!("{count} more"),
        }
    }

    /// Whether the first is the largest, and not only the first.
    pub(crate) fn are_comparable(&self) -> bool {
        self.sum.is_some()
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    fn text(unit: Unit, amount: &str) -> Text {
        let measure = Measure { unit, amount: Decimal::parse(amount).unwrap() };
        Text {
            title: amount.to_owned(),
            lines: Vec::new(),
            links: Vec::new(),
            event_id: String::new(),
            measure: Some(measure),
            addresses: Vec::new(),
        }
    }

    fn token(place: &str) -> Unit {
        Unit::Token(place.to_owned(), Some("USDC".to_owned()))
    }

    #[test]
    fn several_are_told_with_the_largest_and_their_sum() {
        let mut totals = Totals::default();
        totals.add(&text(Unit::Dollars, "80000000"));
        assert_eq!(totals.shown(), "1 more, $80M");
        totals.add(&text(Unit::Dollars, "100000000"));
        assert_eq!(totals.shown(), "2 more, largest $100M, sum $180M");
        assert_eq!(totals.first.as_ref().unwrap().title, "100000000");
    }

    #[test]
    fn amounts_of_different_tokens_are_not_summed() {
        let mut totals = Totals::default();
        totals.add(&text(token("base 0x1"), "5"));
        totals.add(&text(token("base 0x2"), "7"));
        totals.add(&text(token("base 0x1"), "9"));
        assert_eq!(totals.shown(), "3 more");
        assert_eq!(totals.first.as_ref().unwrap().title, "5");
    }
}
