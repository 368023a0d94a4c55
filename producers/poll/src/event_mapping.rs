use crypto_intel_schemas::{Decimal, Event, Index, Kind, Price, polled_event_id};
use jaq_json::{Map, Num, Val};

use crate::filter::shorten;

/// The years from 2009 to tomorrow: times outside are in another unit than the field's name says.
const EARLIEST_US: i64 = 1_230_768_000_000_000;
const FUTURE_US: i64 = 86_400_000_000;
/// Longest asset id, quote or index name, bytes.
const MAX_NAME: usize = 128;

const PRICE_FIELDS: &[&str] =
    &["asset", "quote", "price", "volume_24h", "market_cap", "change_24h_percent"];
const INDEX_FIELDS: &[&str] = &["index", "value", "classification"];
const TIME_FIELDS: &[&str] = &["at_s", "at_ms", "at_us", "at"];

/// Origin of an object.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Origin<'a> {
    /// Name of the provider, which becomes the event's `source`.
    pub(crate) provider: &'a str,
    /// Kind of the event.
    pub(crate) kind: Kind,
    /// Beginning of the schedule slot, microseconds: the time of an object without one.
    pub(crate) slot_us: i64,
    /// When the answer arrived, microseconds.
    pub(crate) observed_at_us: i64,
}

/// Kinds that a provider can give.
pub(crate) const POLLED_KINDS: &[Kind] = &[Kind::Price, Kind::Index];

/// Turns the output of a filter into an event.
///
/// # Errors
/// What is wrong with the object, and the object itself.
pub(crate) fn event_of(value: &Val, origin: Origin<'_>) -> Result<Event, String> {
    let built = match value {
        Val::Obj(map) => build(&Fields(map), origin),
        _ => Err(format!("is not an object with the fields of a {}", origin.kind)),
    };
    built.map_err(|problem| format!("{problem}; produced: {}", shorten(&value.to_string(), 300)))
}

/// What an event is about, as `expects` of an endpoint lists it.
pub(crate) fn key_of(event: &Event) -> String {
    match event {
        Event::Price(price) => format!("{}/{}", price.asset, price.quote),
        Event::Index(index) => index.index.clone(),
        other => other.id().to_owned(),
    }
}

fn build(fields: &Fields<'_>, origin: Origin<'_>) -> Result<Event, String> {
    let time_us = fields.time(origin.observed_at_us)?.unwrap_or(origin.slot_us);
    let mut event = match origin.kind {
        Kind::Price => {
            fields.refuse_others(PRICE_FIELDS)?;
            let price = fields.decimal("price")?.ok_or("lacks price")?;
            if price.as_str().starts_with('-') || price == Decimal::zero() {
                return Err(format!("price {price} is not above 0"));
            }
            Event::Price(Price {
                asset: fields.name("asset")?,
                quote: fields.name("quote")?,
                price,
                volume_24h: fields.decimal("volume_24h")?,
                market_cap: fields.decimal("market_cap")?,
                change_24h_percent: fields.decimal("change_24h_percent")?,
                ..Price::at(origin.provider, time_us, origin.observed_at_us)
            })
        }
        Kind::Index => {
            fields.refuse_others(INDEX_FIELDS)?;
            Event::Index(Index {
                index: fields.name("index")?,
                value: fields.decimal("value")?.ok_or("lacks value")?,
                classification: fields.text("classification")?.map(str::to_owned),
                ..Index::at(origin.provider, time_us, origin.observed_at_us)
            })
        }
        other => return Err(format!("kind {other} cannot be polled")),
    };
    let id = polled_event_id(origin.provider, origin.kind, &key_of(&event), time_us);
    match &mut event {
        Event::Price(price) => price.id = id,
        Event::Index(index) => index.id = id,
        _ => {}
    }
    Ok(event)
}

/// The fields of one object; null is absent.
struct Fields<'a>(&'a Map<Val, Val>);

