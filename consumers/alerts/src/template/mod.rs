//! Message templates: plain text from an event's fields. They carry no markup: channels lay out.

pub(crate) mod clean;
pub(crate) mod filters;

use std::{collections::BTreeMap, sync::Arc};

use crypto_intel_schemas::{Event, EventValue, Explorers, Link};
use minijinja::{
    Environment, UndefinedBehavior,
    value::{Enumerator, Object, Value},
};

use crate::condition::fields::{Field, FieldType, FieldValue, field_of, fields_of, hex_text};

use self::clean::{clean, clean_url};

/// Characters of a title, of a line, and of a link's label.
const MAX_TITLE: usize = 200;
const MAX_LINE: usize = 400;
const MAX_LABEL: usize = 40;
/// Characters of one field's text within a message.
const MAX_VALUE: usize = 120;
/// Steps that one template may take: an endless loop ends here.
const FUEL: u64 = 20_000;

/// Names that templates know beside the event's fields.
pub(crate) const RULE_NAMES: &[&str] = &["rule", "severity"];

/// The templates of one rule, by their names in the environment.
#[derive(Debug, Clone, Default)]
pub(crate) struct MessageTemplate {
    pub(crate) title: String,
    pub(crate) lines: Vec<String>,
    /// Label and address.
    pub(crate) links: Vec<(String, String)>,
    /// Whether a transaction's explorer page is linked where one is known.
    pub(crate) default_link: bool,
}

/// What people read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Message {
    pub(crate) title: String,
    pub(crate) lines: Vec<String>,
    pub(crate) links: Vec<Link>,
}

impl Message {
    /// All of its words.
    pub(crate) fn words(&self) -> String {
        let links = self.links.iter().flat_map(|link| [&link.label, &link.url]);
        let words: Vec<&str> =
            [&self.title].into_iter().chain(&self.lines).chain(links).map(String::as_str).collect();
        words.join("\n")
    }
}

/// An environment with our filters in which an unknown name is an error.
pub(crate) fn environment() -> Environment<'static> {
    let mut environment = Environment::new();
    environment.set_undefined_behavior(UndefinedBehavior::Strict);
    environment.set_auto_escape_callback(|_| minijinja::AutoEscape::None);
    environment.set_fuel(Some(FUEL));
    environment.set_formatter(|out, state, value| {
        if value.is_none() {
            return out.write_str(filters::ABSENT).map_err(minijinja::Error::from);
        }
        minijinja::escape_formatter(out, state, value)
    });
    filters::register(&mut environment);
    environment
}

/// The values that templates see.
pub(crate) type Values = BTreeMap<&'static str, Value>;

/// Every name, and no value.
pub(crate) fn absent_values(names: &[Field]) -> Values {
    names.iter().map(|field| (field.name, absent(*field))).collect()
}

/// Values of an event; `names` that its kind lacks are absent.
pub(crate) fn values_of(event: &Event, names: &[Field]) -> Values {
    let mut values = absent_values(names);
    for field in fields_of(event.kind()) {
        if let Some(value) = field_of(event, field.name) {
            values.insert(field.name, value_of(value));
        }
    }
    values
}

/// A list that is not there is empty, as in conditions.
fn absent(field: Field) -> Value {
    match field.field_type {
        FieldType::Texts => Value::from(Vec::<Value>::new()),
        _ => Value::from(()),
    }
}

/// Fields that say where and when a chain has an event, and nothing about the event itself.
const PLACE_FIELDS: &[&str] = &[
    "block_hash",
    "block_number",
    "block_time_us",
    "event_at_us",
    "id",
    "log_index",
    "observed_at_us",
    "tx_index",
];

/// The same for an event wherever its chain has it: what a message says apart from the place.
pub(crate) fn forget_place(values: &mut Values) {
    for name in PLACE_FIELDS {
        if let Some(value) = values.get_mut(name) {
            let is_number = value.as_i64().is_some();
            *value = if is_number { Value::from(0) } else { Value::from("") };
        }
    }
}

