//! Exact amounts of US dollars.

use std::ops::{Add, AddAssign, Neg, Sub, SubAssign};

use crypto_intel_schemas::Decimal;
use num_bigint::BigInt;

/// Fraction digits that are kept: the value of a transfer has two, the price of a small token's unit up to eighteen.
const PLACES: u32 = 18;

/// US dollars in steps of 10^-18. Parts of an amount always add up to it.
#[derive(Debug, Clone, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Dollars(BigInt);

impl Dollars {
    /// The amount, cut after 18 fraction digits.
    #[must_use]
    pub fn of(amount: &Decimal) -> Self {
        let (sign, digits) = match amount.as_str().strip_prefix('-') {
            Some(digits) => ("-", digits),
            None => ("", amount.as_str()),
        };
        let (whole, fraction) = digits.split_once('.').unwrap_or((digits, ""));
        let mut fraction = fraction.to_owned();
        fraction.truncate(PLACES as usize);
        let text = format!("{sign}{whole}{fraction:0<width$}", width = PLACES as usize);
        // A decimal number has digits only.
        Self(text.parse().unwrap_or_default())
    }

    /// `quantity` units of a token with `decimals`, at `price` for a whole one; cut after 18 fraction digits.
    #[must_use]
    pub fn value_of(quantity: &BigInt, decimals: u8, price: &Decimal) -> Self {
        Self(Self::of(price).0 * quantity / BigInt::from(10).pow(u32::from(decimals)))
    }

    /// The share of `part` in `whole`, cut; all of it when both are equal.
    pub(super) fn share(&self, part: &BigInt, whole: &BigInt) -> Self {
        if part == whole { self.clone() } else { Self(&self.0 * part / whole) }
    }

    /// The exact number.
    #[must_use]
    pub fn to_decimal(&self) -> Decimal {
        let negative = self.0.sign() == num_bigint::Sign::Minus;
        let digits = self.0.magnitude().to_string();
        let padded = format!("{digits:0>width$}", width = PLACES as usize + 1);
        let (whole, fraction) = padded.split_at(padded.len() - PLACES as usize);
        let sign = if negative { "-" } else { "" };
        Decimal::parse(&format!("{sign}{whole}.{fraction}")).unwrap_or_default()
    }

    /// Cut to cents, for people: `-1234.56`.
    #[must_use]
    pub fn cents(&self) -> Decimal {
        let step = BigInt::from(10).pow(PLACES - 2);
        Self(&self.0 / &step * &step).to_decimal()
    }
}

impl Add for Dollars {
    type Output = Self;

    fn add(self, other: Self) -> Self {
        Self(self.0 + other.0)
    }
}

impl Sub for Dollars {
    type Output = Self;

    fn sub(self, other: Self) -> Self {
        Self(self.0 - other.0)
    }
}

impl Neg for Dollars {
    type Output = Self;

    fn neg(self) -> Self {
        Self(-self.0)
    }
}

impl AddAssign<&Self> for Dollars {
    fn add_assign(&mut self, other: &Self) {
        self.0 += &other.0;
    }
}

impl SubAssign<&Self> for Dollars {
    fn sub_assign(&mut self, other: &Self) {
        self.0 -= &other.0;
    }
}

impl std::iter::Sum for Dollars {
    fn sum<I: Iterator<Item = Self>>(amounts: I) -> Self {
        amounts.fold(Self::default(), Add::add)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn dollars(text: &str) -> Dollars {
        Dollars::of(&Decimal::parse(text).unwrap())
    }

    #[test]
    fn an_amount_is_read_and_written_exactly() {
        for text in ["0", "12.5", "-0.25", "1000000000000000000000.000000000000000001"] {
            assert_eq!(dollars(text).to_decimal().as_str(), text);
        }
        assert_eq!(dollars("0.0000000000000000019").to_decimal().as_str(), "0.000000000000000001");
        assert_eq!(dollars("-1234.567").cents().as_str(), "-1234.56");
    }

    #[test]
    fn the_value_of_a_quantity_is_its_whole_units_times_the_price() {
        let price = Decimal::parse("2000.5").unwrap();
        let value = Dollars::value_of(&BigInt::from(1_500_000), 6, &price);
        assert_eq!(value.to_decimal().as_str(), "3000.75");
    }
}