impl<'a> Fields<'a> {
    fn get(&self, name: &'static str) -> Option<&'a Val> {
        self.0.get(&Val::utf8_str(name)).filter(|value| !matches!(value, Val::Null))
    }

    fn refuse_others(&self, known: &[&str]) -> Result<(), String> {
        for key in self.0.keys() {
            let name = text_of(key).unwrap_or("?");
            if !known.contains(&name) && !TIME_FIELDS.contains(&name) {
                let fields = [known, TIME_FIELDS].concat().join(", ");
                return Err(format!("has the unknown field {name:?}; known are {fields}"));
            }
        }
        Ok(())
    }

    fn text(&self, name: &'static str) -> Result<Option<&'a str>, String> {
        match self.get(name) {
            None => Ok(None),
            Some(value) => text_of(value).map(Some).ok_or_else(|| format!("{name} is not a text")),
        }
    }

    /// A lower-case name of an asset, quote or index.
    fn name(&self, name: &'static str) -> Result<String, String> {
        let text = self.text(name)?.ok_or_else(|| format!("lacks {name}"))?;
        let plain = |c: char| !c.is_control() && !c.is_whitespace() && !c.is_uppercase();
        if text.is_empty() || text.len() > MAX_NAME || !text.chars().all(plain) {
            return Err(format!(
                "{name} {:?} is not a lower-case name without spaces",
                shorten(text, 40)
            ));
        }
        Ok(text.to_owned())
    }

    fn decimal(&self, name: &'static str) -> Result<Option<Decimal>, String> {
        let Some(value) = self.get(name) else { return Ok(None) };
        let text = number_text(name, value)?;
        Decimal::parse(&text).map(Some).map_err(|error| format!("{name}: {error}"))
    }

    /// The one time field, in microseconds.
    fn time(&self, observed_at_us: i64) -> Result<Option<i64>, String> {
        let mut found = TIME_FIELDS.iter().filter_map(|name| Some((*name, self.get(name)?)));
        let Some((name, value)) = found.next() else { return Ok(None) };
        if let Some((second, _)) = found.next() {
            return Err(format!("has two times, {name} and {second}"));
        }
        let time_us = match name {
            "at_s" => whole(name, value)?.checked_mul(1_000_000),
            "at_ms" => whole(name, value)?.checked_mul(1_000),
            "at_us" => Some(whole(name, value)?),
            _ => {
                let text = text_of(value).ok_or_else(|| format!("{name} is not a text"))?;
                let time = text.parse::<jiff::Timestamp>();
                Some(time.map_err(|error| format!("{name} is no time: {error}"))?.as_microsecond())
            }
        };
        time_us
            .filter(|time| (EARLIEST_US..=observed_at_us.saturating_add(FUTURE_US)).contains(time))
            .map(Some)
            .ok_or_else(|| {
                format!("{name} {value} is not between 2009 and now: is it in another unit?")
            })
    }
}

fn text_of(value: &Val) -> Option<&str> {
    match value {
        Val::TStr(bytes) => std::str::from_utf8(bytes).ok(),
        _ => None,
    }
}

/// The digits of a number or a text, as the provider wrote them.
fn number_text(name: &str, value: &Val) -> Result<String, String> {
    match value {
        Val::Num(Num::Float(_)) => Err(format!(
            "{name} was computed in floating point, which is not exact: pass the number on as it is"
        )),
        Val::Num(number) => Ok(number.to_string()),
        other => text_of(other)
            .map(str::to_owned)
            .ok_or_else(|| format!("{name} is neither a number nor a text")),
    }
}

fn whole(name: &str, value: &Val) -> Result<i64, String> {
    number_text(name, value)?
        .parse::<i64>()
        .map_err(|_| format!("{name} {value} is not a whole number"))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::panic)]

    use super::*;
    use crate::filter::{Filter, read_json};

    const SLOT: i64 = 1_700_000_000_000_000;

