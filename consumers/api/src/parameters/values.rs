//! What a parameter may be. A value is read exactly as it is described: what fits the description is taken, nothing else.

use crypto_intel_schemas::{Address, B256};
use crypto_intel_service::now_us;
use serde_json::Value as Json;
use utoipa::openapi::{
    RefOr, Schema,
    schema::{ObjectBuilder, Type},
};

const MICROSECONDS: i64 = 1_000_000;
/// 1970 to 2100: all that a block, a price or an alert can be of.
const LAST_MOMENT_US: i64 = 4_102_444_800 * MICROSECONDS;

/// A value of a parameter.
pub(crate) trait Value: Sized {
    /// Reads it.
    ///
    /// # Errors
    /// What is wrong, and how to correct it.
    fn parse(text: &str) -> Result<Self, String>;

    /// Describes it.
    fn schema() -> RefOr<Schema>;
}

fn text_schema(pattern: &str, example: &str) -> RefOr<Schema> {
    ObjectBuilder::new()
        .schema_type(Type::String)
        .pattern(Some(pattern))
        .examples([Json::from(example)])
        .into()
}

fn number_schema(least: i64, most: i64) -> ObjectBuilder {
    ObjectBuilder::new().schema_type(Type::Integer).minimum(Some(least)).maximum(Some(most))
}

fn digits<T: std::str::FromStr>(text: &str) -> Option<T> {
    let is_plain = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    if is_plain { text.parse().ok() } else { None }
}

/// The name of a chain.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct ChainSlug(pub(crate) String);

impl Value for ChainSlug {
    fn parse(text: &str) -> Result<Self, String> {
        let is_slug = (1..=32).contains(&text.len())
            && text.bytes().all(|byte| matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'-'));
        if is_slug {
            Ok(Self(text.to_owned()))
        } else {
            Err("it is no chain: write its name, such as ethereum; /api/v1/chains lists them"
                .into())
        }
    }

    fn schema() -> RefOr<Schema> {
        text_schema("^[a-z0-9-]{1,32}$", "ethereum")
    }
}

/// An address of an EVM chain.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct AddressValue(pub(crate) Address);

fn hex_of<T: std::str::FromStr>(text: &str, digits: usize) -> Option<T> {
    let hex = text.strip_prefix("0x")?;
    let is_hex = hex.len() == digits && hex.bytes().all(|byte| byte.is_ascii_hexdigit());
    if is_hex { text.parse().ok() } else { None }
}

impl Value for AddressValue {
    fn parse(text: &str) -> Result<Self, String> {
        hex_of(text, 40)
            .map(Self)
            .ok_or_else(|| "it is no address: write 0x and 40 hex digits".into())
    }

    fn schema() -> RefOr<Schema> {
        text_schema("^0x[0-9a-fA-F]{40}$", "0xd8da6bf26964af9d7eed9e03e53415d37aa96045")
    }
}

/// A hash of a block or transaction.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct HashValue(pub(crate) B256);

impl Value for HashValue {
    fn parse(text: &str) -> Result<Self, String> {
        hex_of(text, 64).map(Self).ok_or_else(|| "it is no hash: write 0x and 64 hex digits".into())
    }

    fn schema() -> RefOr<Schema> {
        let example = "0x9fc76417374aa880d4449a1f7f31ec597f00b1f6f3dd2d66f4c9c6c445836d8b";
        text_schema("^0x[0-9a-fA-F]{64}$", example)
    }
}

/// How many items a page has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Limit(pub(crate) u32);

impl Limit {
    const MAX: u32 = 1_000;

    /// What was asked for, or the default.
    pub(crate) fn or_default(limit: Option<Self>) -> u32 {
        limit.map_or(50, |limit| limit.0)
    }
}

impl Value for Limit {
    fn parse(text: &str) -> Result<Self, String> {
        digits(text)
            .filter(|limit| (1..=Self::MAX).contains(limit))
            .map(Self)
            .ok_or_else(|| format!("write a number from 1 to {}", Self::MAX))
    }

    fn schema() -> RefOr<Schema> {
        number_schema(1, Self::MAX.into()).default(Some(Json::from(50))).into()
    }
}

