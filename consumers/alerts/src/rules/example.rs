//! Examples inside rules: events that are given shortly, and whether the rule must fire.

use crypto_intel_schemas::{Event, Field, FieldType, Kind, samples};
use serde::Deserialize;
use serde_json::{Map, Value as Json, json};
use toml::{Spanned, Table, Value};

use super::{file::parse_duration_us, problem::RuleProblem};
use crate::nearest::did_you_mean;

/// An example's time passes second by second.
const MAX_OFFSET_US: i64 = 30 * 86_400_000_000;
/// Time at which every example begins: 2026-01-01 00:00:00 UTC.
pub(crate) const START_US: i64 = 1_767_225_600_000_000;

/// An example as it is written.
#[derive(Debug, Deserialize)]
pub(super) struct ExampleText {
    pub(super) name: Option<String>,
    pub(super) fires: bool,
    /// A text that an alert's title or lines must have.
    pub(super) says: Option<Spanned<String>>,
    /// Whether an alert must be resolved at the end.
    pub(super) resolves: Option<Spanned<bool>>,
    pub(super) events: Vec<Spanned<Table>>,
}

pub(super) const EXAMPLE_KEYS: &[&str] = &["name", "fires", "says", "resolves", "events"];

/// Events with their times, and what the rule must say of them.
#[derive(Debug, Clone)]
pub(crate) struct Example {
    pub(crate) name: Option<String>,
    pub(crate) fires: bool,
    pub(crate) says: Option<String>,
    pub(crate) resolves: Option<bool>,
    pub(crate) events: Vec<ExampleEvent>,
    /// Where it stands, as a problem without a message.
    pub(crate) place: RuleProblem,
}

/// An event of an example; only time passes where it has no event.
#[derive(Debug, Clone)]
pub(crate) struct ExampleEvent {
    /// Microseconds.
    pub(crate) at_us: i64,
    pub(crate) event: Option<Event>,
}

/// What is wrong with an event of an example, and how to correct it.
pub(super) type EventProblem = (String, Option<String>);

/// The event that a table gives: the fields that it names, required ones from the sample of its kind, nothing else.
pub(super) fn event_of(
    table: &Table,
    kinds: &[Kind],
    earliest_us: i64,
    index: u64,
) -> Result<ExampleEvent, EventProblem> {
    let at_us = match table.get("at") {
        None => earliest_us,
        Some(at) => time_of(at, earliest_us)?,
    };
    if table.keys().all(|key| key == "at") {
        return Ok(ExampleEvent { at_us, event: None });
    }
    let kind = kind_of(table, kinds)?;
    let mut json = samples::sample_minimal(kind).to_json();
    let Some(body) = json.as_object_mut() else { return Ok(ExampleEvent { at_us, event: None }) };
    place(body, kind, at_us, index);
    for (name, value) in table.iter().filter(|(name, _)| !["at", "kind"].contains(&name.as_str())) {
        let field = kind.fields().iter().find(|field| field.name == name).ok_or_else(|| {
            let known = kind.fields().iter().map(|field| field.name);
            (format!("example: {kind} has no field `{name}`"), did_you_mean(name, known))
        })?;
        body.insert(name.clone(), json_of(field, value)?);
    }
    let event = Event::from_json(&json).map_err(|error| (format!("example: {error}"), None))?;
    Ok(ExampleEvent { at_us, event: Some(event) })
}

fn time_of(at: &Value, earliest_us: i64) -> Result<i64, EventProblem> {
    let hint = || Some("a time after the example's beginning, such as at = \"5m\"".to_owned());
    let offset = at.as_str().and_then(parse_duration_us);
    let Some(offset) = offset else {
        return Err(("example: `at` is no duration".to_owned(), hint()));
    };
    if offset > MAX_OFFSET_US {
        return Err(("example: `at` is more than 30 days after its beginning".to_owned(), hint()));
    }
    let at_us = START_US.saturating_add(offset);
    if at_us < earliest_us {
        return Err(("example: `at` lies before the event above it".to_owned(), hint()));
    }
    Ok(at_us)
}

