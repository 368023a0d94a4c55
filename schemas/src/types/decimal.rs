use std::fmt;

use alloy_primitives::{U256, Uint};
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

/// Wide enough for a uint256 amount times a price of 80 digits.
type Wide = Uint<1024, 16>;

/// Maximum number of digits: no real amount has more, and everything that this type computes
/// itself (a uint256 of a token with 255 decimals, times a price) has fewer.
const MAX_DIGITS: usize = 400;

/// An exact decimal number as text, such as `64000.5` or `-0.25`: a decimal string on the wire,
/// `NUMERIC` in SQL. No exponent, no leading zeros, no trailing fraction zeros.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Decimal(String);

/// Not a decimal number.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is not a decimal number such as 64000.5")]
pub struct DecimalError(pub String);

impl Default for Decimal {
    fn default() -> Self {
        Self::zero()
    }
}

impl Decimal {
    /// 0.
    #[must_use]
    pub fn zero() -> Self {
        Self("0".to_owned())
    }

    /// Reads decimal text; an exponent, as in `1e-09`, is written out.
    ///
    /// # Errors
    /// When the text is not a finite number of at most 400 digits.
    pub fn parse(text: &str) -> Result<Self, DecimalError> {
        if is_canonical(text) {
            return Ok(Self(text.to_owned()));
        }
        let refuse = || DecimalError(text.chars().take(64).collect());
        let (negative, unsigned) = match text.strip_prefix('-') {
            Some(rest) => (true, rest),
            None => (false, text),
        };
        let (mantissa, exponent) = match unsigned.split_once(['e', 'E']) {
            Some((mantissa, exponent)) => {
                (mantissa, exponent.parse::<i32>().map_err(|_| refuse())?)
            }
            None => (unsigned, 0),
        };
        let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
        let digits: String = [whole, fraction].concat();
        // A missing whole part is written as 0 and counts.
        let written = whole.len().max(1) + fraction.len() + exponent.unsigned_abs() as usize;
        let plausible = !digits.is_empty()
            && digits.bytes().all(|byte| byte.is_ascii_digit())
            && written <= MAX_DIGITS;
        if !plausible {
            return Err(refuse());
        }
        let scale = fraction.len() as i64 - i64::from(exponent);
        Ok(Self::from_digits(negative, &digits, scale))
    }

    /// A raw token amount in whole tokens: `value` / 10^`decimals`, exact.
    #[must_use]
    pub fn from_units(value: U256, decimals: u8) -> Self {
        Self::from_digits(false, &value.to_string(), i64::from(decimals))
    }

    /// `value` / 10^`decimals` × `price`, truncated to `places` fraction digits, never rounded up.
    /// `None` when the price is negative.
    #[must_use]
    pub fn value_of(value: U256, decimals: u8, price: &Self, places: u8) -> Option<Self> {
        let (negative, digits, scale) = price.parts();
        if negative {
            return None;
        }
        let price_units = Wide::from_str_radix(&digits, 10).ok()?;
        let product = Wide::from(value).checked_mul(price_units)?;
        let product_scale = u32::from(decimals) + scale;
        let cut = product_scale.saturating_sub(u32::from(places));
        let kept = product / Wide::from(10_u8).checked_pow(Wide::from(cut))?;
        Some(Self::from_digits(false, &kept.to_string(), i64::from(product_scale - cut)))
    }

    /// The exact sum of two numbers that are not negative; `None` for a negative one, and for more
    /// than 300 digits.
    #[must_use]
    pub fn checked_add(&self, other: &Self) -> Option<Self> {
        let (one, two, scale) = self.aligned(other)?;
        Some(Self::from_digits(false, &one.checked_add(two)?.to_string(), i64::from(scale)))
    }

    /// The exact product of two numbers that are not negative; `None` for a negative one, and for more than 300 digits.
    #[must_use]
    pub fn checked_mul(&self, other: &Self) -> Option<Self> {
        let (one_negative, one, one_scale) = self.parts();
        let (two_negative, two, two_scale) = other.parts();
        if one_negative || two_negative || one.len() + two.len() > 300 {
            return None;
        }
        let wide = |digits: &str| Wide::from_str_radix(digits, 10).ok();
        let product = wide(&one)?.checked_mul(wide(&two)?)?;
        Some(Self::from_digits(false, &product.to_string(), i64::from(one_scale + two_scale)))
    }