fn value_of(value: FieldValue<'_>) -> Value {
    match value {
        FieldValue::Absent => Value::from(()),
        FieldValue::Bool(value) => Value::from(value),
        FieldValue::Int(value) => Value::from(value),
        FieldValue::Decimal(value) => Value::from(value.as_str()),
        FieldValue::Text(value) => Value::from(clean(value, MAX_VALUE)),
        FieldValue::Hex(value) => Value::from(hex_text(value)),
        FieldValue::Texts(values) => {
            values.iter().map(|value| Value::from(clean(value, MAX_VALUE))).collect()
        }
        FieldValue::U256(value) => Value::from(value.to_string()),
        FieldValue::I256(value) => Value::from(value.to_string()),
        FieldValue::Fields(fields) => {
            // Collected into a value, pairs would be a list.
            let named = fields.0.iter().map(|(name, value)| (name.clone(), event_value(value)));
            Value::from(named.collect::<BTreeMap<String, Value>>())
        }
        FieldValue::Labels(labels) => {
            let text = |(name, text): (&String, &String)| (name.clone(), clean(text, MAX_VALUE));
            Value::from_object(LabelTexts(labels.0.iter().map(text).collect()))
        }
    }
}

fn event_value(value: &EventValue) -> Value {
    match value {
        EventValue::Bool(value) => Value::from(*value),
        EventValue::Text(value) => Value::from(clean(value, MAX_VALUE)),
        EventValue::List(values) => values.iter().map(event_value).collect(),
    }
}

/// Labels of an event: one that it lacks is absent, as a field is.
#[derive(Debug)]
struct LabelTexts(BTreeMap<String, String>);

impl Object for LabelTexts {
    fn get_value(self: &Arc<Self>, name: &Value) -> Option<Value> {
        let text = name.as_str().and_then(|name| self.0.get(name));
        Some(text.map_or(Value::from(()), |text| Value::from(text.as_str())))
    }

    fn enumerate(self: &Arc<Self>) -> Enumerator {
        Enumerator::Values(self.0.keys().map(|name| Value::from(name.as_str())).collect())
    }
}

/// Sample of an event's fields: which names there are, only the ABI knows, so it has them all.
#[derive(Debug)]
struct AnyField;

impl Object for AnyField {
    fn get_value(self: &Arc<Self>, _name: &Value) -> Option<Value> {
        Some(Value::from("1000000"))
    }
}

/// Values to try templates with: every field set, or only those that are always there.
pub(crate) fn sample_values(fields: &[Field], with_optional: bool) -> Values {
    let mut values: Values = fields
        .iter()
        .map(|field| {
            let value = match field.field_type {
                _ if field.optional && !with_optional => absent(*field),
                FieldType::Bool => Value::from(true),
                FieldType::Int => Value::from(1_700_000_000_000_000_i64),
                FieldType::Decimal => Value::from("1234.5"),
                FieldType::Text => Value::from("sample"),
                FieldType::Hex(bytes) => Value::from(hex_text(&vec![0x11; bytes])),
                FieldType::Texts => Value::from(vec!["sample"]),
                FieldType::U256 => Value::from("1000000"),
                FieldType::I256 => Value::from("-1000000"),
                FieldType::Fields | FieldType::Labels | FieldType::Structure => {
                    Value::from_object(AnyField)
                }
            };
            (field.name, value)
        })
        .collect();
    values.entry("rule").or_insert_with(|| Value::from("sample"));
    values.entry("severity").or_insert_with(|| Value::from("info"));
    values
}

impl MessageTemplate {
    /// Writes the message. Lines and links that come out empty are left out.
    pub(crate) fn render(
        &self,
        environment: &Environment<'static>,
        values: &Values,
    ) -> Result<Message, minijinja::Error> {
        let write = |name: &str| environment.get_template(name)?.render(values);
        let title = clean(&write(&self.title)?, MAX_TITLE);
        let mut lines = Vec::with_capacity(self.lines.len());
        for name in &self.lines {
            let line = clean(&write(name)?, MAX_LINE);
            if !line.is_empty() {
                lines.push(line);
            }
        }
        let mut links = Vec::new();
        for (label, address) in &self.links {
            if let Some(url) = clean_url(&write(address)?) {
                links.push(Link { label: clean(&write(label)?, MAX_LABEL), url });
            }
        }
        Ok(Message { title, lines, links })
    }
}

/// A title within its bounds.
pub(crate) fn title(text: &str) -> String {
    clean(text, MAX_TITLE)
}

/// A line within its bounds.
pub(crate) fn line(text: &str) -> String {
    clean(text, MAX_LINE)
}

/// Link to an event's transaction in its chain's explorer, where one is known.
pub(crate) fn transaction_link(explorers: &Explorers, event: &Event) -> Option<Link> {
    let explorer = explorers.of(event.block_fields()?.chain_id)?;
    let transaction = event.transaction_fields()?.tx_hash;
    Some(Link { label: "tx".to_owned(), url: format!("{explorer}/tx/{transaction:#x}") })
}