/// A number from `LEAST` to `MOST`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Between<const LEAST: u32, const MOST: u32, const DEFAULT: u32>(pub(crate) u32);

impl<const LEAST: u32, const MOST: u32, const DEFAULT: u32> Between<LEAST, MOST, DEFAULT> {
    /// What was asked for, or the default.
    pub(crate) fn or_default(number: Option<Self>) -> u32 {
        number.map_or(DEFAULT, |number| number.0)
    }
}

impl<const LEAST: u32, const MOST: u32, const DEFAULT: u32> Value
    for Between<LEAST, MOST, DEFAULT>
{
    fn parse(text: &str) -> Result<Self, String> {
        digits(text)
            .filter(|number| (LEAST..=MOST).contains(number))
            .map(Self)
            .ok_or_else(|| format!("write a number from {LEAST} to {MOST}"))
    }

    fn schema() -> RefOr<Schema> {
        number_schema(LEAST.into(), MOST.into()).default(Some(Json::from(DEFAULT))).into()
    }
}

/// A number of a block.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct BlockNumber(pub(crate) u64);

impl Value for BlockNumber {
    fn parse(text: &str) -> Result<Self, String> {
        digits(text)
            .filter(|number| *number <= i64::MAX.unsigned_abs())
            .map(Self)
            .ok_or_else(|| "it is no block number: write digits".into())
    }

    fn schema() -> RefOr<Schema> {
        number_schema(0, i64::MAX).into()
    }
}

/// A moment, microseconds UTC.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Moment(pub(crate) i64);

impl Value for Moment {
    fn parse(text: &str) -> Result<Self, String> {
        let moment = if let Some(ago) = text.strip_prefix('-') {
            age_us(ago).map(|ago| now_us().saturating_sub(ago))
        } else if let Some(seconds) = digits::<i64>(text) {
            seconds.checked_mul(MICROSECONDS)
        } else {
            text.parse::<jiff::Timestamp>().ok().map(jiff::Timestamp::as_microsecond)
        };
        moment.filter(|moment| (0..=LAST_MOMENT_US).contains(moment)).map(Self).ok_or_else(|| {
            "it is no moment: write 2026-01-31T12:00:00Z, seconds since 1970, or a time ago such as -24h".into()
        })
    }

    fn schema() -> RefOr<Schema> {
        ObjectBuilder::new()
            .schema_type(Type::String)
            .description(Some(
                "A time as in RFC 3339, seconds since 1970, or a time ago: -90s, -10m, -24h, -7d.",
            ))
            .examples([Json::from("-24h")])
            .into()
    }
}

/// A span such as `90d`, in microseconds.
pub(crate) fn age_us(text: &str) -> Option<i64> {
    let (number, unit) = text.split_at_checked(text.len().checked_sub(1)?)?;
    let seconds = match unit {
        "s" => 1,
        "m" => 60,
        "h" => 3_600,
        "d" => 86_400,
        _ => return None,
    };
    digits::<i64>(number)?.checked_mul(seconds * MICROSECONDS)
}

/// `true` or `false`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Flag(pub(crate) bool);

impl Value for Flag {
    fn parse(text: &str) -> Result<Self, String> {
        text.parse().map(Self).map_err(|_| "write true or false".into())
    }

    fn schema() -> RefOr<Schema> {
        ObjectBuilder::new().schema_type(Type::Boolean).into()
    }
}

/// An amount of US dollars.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Dollars(pub(crate) String);

impl Value for Dollars {
    fn parse(text: &str) -> Result<Self, String> {
        let (whole, fraction) = text.split_once('.').unwrap_or((text, "0"));
        let is_number = |digits: &str, most: usize| {
            (1..=most).contains(&digits.len()) && digits.bytes().all(|byte| byte.is_ascii_digit())
        };
        if is_number(whole, 15) && is_number(fraction, 6) {
            Ok(Self(text.to_owned()))
        } else {
            Err("it is no amount of dollars: write one such as 100000 or 0.5".into())
        }
    }

    fn schema() -> RefOr<Schema> {
        text_schema(r"^[0-9]{1,15}(\.[0-9]{1,6})?$", "100000")
    }
}