    /// Whether it is larger; `None` as for [`checked_add`](Self::checked_add).
    #[must_use]
    pub fn is_larger(&self, other: &Self) -> Option<bool> {
        self.aligned(other).map(|(one, two, _)| one > two)
    }

    /// Both as integers with the same number of fraction digits, and that number.
    fn aligned(&self, other: &Self) -> Option<(Wide, Wide, u32)> {
        let (one_negative, one, one_scale) = self.parts();
        let (two_negative, two, two_scale) = other.parts();
        if one_negative || two_negative {
            return None;
        }
        let scale = one_scale.max(two_scale);
        let units = |digits: String, own: u32| {
            let padded = digits + &"0".repeat((scale - own) as usize);
            // 300 digits always fit the type.
            (padded.len() <= 300).then(|| Wide::from_str_radix(&padded, 10).ok()).flatten()
        };
        Some((units(one, one_scale)?, units(two, two_scale)?, scale))
    }

    /// The text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The nearest float, for rules and charts; never for money that is stored.
    #[must_use]
    pub fn to_f64(&self) -> f64 {
        self.0.parse().unwrap_or(f64::NAN)
    }

    /// Sign, digits without point, and number of fraction digits.
    fn parts(&self) -> (bool, String, u32) {
        let unsigned = self.0.trim_start_matches('-');
        let (whole, fraction) = unsigned.split_once('.').unwrap_or((unsigned, ""));
        (self.0.starts_with('-'), [whole, fraction].concat(), fraction.len() as u32)
    }

    /// Digits with `scale` of them after the point; a negative scale appends zeros.
    fn from_digits(negative: bool, digits: &str, scale: i64) -> Self {
        let mut text = digits.trim_start_matches('0').to_owned();
        if scale <= 0 {
            if !text.is_empty() {
                text.extend(std::iter::repeat_n('0', scale.unsigned_abs() as usize));
            }
        } else {
            let scale = scale.unsigned_abs() as usize;
            if text.len() <= scale {
                text.insert_str(0, &"0".repeat(scale + 1 - text.len()));
            }
            text.insert(text.len() - scale, '.');
            text.truncate(text.trim_end_matches('0').trim_end_matches('.').len());
        }
        if text.is_empty() || text == "0" {
            return Self::zero();
        }
        if negative {
            text.insert(0, '-');
        }
        Self(text)
    }
}

impl fmt::Display for Decimal {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.0)
    }
}

impl Serialize for Decimal {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.0)
    }
}

impl<'de> Deserialize<'de> for Decimal {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_str(DecimalVisitor)
    }
}

struct DecimalVisitor;

impl de::Visitor<'_> for DecimalVisitor {
    type Value = Decimal;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("a decimal number as text, such as \"64000.5\"")
    }

    fn visit_str<E: de::Error>(self, text: &str) -> Result<Decimal, E> {
        Decimal::parse(text).map_err(E::custom)
    }
}

/// Whether a text is in the form that [`Decimal`] writes, so that it can be used unchanged.
fn is_canonical(text: &str) -> bool {
    let unsigned = text.strip_prefix('-').unwrap_or(text);
    let (whole, fraction) = match unsigned.split_once('.') {
        Some((whole, fraction)) => (whole, Some(fraction)),
        None => (unsigned, None),
    };
    let is_digits = |part: &str| part.bytes().all(|byte| byte.is_ascii_digit());
    let whole_is_plain = !whole.is_empty() && (whole == "0" || !whole.starts_with('0'));
    let fraction_is_plain = fraction.is_none_or(|part| !part.is_empty() && !part.ends_with('0'));
    whole_is_plain
        && fraction_is_plain
        && unsigned.len() <= MAX_DIGITS
        && text != "-0"
        && is_digits(whole)
        && fraction.is_none_or(is_digits)
}

