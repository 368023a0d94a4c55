//! The fields of events as conditions and templates see them.

use std::{collections::BTreeSet, sync::LazyLock};

use crypto_intel_schemas::{Event, Kind};

pub(crate) use crypto_intel_schemas::{Field, FieldType, FieldValue};

/// Fields that no rule can name: conditions never see removed events.
const NOT_IN_RULES: [&str; 3] = ["version", "removed", "incarnation"];

/// The fields of a kind that rules may name; none for what rules do not read.
pub(crate) fn fields_of(kind: Kind) -> Vec<Field> {
    if !kind.is_in_rules() {
        return Vec::new();
    }
    let is_hidden =
        |name: &str| NOT_IN_RULES.contains(&name) || kind.not_in_rules().contains(&name);
    let fields = kind
        .fields()
        .iter()
        .filter(|field| field.field_type != FieldType::Structure && !is_hidden(field.name));
    fields.copied().collect()
}

/// The value of a field; `None` when the event's kind has no such field.
pub(crate) fn field_of<'a>(event: &'a Event, name: &str) -> Option<FieldValue<'a>> {
    event.field(name)
}

/// Whether a name is that of a list: events of kinds that lack it have an empty one, so that a rule over several kinds
/// can ask what is in it.
pub(crate) fn is_list(name: &str) -> bool {
    static LISTS: LazyLock<BTreeSet<&str>> = LazyLock::new(|| {
        let fields = Kind::ALL.iter().flat_map(|kind| kind.fields());
        fields
            .filter(|field| field.field_type == FieldType::Texts)
            .map(|field| field.name)
            .collect()
    });
    LISTS.contains(name)
}

/// The fields that events of these kinds have: one that not every kind has is optional. Two kinds
/// that give a name different types leave it out, so that no rule can depend on which came.
pub(crate) fn fields_of_all(kinds: &[Kind]) -> Vec<Field> {
    let mut fields: Vec<Field> = Vec::new();
    let mut contradictory: Vec<&str> = Vec::new();
    let per_kind: Vec<Vec<Field>> = kinds.iter().map(|kind| fields_of(*kind)).collect();
    for field in per_kind.iter().flatten() {
        match fields.iter_mut().find(|known| known.name == field.name) {
            None => fields.push(*field),
            Some(known) if known.field_type == field.field_type => known.optional |= field.optional,
            Some(_) => contradictory.push(field.name),
        }
    }
    fields.retain(|field| !contradictory.contains(&field.name));
    for field in &mut fields {
        field.optional |=
            per_kind.iter().any(|of_kind| of_kind.iter().all(|other| other.name != field.name));
    }
    fields
}

/// The value of a field as text; empty where the event lacks it.
pub(crate) fn field_text(event: &Event, name: &str) -> String {
    match field_of(event, name) {
        None | Some(FieldValue::Absent) => String::new(),
        Some(FieldValue::Bool(value)) => value.to_string(),
        Some(FieldValue::Int(value)) => value.to_string(),
        Some(FieldValue::Decimal(value)) => value.to_string(),
        Some(FieldValue::Text(value)) => value.to_owned(),
        Some(FieldValue::Hex(value)) => hex_text(value),
        Some(FieldValue::Texts(values)) => values.join("\t"),
        Some(FieldValue::U256(value)) => value.to_string(),
        Some(FieldValue::I256(value)) => value.to_string(),
        Some(FieldValue::Fields(fields)) => fields.to_json_text(),
        Some(FieldValue::Labels(labels)) => labels.to_json_text(),
    }
}

/// Lower-case hex with `0x`: addresses, hashes and selectors in text.
pub(crate) fn hex_text(bytes: &[u8]) -> String {
    alloy_primitives::hex::encode_prefixed(bytes)
}
