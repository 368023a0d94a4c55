//! One example event of every kind, for golden vectors and for checking rules, templates and tables against what an event
//! can carry. Each kind's file has its own.

use serde_json::Value;

use crate::{event::Event, kinds::Kind};

/// An event of `kind` with every optional field set, always the same one. Fields that exclude each other in practice
/// (the forms of an approval) are all set.
#[must_use]
pub fn sample(kind: Kind) -> Event {
    Event::sample(kind)
}

/// The same event as [`sample`] with no optional field set.
#[must_use]
pub fn sample_minimal(kind: Kind) -> Event {
    let full = sample(kind);
    let mut json = full.to_json();
    let schema = Event::json_schema(kind);
    keep_required(&mut json, schema.as_value(), &schema.as_value()["$defs"]);
    // The required fields alone are a valid body: the tests check this for every kind.
    Event::from_json(&json).unwrap_or(full)
}

/// Drops fields that the schema does not require, also in nested bodies.
fn keep_required(json: &mut Value, schema: &Value, definitions: &Value) {
    let (Value::Object(fields), Some(required)) = (json, schema["required"].as_array()) else {
        return;
    };
    fields.retain(|name, _| required.iter().any(|known| known == name));
    for (name, value) in fields {
        let inner =
            schema["properties"][name]["$ref"].as_str().and_then(|to| to.rsplit('/').next());
        if let Some(inner) = inner {
            keep_required(value, &definitions[inner], definitions);
        }
    }
}