impl schemars::JsonSchema for Decimal {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Decimal".into()
    }

    fn inline_schema() -> bool {
        true
    }

    fn json_schema(_generator: &mut schemars::SchemaGenerator) -> schemars::Schema {
        schemars::json_schema!({
            "type": "string",
            "pattern": "^-?[0-9]+(\\.[0-9]+)?$",
            "description": "exact decimal number as text",
        })
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    #[test]
    fn sums_are_exact_and_have_a_bound() {
        let number = |text: &str| Decimal::parse(text).unwrap();
        let sum = |one: &str, two: &str| number(one).checked_add(&number(two));
        assert_eq!(sum("0.1", "0.25"), Some(number("0.35")));
        assert_eq!(sum("999999999999999999999.5", "0.5"), Some(number("1000000000000000000000")));
        assert_eq!(sum("-1", "2"), None);
        assert_eq!(sum(&"9".repeat(301), "1"), None);
        let product = |one: &str, two: &str| number(one).checked_mul(&number(two));
        assert_eq!(product("64000.5", "0.97"), Some(number("62080.485")));
        assert_eq!(product("0", "5"), Some(number("0")));
        assert_eq!(product("1e-12", "1e12"), Some(number("1")));
        assert_eq!(product("-1", "2"), None);
        assert_eq!(product(&"9".repeat(300), "1.5"), None);
        assert_eq!(number("10").is_larger(&number("9.99")), Some(true));
        assert_eq!(number("10").is_larger(&number("10")), Some(false));
    }

    #[test]
    fn numbers_are_written_in_one_form() {
        for (text, expected) in [
            ("64000.50", "64000.5"),
            ("0", "0"),
            ("-0.0", "0"),
            ("007", "7"),
            ("1e-09", "0.000000001"),
            ("1.5E3", "1500"),
            ("-12.30", "-12.3"),
            (".5", "0.5"),
            ("5.", "5"),
            ("100", "100"),
        ] {
            assert_eq!(Decimal::parse(text).unwrap().as_str(), expected, "{text}");
        }
        for text in
            ["", "-", ".", "-.", "1.2.3", "1,5", "nan", "1e999", "0x1", "1e", "--1", "+1", "１"]
        {
            assert!(Decimal::parse(text).is_err(), "{text:?}");
        }
    }

    #[test]
    fn amounts_are_exact_at_any_size() {
        assert_eq!(Decimal::from_units(U256::from(1), 18).as_str(), "0.000000000000000001");
        assert_eq!(Decimal::from_units(U256::from(1_500_000), 6).as_str(), "1.5");
        assert_eq!(Decimal::from_units(U256::ZERO, 18).as_str(), "0");
        assert_eq!(Decimal::from_units(U256::MAX, 0).as_str(), U256::MAX.to_string());
    }

    #[test]
    fn results_can_be_parsed_again() {
        let price = Decimal::parse(&"9".repeat(200)).unwrap();
        for made in [
            Decimal::from_units(U256::from(1), u8::MAX),
            Decimal::from_units(U256::MAX, u8::MAX),
            Decimal::value_of(U256::MAX, 0, &price, 2).unwrap(),
            Decimal::value_of(U256::MAX, 255, &Decimal::parse("0.1").unwrap(), u8::MAX).unwrap(),
            Decimal::parse("1e-398").unwrap(),
            Decimal::parse("1e399").unwrap(),
        ] {
            assert_eq!(Decimal::parse(made.as_str()).unwrap(), made);
        }
        for text in [".5e-399", "1e400", "1e-400"] {
            assert!(Decimal::parse(text).is_err(), "{text}");
        }
    }

    #[test]
    fn values_are_truncated_and_never_rounded_up() {
        let price = Decimal::parse("1.999").unwrap();
        let one = U256::from(1_000_000);
        assert_eq!(Decimal::value_of(one, 6, &price, 2).unwrap().as_str(), "1.99");
        let whole = Decimal::parse("64000").unwrap();
        assert_eq!(Decimal::value_of(one, 6, &whole, 2).unwrap().as_str(), "64000");
        assert!(Decimal::value_of(U256::MAX, 255, &price, 2).is_some());
        assert!(Decimal::value_of(one, 6, &Decimal::parse("-1").unwrap(), 2).is_none());
    }
}
