//! What templates write numbers, amounts of money, addresses and times with.

use crypto_intel_schemas::{Decimal, Explorers};
use minijinja::{Environment, Error, ErrorKind, value::Value};

/// What an absent field is written as.
pub(crate) const ABSENT: &str = "?";

/// Adds `num`, `usd`, `short`, `time`, `default`, and `explorer` for well-known chains.
pub(crate) fn register(environment: &mut Environment<'static>) {
    environment.add_filter("num", num);
    environment.add_filter("usd", usd);
    environment.add_filter("short", short);
    environment.add_filter("time", time);
    environment.add_filter("default", default);
    add_explorers(environment, Explorers::default());
}

/// Adds `explorer`: the address of the block explorer of a chain id, without a slash at its end; empty where none is known.
pub(crate) fn add_explorers(environment: &mut Environment<'static>, explorers: Explorers) {
    let explorer = move |chain_id: u64| explorers.of(chain_id).unwrap_or_default().to_owned();
    environment.add_function("explorer", explorer);
}

/// `1234567.891` → `1,234,567.891`; at most `places` (4) fraction digits, cut and never rounded up.
fn num(value: &Value, places: Option<usize>) -> Result<String, Error> {
    decimal_or_absent(value, "num", |number| grouped(number, places.unwrap_or(4)))
}

/// `12500000` → `$12.5M`, `1234.5` → `$1,234`, `12.345` → `$12.34`.
fn usd(value: &Value) -> Result<String, Error> {
    decimal_or_absent(value, "usd", dollars)
}

/// What the filter `usd` writes for a decimal number.
pub(crate) fn dollars(number: &str) -> String {
    let (sign, digits) = number.strip_prefix('-').map_or(("", number), |rest| ("-", rest));
    let whole = digits.split('.').next().unwrap_or_default();
    let shown = match whole.len() {
        0..=3 => grouped(digits, 2),
        4..=6 => grouped(whole, 0),
        7..=9 => shortened(whole, 6, "M"),
        10..=12 => shortened(whole, 9, "B"),
        _ => shortened(whole, 12, "T"),
    };
    match shown.strip_prefix('<') {
        Some(bound) => format!("<{sign}${bound}"),
        None => format!("{sign}${shown}"),
    }
}

/// `0x28c6c06298d514db089934071355e5743bf21d60` → `0x28c6…1d60`, and with its label, where it has one, `Exchange (0x28c6…1d60)`.
fn short(value: &Value, label: Option<&Value>) -> String {
    let address = shortened_address(value);
    let label = label.filter(|label| !label.is_none() && !label.is_undefined());
    match label.map(Value::to_string).filter(|label| !label.is_empty()) {
        Some(label) => format!("{label} ({address})"),
        None => address,
    }
}

fn shortened_address(value: &Value) -> String {
    shortened_hex(&text_of(value))
}

/// What the filter `short` writes for an address or hash.
pub(crate) fn shortened_hex(text: &str) -> String {
    if !text.starts_with("0x") || text.len() <= 12 || !text.is_ascii() {
        return text.to_owned();
    }
    format!("{}…{}", &text[..6], &text[text.len() - 4..])
}

/// Microseconds → `14:03:22 UTC`.
fn time(value: &Value) -> Result<String, Error> {
    if value.is_none() {
        return Ok(ABSENT.to_owned());
    }
    let invalid = || Error::new(ErrorKind::InvalidOperation, "time needs microseconds");
    let micros = value.as_i64().ok_or_else(invalid)?;
    let timestamp = jiff::Timestamp::from_microsecond(micros).map_err(|_| invalid())?;
    Ok(timestamp.strftime("%H:%M:%S UTC").to_string())
}

/// `fallback` where the field is absent.
fn default(value: Value, fallback: Value) -> Value {
    if value.is_none() || value.is_undefined() { fallback } else { value }
}

fn text_of(value: &Value) -> String {
    if value.is_none() { ABSENT.to_owned() } else { value.to_string() }
}

