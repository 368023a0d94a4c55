//! One example event of every kind, for golden vectors, and for whoever checks a rule, a template or a table against
//! what an event can carry. Each kind's file has its own.

use serde_json::Value;

use crate::{event::Event, kinds::Kind};

/// An event of `kind` with every optional field set, always the same one. Where fields exclude each other in life (the
/// forms of an approval), the sample still has them all.
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
    // The fields that a schema requires are a body: the tests read every kind.
    Event::from_json(&json).unwrap_or(full)
}

/// Leaves out what the schema does not require, here and in bodies within.
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
