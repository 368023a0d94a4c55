//! JSON Schemas: adds what the derive cannot know.

use serde_json::{Map, Value, json};

use crate::kinds::Kind;

/// The schema of one kind: `kind` and `version` can only have that kind's values.
pub(crate) fn of_kind(kind: Kind, mut derived: schemars::Schema) -> schemars::Schema {
    derived.insert("title".to_owned(), kind.schema().into());
    let Some(schema) = derived.as_object_mut() else { return derived };
    pin(schema, kind);
    if let Some(Value::Object(definitions)) = schema.get_mut("$defs")
        && let Some(Value::Object(alert)) = definitions.get_mut("Alert")
    {
        pin(alert, Kind::Alert);
    }
    derived
}

fn pin(schema: &mut Map<String, Value>, kind: Kind) {
    let Some(Value::Object(properties)) = schema.get_mut("properties") else { return };
    let pinned = [
        ("kind", json!({ "type": "string", "const": kind.as_str() })),
        ("version", json!({ "type": "integer", "const": kind.version() })),
    ];
    for (name, mut value) in pinned {
        // In place, so that the fields keep the order of the wire.
        if let Some(property) = properties.get_mut(name) {
            value["description"] = property["description"].clone();
            *property = value;
        }
    }
}
