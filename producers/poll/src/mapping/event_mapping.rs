use crypto_intel_schemas::{
    COMMON_FIELDS, Decimal, Event, Field, FieldType, Kind, polled_event_id,
};
use jaq_json::{Map, Num, Val};
use serde_json::{Value, json};

use crate::mapping::filter::shorten;

/// The years from 2009 to tomorrow: times outside are in another unit than the field's name says.
const EARLIEST_US: i64 = 1_230_768_000_000_000;
const FUTURE_US: i64 = 86_400_000_000;
const TIME_FIELDS: [&str; 4] = ["at_s", "at_ms", "at_us", "at"];

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

fn build(fields: &Fields<'_>, origin: Origin<'_>) -> Result<Event, String> {
    let kind = origin.kind;
    if !kind.is_polled() {
        return Err(format!("kind {kind} cannot be polled"));
    }
    let time_us = fields.time(origin.observed_at_us)?.unwrap_or(origin.slot_us);
    let own: Vec<Field> = kind
        .fields()
        .iter()
        .filter(|field| !COMMON_FIELDS.contains(&field.name))
        .copied()
        .collect();
    fields.refuse_others(&own)?;
    let mut body = json!({
        "kind": kind,
        "version": kind.version(),
        "id": "",
        "source": origin.provider,
        "event_at_us": time_us,
        "observed_at_us": origin.observed_at_us,
    });
    for field in own {
        match fields.value(field)? {
            Some(value) => body[field.name] = value,
            // An absent list or map is an empty one.
            None if field.optional || is_collection(field.field_type) => {}
            None => return Err(format!("lacks {}", field.name)),
        }
    }
    let mut event = Event::from_json(&body).map_err(|error| error.to_string())?;
    event.normalise();
    event.check()?;
    event.set_id(polled_event_id(origin.provider, kind, &event.key(), time_us));
    Ok(event)
}

/// The fields of one object; null is absent.
struct Fields<'a>(&'a Map<Val, Val>);