    fn origin(kind: Kind) -> Origin<'static> {
        Origin { provider: "p", kind, slot_us: SLOT, observed_at_us: SLOT + 5 }
    }

    fn price(object: &str) -> Result<Price, String> {
        match event_of(&read_json(object.as_bytes()).unwrap(), origin(Kind::Price))? {
            Event::Price(price) => Ok(price),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn prices_are_exact_however_they_are_written() {
        for (written, exact) in [
            ("64000.12", "64000.12"),
            ("1e-09", "0.000000001"),
            ("\"0.29628482\"", "0.29628482"),
            ("76975", "76975"),
            ("0.1", "0.1"),
            ("1542226908349.840612345678901234", "1542226908349.840612345678901234"),
            ("123456789012345678901234567890", "123456789012345678901234567890"),
        ] {
            let object = format!(r#"{{"asset": "a", "quote": "usd", "price": {written}}}"#);
            assert_eq!(price(&object).unwrap().price.as_str(), exact);
        }
    }

    #[test]
    fn a_computed_price_is_refused() {
        let filter = Filter::compile("{asset: \"a\", quote: \"usd\", price: (.p * 1.1)}").unwrap();
        let input = read_json(b"{\"p\": 1.1}").unwrap();
        let outputs = filter.run(input, &Val::Null).unwrap();
        let problem = event_of(&outputs[0], origin(Kind::Price)).unwrap_err();
        assert!(problem.contains("floating point"), "{problem}");
    }

    #[test]
    fn an_event_without_upstream_time_takes_the_time_of_its_slot() {
        let object = r#"{"asset": "a", "quote": "usd", "price": 1}"#;
        let event = price(object).unwrap();
        assert_eq!((event.event_at_us, event.observed_at_us), (SLOT, SLOT + 5));
        assert_eq!(event.id, format!("p:price:a/usd:{SLOT}"));
    }

    #[test]
    fn upstream_times_come_in_every_unit() {
        let at = |field: &str| {
            price(&format!(r#"{{"asset": "a", "quote": "usd", "price": 1, {field}}}"#))
        };
        let expected = 1_699_999_999_000_000;
        for field in [
            r#""at_s": 1699999999"#,
            r#""at_s": "1699999999""#,
            r#""at_ms": 1699999999000"#,
            r#""at_us": 1699999999000000"#,
            r#""at": "2023-11-14T22:13:19Z""#,
        ] {
            assert_eq!(at(field).unwrap().event_at_us, expected, "{field}");
        }
        assert!(at(r#""at_s": 1699999999000"#).unwrap_err().contains("another unit"));
        assert!(at(r#""at_s": 1, "at_ms": 1"#).unwrap_err().contains("two times"));
        assert!(at(r#""at_s": 1.5"#).unwrap_err().contains("whole number"));
    }

    #[test]
    fn a_wrong_shape_says_what_is_wrong_and_what_came() {
        for (object, problem) in [
            ("[]", "is not an object"),
            (r#"{"quote": "usd", "price": 1}"#, "lacks asset"),
            (r#"{"asset": "BTC", "quote": "usd", "price": 1}"#, "lower-case"),
            (r#"{"asset": "a", "quote": "usd"}"#, "lacks price"),
            (r#"{"asset": "a", "quote": "usd", "price": 0}"#, "not above 0"),
            (r#"{"asset": "a", "quote": "usd", "price": "-1"}"#, "not above 0"),
            (r#"{"asset": "a", "quote": "usd", "price": "n/a"}"#, "not a decimal"),
            (r#"{"asset": "a", "quote": "usd", "price": {}}"#, "neither a number"),
            (r#"{"asset": "a", "quote": "usd", "price": 1, "volume": 2}"#, "unknown field"),
        ] {
            let error = price(object).unwrap_err();
            assert!(error.contains(problem) && error.contains("produced: "), "{error}");
        }
    }
}