/// The kind that it names, or the only one that the rule reads.
fn kind_of(table: &Table, kinds: &[Kind]) -> Result<Kind, EventProblem> {
    let names = || kinds.iter().map(|kind| kind.as_str()).collect::<Vec<_>>().join(", ");
    match (table.get("kind"), kinds) {
        (None, [kind]) => Ok(*kind),
        (None, _) => {
            let message = "example: an event needs a `kind`, the rule reads several".to_owned();
            Err((message, Some(format!("one of {}", names()))))
        }
        (Some(kind), _) => {
            let kind = kind.as_str().and_then(|kind| kind.parse().ok());
            kind.filter(|kind| kinds.contains(kind)).ok_or_else(|| {
                let message = "example: the rule reads no such `kind`".to_owned();
                (message, Some(format!("one of {}", names())))
            })
        }
    }
}

/// Gives an event its own time, id, block and transaction.
fn place(body: &mut Map<String, Json>, kind: Kind, at_us: i64, index: u64) {
    let hash = |salt: u64| format!("0x{:032x}{:032x}", salt, index + 1);
    body.insert("id".to_owned(), json!(format!("example:{index}")));
    for time in ["event_at_us", "observed_at_us", "block_time_us"] {
        if kind.fields().iter().any(|field| field.name == time) {
            body.insert(time.to_owned(), json!(at_us));
        }
    }
    for (name, value) in [
        ("tx_hash", json!(hash(1))),
        ("log_index", json!(index)),
        ("incarnation", json!(1)),
        ("removed", json!(false)),
    ] {
        if kind.fields().iter().any(|field| field.name == name) {
            body.insert(name.to_owned(), value);
        }
    }
}

fn json_of(field: &Field, value: &Value) -> Result<Json, EventProblem> {
    let wrong = |needed: &str| {
        let message = format!("example: `{}` is {needed}, not {value}", field.name);
        Err((message, None))
    };
    let number = || match value {
        Value::Integer(number) => Some(number.to_string()),
        Value::Float(number) => Some(number.to_string()),
        Value::String(text) => Some(text.replace('_', "")),
        _ => None,
    };
    match (field.field_type, value) {
        (FieldType::Bool, Value::Boolean(value)) => Ok(json!(value)),
        (FieldType::Bool, _) => wrong("true or false"),
        (FieldType::Int, Value::Integer(value)) => Ok(json!(value)),
        (FieldType::Int, _) => wrong("a whole number"),
        (FieldType::Text, Value::String(text)) => Ok(json!(text)),
        (FieldType::Text, _) => wrong("text"),
        (FieldType::Decimal | FieldType::U256 | FieldType::I256, _) => match number() {
            Some(digits) => Ok(json!(digits)),
            None => wrong("a number"),
        },
        (FieldType::Hex(bytes), Value::String(text)) => match padded(text, bytes) {
            Some(hex) => Ok(json!(hex)),
            None => wrong(&format!("0x and at most {} hex digits", 2 * bytes)),
        },
        (FieldType::Hex(_), _) => wrong("hex text"),
        (FieldType::Texts, Value::Array(_))
        | (FieldType::Fields | FieldType::Labels, Value::Table(_)) => {
            Ok(serde_json::to_value(value).unwrap_or_default())
        }
        (FieldType::Texts, _) => wrong("a list of texts"),
        (FieldType::Fields | FieldType::Labels, _) => wrong("a table of texts"),
        (FieldType::Structure, _) => wrong("a structure, which no example can give"),
    }
}

/// `0xa1` as the address or hash with this end.
fn padded(text: &str, bytes: usize) -> Option<String> {
    let digits = text.strip_prefix("0x")?;
    let is_hex = digits.bytes().all(|digit| digit.is_ascii_hexdigit());
    let is_short = !digits.is_empty() && digits.len() <= 2 * bytes;
    (is_hex && is_short).then(|| {
        format!("0x{}{}", "0".repeat(2 * bytes - digits.len()), digits.to_ascii_lowercase())
    })
}
