//! Exact calculation with decimals for filters, where jq itself calculates in floating point: `dec_add(x)`, `dec_sub(x)`,
//! `dec_mul(x)`, `dec_div(x)`, `scale(n)` and `from_hex`. Each takes a number or a text and gives a text.

use crypto_intel_schemas::Decimal;
use jaq_core::{
    DataT, Error, RunPtr,
    native::{Filter, Fun, bome, run, unary, v},
};
use jaq_json::{Num, Val};
use num_bigint::BigInt;

/// Digits that a quotient has where it does not end earlier; further ones are cut off.
const QUOTIENT_DIGITS: usize = 40;
/// Most hexadecimal digits: a number of 1,024 bits.
const MAX_HEX_DIGITS: usize = 256;
/// Farthest that `scale` moves the point.
const MAX_SCALE: i64 = 200;

/// The functions, by name.
pub(super) fn functions<D: for<'a> DataT<V<'a> = Val>>() -> impl Iterator<Item = Fun<D>> {
    named().into_vec().into_iter().map(run)
}

fn named<D: for<'a> DataT<V<'a> = Val>>() -> Box<[Filter<RunPtr<D>>]> {
    Box::new([
        ("dec_add", v(1), |cv| unary(cv, |one, two| calculated(&one, &two, Exact::add))),
        ("dec_sub", v(1), |cv| unary(cv, |one, two| calculated(&one, &two, Exact::subtract))),
        ("dec_mul", v(1), |cv| unary(cv, |one, two| calculated(&one, &two, Exact::multiply))),
        ("dec_div", v(1), |cv| unary(cv, |one, two| calculated(&one, &two, Exact::divide))),
        ("scale", v(1), |cv| unary(cv, |one, places| text(scaled(&one, &places)))),
        ("from_hex", v(0), |cv| bome(text(from_hex(&cv.1)))),
    ])
}

type Calculated = Result<Val, Error<Val>>;

fn text(result: Result<String, String>) -> Calculated {
    result.map(Val::utf8_str).map_err(Error::str)
}

fn calculated(
    one: &Val,
    two: &Val,
    operation: fn(Exact, Exact) -> Result<Exact, String>,
) -> Calculated {
    let result = || operation(Exact::of(one)?, Exact::of(two)?)?.text();
    text(result())
}

fn scaled(number: &Val, places: &Val) -> Result<String, String> {
    let places = match places {
        Val::Num(number) => number.as_isize().and_then(|places| i64::try_from(places).ok()),
        Val::TStr(bytes) => std::str::from_utf8(bytes).ok().and_then(|text| text.parse().ok()),
        _ => None,
    };
    let places = places
        .filter(|places| (-MAX_SCALE..=MAX_SCALE).contains(places))
        .ok_or_else(|| format!("scale takes a whole number from -{MAX_SCALE} to {MAX_SCALE}"))?;
    let exact = Exact::of(number)?;
    Exact { scale: exact.scale - places, ..exact }.text()
}

fn from_hex(value: &Val) -> Result<String, String> {
    let refuse = || format!("{value} is no hexadecimal number such as \"0x1a\"");
    let Val::TStr(bytes) = value else { return Err(refuse()) };
    let written = std::str::from_utf8(bytes).map_err(|_| refuse())?;
    let digits = written.strip_prefix("0x").unwrap_or(written);
    if digits.len() > MAX_HEX_DIGITS || !digits.bytes().all(|byte| byte.is_ascii_hexdigit()) {
        return Err(refuse());
    }
    if digits.is_empty() {
        // `0x` is how some nodes write nothing.
        return if written.is_empty() { Err(refuse()) } else { Ok("0".to_owned()) };
    }
    let number = BigInt::parse_bytes(digits.as_bytes(), 16).ok_or_else(refuse)?;
    Ok(number.to_string())
}

/// `units` / 10^`scale`.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Exact {
    units: BigInt,
    scale: i64,
}

impl Exact {
    fn of(value: &Val) -> Result<Self, String> {
        let written = match value {
            Val::Num(Num::Float(_)) => {
                return Err(format!(
                    "{value} was computed in floating point, which is not exact: use dec_add, dec_sub, dec_mul, \
                     dec_div or scale from the beginning"
                ));
            }
            Val::Num(number) => number.to_string(),
            Val::TStr(bytes) => String::from_utf8_lossy(bytes).trim().to_owned(),
            _ => return Err(format!("{value} is neither a number nor a text")),
        };
        let decimal = Decimal::parse(&written).map_err(|error| error.to_string())?;
        let (whole, fraction) = decimal.as_str().split_once('.').unwrap_or((decimal.as_str(), ""));
        let units = [whole, fraction].concat();
        let units = units.parse().map_err(|_| format!("{written:?} is not a decimal number"))?;
        Ok(Self { units, scale: fraction.len() as i64 })
    }