/// A name that others gave: a rule, a label, a tag, an asset.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Name(pub(crate) String);

impl Name {
    const MAX: usize = 128;
}

impl Value for Name {
    fn parse(text: &str) -> Result<Self, String> {
        let length = text.chars().count();
        if (1..=Self::MAX).contains(&length) && !text.chars().any(char::is_control) {
            Ok(Self(text.to_owned()))
        } else {
            Err(format!("write 1 to {} printable characters", Self::MAX))
        }
    }

    fn schema() -> RefOr<Schema> {
        let pattern = r"^[^\u0000-\u001F\u007F-\u009F]{1,128}$";
        ObjectBuilder::new().schema_type(Type::String).pattern(Some(pattern)).into()
    }
}

/// Where a page begins, as an answer before said; `crate::cursor` reads it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct CursorText(pub(crate) String);

impl Value for CursorText {
    fn parse(text: &str) -> Result<Self, String> {
        let is_text = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_');
        if (1..=512).contains(&text.len()) && text.bytes().all(is_text) {
            Ok(Self(text.to_owned()))
        } else {
            Err("it is no cursor: take `next` or `prev` of an answer, or leave it out".into())
        }
    }

    fn schema() -> RefOr<Schema> {
        ObjectBuilder::new()
            .schema_type(Type::String)
            .pattern(Some("^[A-Za-z0-9_-]{1,512}$"))
            .into()
    }
}

/// Implements [`Value`] for a type that is one of a few words.
macro_rules! one_of {
    ($type:ty, [$($word:literal => $value:expr),+ $(,)?]) => {
        impl $crate::parameters::values::Value for $type {
            fn parse(text: &str) -> Result<Self, String> {
                match text {
                    $( $word => Ok($value), )+
                    _ => Err(format!("use one of {}", [$($word),+].join(", "))),
                }
            }

            fn schema() -> utoipa::openapi::RefOr<utoipa::openapi::Schema> {
                utoipa::openapi::schema::ObjectBuilder::new()
                    .schema_type(utoipa::openapi::schema::Type::String)
                    .enum_values(Some([$($word),+]))
                    .into()
            }
        }
    };
}
pub(crate) use one_of;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn moments_are_times_seconds_and_ages() {
        assert_eq!(Moment::parse("1970-01-01T00:00:02Z"), Ok(Moment(2_000_000)));
        assert_eq!(Moment::parse("1970-01-01T01:00:00.5+01:00"), Ok(Moment(500_000)));
        assert_eq!(Moment::parse("1700000000"), Ok(Moment(1_700_000_000_000_000)));
        let day_ago = Moment::parse("-24h").unwrap().0;
        assert!((now_us() - day_ago - 86_400_000_000).abs() < 5_000_000);
        for wrong in [
            "",
            "-",
            "-h",
            "-5x",
            "--5h",
            "-ß",
            "yesterday",
            "99999999999999",
            "-99999999999d",
            "2200-01-01T00:00:00Z",
        ] {
            assert!(Moment::parse(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn values_are_taken_as_they_are_described() {
        assert!(AddressValue::parse("0xd8dA6BF26964aF9D7eEd9e03E53415D37aA96045").is_ok());
        for wrong in [
            "",
            "0x",
            "d8dA6BF26964aF9D7eEd9e03E53415D37aA96045",
            "0xg8dA6BF26964aF9D7eEd9e03E53415D37aA96045",
        ] {
            assert!(AddressValue::parse(wrong).is_err(), "{wrong}");
        }
        for wrong in ["0", "1001", "+5", "5.0", " 5", "", "99999999999999999999"] {
            assert!(Limit::parse(wrong).is_err(), "{wrong}");
        }
        assert!(Dollars::parse("0.5").is_ok() && Dollars::parse("100000").is_ok());
        for wrong in ["", ".5", "5.", "-1", "1e9", "1.0.0", "1234567890123456"] {
            assert!(Dollars::parse(wrong).is_err(), "{wrong}");
        }
        assert!(BlockNumber::parse("9223372036854775808").is_err());
        assert!(Name::parse("a\u{7}").is_err() && Name::parse("größer").is_ok());
    }
}
