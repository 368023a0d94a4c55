//! Exact signed decimals for sums: the order of additions must not matter, so no floats.

use std::cmp::Ordering;

use alloy_primitives::{Signed, U256};
use crypto_intel_schemas::Decimal;
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

type Wide = Signed<512, 8>;

/// Digits of a value: with as many of a sum, they always fit.
const MAX_DIGITS: usize = 120;

/// Fraction digits of a quotient.
const QUOTIENT_PLACES: u8 = 18;

/// Integers up to this are exact doubles,
const EXACT_INTEGER: u128 = 1 << 53;

/// and so are these powers of ten.
const EXACT_POWERS: [f64; 23] = [
    1e0, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9, 1e10, 1e11, 1e12, 1e13, 1e14, 1e15, 1e16,
    1e17, 1e18, 1e19, 1e20, 1e21, 1e22,
];

/// Units and their scale: units / 10^scale. Most values fit 128 bits: a window holds many of them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Exact {
    Small(i128, u8),
    Large(Box<Wide>, u8),
}

impl Default for Exact {
    fn default() -> Self {
        Self::Small(0, 0)
    }
}

impl Exact {
    /// `None` for more digits than sums have room for.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        let decimal = Decimal::parse(text).ok()?;
        let digits = decimal.as_str().bytes().filter(u8::is_ascii_digit).count();
        if digits > MAX_DIGITS { None } else { parse_sum(decimal.as_str()) }
    }

    pub(crate) fn from_u256(value: U256) -> Self {
        Self::parse(&value.to_string()).unwrap_or_default()
    }

    fn of(units: Wide, scale: u8) -> Self {
        match i128::try_from(units) {
            Ok(units) => Self::Small(units, scale),
            Err(_) => Self::Large(Box::new(units), scale),
        }
    }

    /// The exact sum; the sum is cut where it would not fit, which no sum of amounts reaches.
    pub(crate) fn plus(&self, other: &Self) -> Self {
        if let (Self::Small(one, scale), Self::Small(two, same)) = (self, other)
            && scale == same
            && let Some(sum) = one.checked_add(*two)
        {
            return Self::Small(sum, *scale);
        }
        let (one, two, scale) = self.aligned(other);
        Self::of(one.saturating_add(two), scale)
    }

    pub(crate) fn minus(&self, other: &Self) -> Self {
        let (one, two, scale) = self.aligned(other);
        Self::of(one.saturating_sub(two), scale)
    }

    /// Cut after eighteen fraction digits.
    pub(crate) fn divided_by(&self, divisor: u64) -> Option<Self> {
        let divisor = Wide::try_from(divisor).ok().filter(|divisor| !divisor.is_zero())?;
        let scale = self.scale().max(QUOTIENT_PLACES);
        Some(Self::of(self.scaled_to(scale).checked_div(divisor)?, scale))
    }

    /// The nearest double.
    pub(crate) fn to_f64(&self) -> f64 {
        if let Self::Small(units, scale) = self
            && units.unsigned_abs() <= EXACT_INTEGER
            && let Some(power) = EXACT_POWERS.get(usize::from(*scale))
        {
            // Both are exact, so that the quotient is rounded once.
            return *units as f64 / power;
        }
        self.to_string().parse().unwrap_or(f64::NAN)
    }

    fn scale(&self) -> u8 {
        match self {
            Self::Small(_, scale) | Self::Large(_, scale) => *scale,
        }
    }

    fn units(&self) -> Wide {
        match self {
            // 128 bits fit 512.
            Self::Small(units, _) => Wide::try_from(*units).unwrap_or_default(),
            Self::Large(units, _) => **units,
        }
    }

    fn aligned(&self, other: &Self) -> (Wide, Wide, u8) {
        let scale = self.scale().max(other.scale());
        (self.scaled_to(scale), other.scaled_to(scale), scale)
    }

    fn scaled_to(&self, scale: u8) -> Wide {
        let mut units = self.units();
        for _ in self.scale()..scale {
            units = units.saturating_mul(Wide::try_from(10_u64).unwrap_or(Wide::ONE));
        }
        units
    }
}