fn decimal_or_absent(
    value: &Value,
    filter: &str,
    show: impl FnOnce(&str) -> String,
) -> Result<String, Error> {
    if value.is_none() {
        return Ok(ABSENT.to_owned());
    }
    let number = Decimal::parse(&value.to_string()).map_err(|error| {
        Error::new(ErrorKind::InvalidOperation, format!("{filter} needs a number: {error}"))
    })?;
    Ok(show(number.as_str()))
}

/// What the filter `num` writes for a decimal number.
pub(crate) fn grouped(number: &str, places: usize) -> String {
    let (sign, digits) = number.strip_prefix('-').map_or(("", number), |rest| ("-", rest));
    let (whole, fraction) = digits.split_once('.').unwrap_or((digits, ""));
    let fraction = fraction.get(..places).unwrap_or(fraction).trim_end_matches('0');
    let nothing_left = whole == "0" && fraction.is_empty();
    if nothing_left && digits != "0" {
        // One wei is not nothing.
        return match places {
            0 => format!("<{sign}1"),
            _ => format!("<{sign}0.{}1", "0".repeat(places - 1)),
        };
    }
    let mut shown = String::from(sign);
    for (index, digit) in whole.chars().enumerate() {
        if index > 0 && (whole.len() - index).is_multiple_of(3) {
            shown.push(',');
        }
        shown.push(digit);
    }
    if !fraction.is_empty() {
        shown.push('.');
        shown.push_str(fraction);
    }
    shown
}

/// Whole digits in units of 10^`exponent`, two fraction digits, cut.
fn shortened(whole: &str, exponent: usize, unit: &str) -> String {
    let (head, tail) = whole.split_at(whole.len() - exponent);
    let fraction = tail[..2].trim_end_matches('0');
    let head = grouped(head, 0);
    if fraction.is_empty() { format!("{head}{unit}") } else { format!("{head}.{fraction}{unit}") }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    #[test]
    fn numbers_are_grouped_and_cut_but_never_rounded_up() {
        let shown = |text: &str| num(&Value::from(text), None).unwrap();
        assert_eq!(shown("1234567.89019"), "1,234,567.8901");
        assert_eq!(shown("999.99999"), "999.9999");
        assert_eq!(shown("0.000000000000000001"), "<0.0001");
        assert_eq!(shown("0"), "0");
        assert_eq!(shown("-1234.5"), "-1,234.5");
        assert_eq!(num(&Value::from(250_000), Some(0)).unwrap(), "250,000");
        assert_eq!(num(&Value::from(()), None).unwrap(), ABSENT);
        assert!(num(&Value::from("abc"), None).is_err());
        let largest = crypto_intel_schemas::U256::MAX.to_string();
        assert_eq!(shown(&largest).replace(',', ""), largest);
    }

    #[test]
    fn money_is_short() {
        let shown = |text: &str| usd(&Value::from(text)).unwrap();
        for (text, expected) in [
            ("12500000", "$12.5M"),
            ("12599999.99", "$12.59M"),
            ("999999.99", "$999,999"),
            ("1000000", "$1M"),
            ("2300000000", "$2.3B"),
            ("4000000000000", "$4T"),
            ("12.345", "$12.34"),
            ("0.001", "<$0.01"),
            ("-1500.2", "-$1,500"),
        ] {
            assert_eq!(shown(text), expected);
        }
    }

    #[test]
    fn addresses_and_times_are_short() {
        let address = "0x28c6c06298d514db089934071355e5743bf21d60";
        let bare = |text| short(&Value::from(text), None);
        assert_eq!((bare(address).as_str(), bare("binance").as_str()), ("0x28c6…1d60", "binance"));
        let named = |label| short(&Value::from(address), Some(&label));
        assert_eq!(named(Value::from("Exchange 14")), "Exchange 14 (0x28c6…1d60)");
        assert_eq!(named(Value::from(())), "0x28c6…1d60", "no label is known");
        assert_eq!(time(&Value::from(1_700_000_000_000_000_i64)).unwrap(), "22:13:20 UTC");
        assert!(time(&Value::from("noon")).is_err());
    }
}