    fn text(&self) -> Result<String, String> {
        // An exponent that the decimal type writes out, or refuses when it is too long.
        let written = format!("{}e{}", self.units, -self.scale);
        let decimal =
            Decimal::parse(&written).map_err(|_| "the result has too many digits".to_owned());
        Ok(decimal?.as_str().to_owned())
    }

    /// Both with the same scale.
    fn aligned(self, other: Self) -> (BigInt, BigInt, i64) {
        let scale = self.scale.max(other.scale);
        let units = |exact: Self| exact.units * ten_to(scale - exact.scale);
        (units(self), units(other), scale)
    }

    fn add(self, other: Self) -> Result<Self, String> {
        let (one, two, scale) = self.aligned(other);
        Ok(Self { units: one + two, scale })
    }

    fn subtract(self, other: Self) -> Result<Self, String> {
        let (one, two, scale) = self.aligned(other);
        Ok(Self { units: one - two, scale })
    }

    fn multiply(self, other: Self) -> Result<Self, String> {
        Ok(Self { units: self.units * other.units, scale: self.scale + other.scale })
    }

    fn divide(self, other: Self) -> Result<Self, String> {
        if other.units == BigInt::ZERO {
            return Err("division by 0".to_owned());
        }
        let digits = |units: &BigInt| units.magnitude().to_string().len();
        let missing =
            (QUOTIENT_DIGITS + digits(&other.units)).saturating_sub(digits(&self.units)) as i64;
        let units = self.units * ten_to(missing) / other.units;
        Ok(Self { units, scale: self.scale + missing - other.scale })
    }
}

/// Ten to a power that is not negative.
fn ten_to(power: i64) -> BigInt {
    BigInt::from(10).pow(u32::try_from(power).unwrap_or(0))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use crate::mapping::filter::{Filter, Variables, read_json};

    fn run(filter: &str, input: &str) -> Result<String, String> {
        let outputs =
            Filter::compile(filter)?.run(read_json(input.as_bytes())?, &Variables::none())?;
        Ok(outputs.iter().map(ToString::to_string).collect::<Vec<_>>().join(" "))
    }

    #[test]
    fn decimals_are_calculated_exactly() {
        for (filter, input, output) in [
            ("dec_add(0.2)", "0.1", "\"0.3\""),
            ("dec_add(\"-0.3\")", "0.1", "\"-0.2\""),
            (".a | dec_sub($parameters | 1)", "{\"a\": \"1.10\"}", "\"0.1\""),
            ("dec_mul(.)", "-1.5e-9", "\"0.00000000000000000225\""),
            ("dec_mul(1e3)", "12345678901234567890.5", "\"12345678901234567890500\""),
            ("dec_div(3)", "1", "\"0.3333333333333333333333333333333333333333\""),
            ("dec_div(8)", "-1", "\"-0.125\""),
            ("dec_div(1e-18)", "21", "\"21000000000000000000\""),
            ("dec_div(7)", "0", "\"0\""),
            ("scale(-9)", "\"23456789012\"", "\"23.456789012\""),
            ("scale(\"2\")", "0.125", "\"12.5\""),
            ("from_hex", "\"0x1a\"", "\"26\""),
            ("from_hex", "\"Ff\"", "\"255\""),
            ("from_hex", "\"0x\"", "\"0\""),
            ("from_hex | scale(-18)", "\"0xde0b6b3a7640000\"", "\"1\""),
            ("[.[] | dec_add(.)]", "[1, \"2\"]", "[\"2\",\"4\"]"),
            ("dec_mul(.b)", "2", "error"),
        ] {
            let shown = run(filter, input).unwrap_or_else(|_| "error".to_owned());
            assert_eq!(shown, output, "{input} | {filter}");
        }
    }

    #[test]
    fn what_is_not_exact_or_no_number_is_refused() {
        for (filter, input, problem) in [
            ("(. * 1.1) | dec_add(1)", "1.1", "floating point"),
            ("dec_add(. / 3)", "1", "floating point"),
            ("dec_add(1)", "null", "neither a number nor a text"),
            ("dec_add(1)", "\"1,000\"", "not a decimal"),
            ("dec_div(0)", "1", "division by 0"),
            ("scale(1.5)", "1", "whole number"),
            ("scale(100000)", "1", "whole number"),
            ("from_hex", "\"0xzz\"", "no hexadecimal"),
            ("from_hex", "26", "no hexadecimal"),
            ("from_hex", "\"\"", "no hexadecimal"),
            ("reduce range(12) as $i (.; dec_mul(.))", "\"10000000001\"", "too many digits"),
            ("dec_mul(1e300) | dec_mul(1e300)", "1", "too many digits"),
        ] {
            let error = run(filter, input).unwrap_err();
            assert!(error.contains(problem), "{input} | {filter}: {error}");
        }
    }
}