impl std::fmt::Display for Exact {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let digits = match self {
            Self::Small(units, _) => units.to_string(),
            Self::Large(units, _) => units.to_string(),
        };
        let (sign, digits) = digits.strip_prefix('-').map_or(("", &*digits), |rest| ("-", rest));
        let scale = usize::from(self.scale());
        if scale == 0 {
            return write!(formatter, "{sign}{digits}");
        }
        let padded = format!("{digits:0>width$}", width = scale + 1);
        let (whole, fraction) = padded.split_at(padded.len() - scale);
        let fraction = fraction.trim_end_matches('0');
        match fraction {
            "" => write!(formatter, "{sign}{whole}"),
            _ => write!(formatter, "{sign}{whole}.{fraction}"),
        }
    }
}

impl PartialOrd for Exact {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Exact {
    fn cmp(&self, other: &Self) -> Ordering {
        if let (Self::Small(one, scale), Self::Small(two, same)) = (self, other)
            && scale == same
        {
            return one.cmp(two);
        }
        let (one, two, _) = self.aligned(other);
        // Equal amounts in different forms keep an order of their own, as equality does.
        one.cmp(&two).then(self.scale().cmp(&other.scale()))
    }
}

impl Serialize for Exact {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Exact {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        // A sum may have more digits than a value.
        parse_sum(&text).ok_or_else(|| de::Error::custom("no exact decimal number"))
    }
}

/// Reads digits with at most one point.
fn parse_sum(text: &str) -> Option<Exact> {
    let (whole, fraction) = text.split_once('.').unwrap_or((text, ""));
    let digits = [whole, fraction].concat();
    let scale = u8::try_from(fraction.len()).ok()?;
    match digits.parse::<i128>() {
        Ok(units) => Some(Exact::Small(units, scale)),
        Err(_) => Some(Exact::of(Wide::from_dec_str(&digits).ok()?, scale)),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    fn exact(text: &str) -> Exact {
        Exact::parse(text).unwrap()
    }

    #[test]
    fn sums_are_exact_in_any_order() {
        let values =
            ["0.1", "0.2", "-0.3", "1000000000000000000000000000000", "0.000000000000000001"];
        let sum = |order: &[&str]| {
            order.iter().fold(Exact::default(), |sum, text| sum.plus(&exact(text))).to_string()
        };
        let mut reversed = values;
        reversed.reverse();
        assert_eq!(sum(&values), "1000000000000000000000000000000.000000000000000001");
        assert_eq!(sum(&reversed), sum(&values));
        let largest = Exact::from_u256(U256::MAX);
        assert_eq!(
            (0..99).fold(largest.clone(), |sum, _| sum.plus(&largest)).to_string().len(),
            80
        );
    }

    #[test]
    fn quotients_and_differences_are_cut() {
        assert_eq!(exact("10").divided_by(4).unwrap().to_string(), "2.5");
        assert_eq!(exact("2").divided_by(3).unwrap().to_string(), "0.666666666666666666");
        assert_eq!(exact("2").divided_by(0), None);
        assert_eq!(exact("0.5").minus(&exact("2")).to_string(), "-1.5");
        assert!(exact("-3") < exact("-2.5"));
    }

    proptest::proptest! {
        #[test]
        fn doubles_are_those_of_the_text(units in proptest::num::i64::ANY, scale in 0_u8..40, shift in 0_u32..63) {
            let value = Exact::Small(i128::from(units >> shift), scale);
            proptest::prop_assert_eq!(value.to_f64(), value.to_string().parse::<f64>().unwrap());
        }
    }

    #[test]
    fn what_is_stored_is_read_again() {
        let large = exact(&"9".repeat(MAX_DIGITS));
        let large = large.plus(&large).plus(&exact("0.5"));
        for value in [exact("-0.25"), exact("0"), large] {
            let bytes = rmp_serde::to_vec(&value).unwrap();
            let read: Exact = rmp_serde::from_slice(&bytes).unwrap();
            assert_eq!(read.to_string(), value.to_string());
        }
    }
}