impl<'a> Fields<'a> {
    fn get(&self, name: &'static str) -> Option<&'a Val> {
        self.0.get(&Val::utf8_str(name)).filter(|value| !matches!(value, Val::Null))
    }

    fn refuse_others(&self, own: &[Field]) -> Result<(), String> {
        let known: Vec<&str> = own.iter().map(|field| field.name).chain(TIME_FIELDS).collect();
        for key in self.0.keys() {
            let name = text_of(key).unwrap_or("?");
            if !known.contains(&name) {
                return Err(format!(
                    "has the unknown field {name:?}; known are {}",
                    known.join(", ")
                ));
            }
        }
        Ok(())
    }

    /// A field's value in the JSON form of events; numbers are as exact as the provider wrote them.
    fn value(&self, field: Field) -> Result<Option<Value>, String> {
        let name = field.name;
        let Some(value) = self.get(name) else { return Ok(None) };
        let json = match field.field_type {
            FieldType::Text => {
                json!(text_of(value).ok_or_else(|| format!("{name} is not a text"))?)
            }
            FieldType::Decimal => {
                let number = Decimal::parse(&number_text(name, value)?);
                json!(number.map_err(|error| format!("{name}: {error}"))?)
            }
            FieldType::U256 | FieldType::I256 => json!(number_text(name, value)?),
            FieldType::Int => json!(whole(name, value)?),
            FieldType::Bool => match value {
                Val::Bool(truth) => json!(truth),
                _ => return Err(format!("{name} is neither true nor false")),
            },
            FieldType::Texts => texts(name, value)?,
            FieldType::Labels => labels(name, value)?,
            FieldType::Hex(_) | FieldType::Fields | FieldType::Structure => {
                return Err(format!("{name} cannot be polled"));
            }
        };
        Ok(Some(json))
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

fn is_collection(field_type: FieldType) -> bool {
    matches!(field_type, FieldType::Texts | FieldType::Labels)
}

/// A list of texts; null among them is left out.
fn texts(name: &str, value: &Val) -> Result<Value, String> {
    let Val::Arr(items) = value else { return Err(format!("{name} is not a list of texts")) };
    let items = items.iter().filter(|item| !matches!(item, Val::Null));
    items
        .map(|item| text_of(item).map(Value::from))
        .collect::<Option<Value>>()
        .ok_or_else(|| format!("{name} has an item that is not a text"))
}

/// Texts by name; a number becomes its digits, and null is left out.
fn labels(name: &str, value: &Val) -> Result<Value, String> {
    let Val::Obj(map) = value else { return Err(format!("{name} is not an object of texts")) };
    let mut labels = serde_json::Map::new();
    for (key, value) in map.iter().filter(|(_, value)| !matches!(value, Val::Null)) {
        let key = text_of(key).ok_or_else(|| format!("{name} has a key that is not a text"))?;
        let text = number_text(&format!("{name}.{key}"), value)?;
        labels.insert(key.to_owned(), Value::from(text));
    }
    Ok(Value::Object(labels))
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

    use crypto_intel_schemas::Price;

    use super::*;
    use crate::mapping::filter::{Filter, Variables, read_json};

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
        let outputs = filter.run(input, &Variables::none()).unwrap();
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

    fn event(kind: Kind, object: &str) -> Result<Event, String> {
        event_of(&read_json(object.as_bytes()).unwrap(), origin(kind))
    }

    #[test]
    fn labels_are_texts_and_numbers_as_they_are_written() {
        let of = |labels: &str| {
            let object = format!(
                r#"{{"name": "gas.fast", "key": "base", "value": 0.05, "unit": "gwei"{labels}}}"#
            );
            event(Kind::Metric, &object)
        };
        let Event::Metric(metric) = of(r#", "labels": {"a": 1.50, "b": "x", "c": null}"#).unwrap()
        else {
            panic!("a metric")
        };
        assert_eq!(metric.labels, crypto_intel_schemas::Labels::from([("a", "1.50"), ("b", "x")]));
        assert_eq!(metric.id, format!("p:metric:gas.fast/base:{SLOT}"));
        for none in ["", r#", "labels": null"#, r#", "labels": {}"#] {
            let Event::Metric(metric) = of(none).unwrap() else { panic!("a metric") };
            assert!(metric.labels.is_empty(), "{none}");
        }
        for (wrong, problem) in [
            (r#", "labels": ["a"]"#, "not an object"),
            (r#", "labels": {"a": {}}"#, "labels.a is neither"),
            (r#", "labels": {"A": "x"}"#, "lower-case"),
        ] {
            let error = of(wrong).unwrap_err();
            assert!(error.contains(problem), "{wrong}: {error}");
        }
    }

    #[test]
    fn an_article_is_known_by_its_link_alone() {
        let of = |link: &str, tags: &str| {
            let object = format!(
                r#"{{"title": " A\n b", "link": "{link}", "tags": {tags}, "at_s": 1699999999}}"#
            );
            event(Kind::Article, &object)
        };
        let Event::Article(first) =
            of("https://X.example/a?utm_source=p#b", "[\"ETF\", null]").unwrap()
        else {
            panic!("an article")
        };
        let Event::Article(second) = of("https://x.example/a", "[]").unwrap() else {
            panic!("an article")
        };
        assert_eq!(first.id, second.id);
        assert_eq!(first.id, "p:article:https://x.example/a:1699999999000000");
        assert_eq!((first.title.as_str(), first.tags), ("A b", vec!["etf".to_owned()]));
        assert!(first.assets.is_empty());
        assert!(of("https://x.example/a", "\"etf\"").unwrap_err().contains("not a list"));
        assert!(of("https://x.example/a", "[1]").unwrap_err().contains("not a text"));
        assert!(of("ftp://x.example/a", "[]").unwrap_err().contains("neither http"));
    }

    #[test]
    fn what_the_poller_says_itself_cannot_be_polled() {
        let error = event(Kind::ProviderStatus, "{}").unwrap_err();
        assert!(error.contains("cannot be polled"), "{error}");
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
