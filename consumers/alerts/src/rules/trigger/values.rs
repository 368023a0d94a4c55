//! What conditions and templates of triggers see beside the fields of an event.

use crypto_intel_schemas::{Field, FieldType};

use crate::{
    condition::NamedValue,
    engine::triggers::{exact::Exact, window::WindowValues},
};

/// Percentiles by name.
pub(crate) const PERCENTILES: [(&str, u32); 6] =
    [("p10", 10), ("p50", 50), ("p75", 75), ("p90", 90), ("p95", 95), ("p99", 99)];

/// The values of a window by their names in `having` and in templates.
pub(crate) fn window_fields() -> Vec<Field> {
    let decimal = |name| Field { name, field_type: FieldType::Decimal, optional: true };
    let int = |name, optional| Field { name, field_type: FieldType::Int, optional };
    let mut fields = vec![int("count", false), int("distinct", true)];
    let decimals = [
        "sum",
        "min",
        "max",
        "mean",
        "first",
        "last",
        "change",
        "change_percent",
        "baseline",
        "ratio",
    ];
    fields.extend(decimals.map(decimal));
    fields.extend(PERCENTILES.map(|(name, _)| decimal(name)));
    fields
}

/// What a template of an absence sees beside its group.
pub(crate) fn absence_fields() -> Vec<Field> {
    let int = |name, optional| Field { name, field_type: FieldType::Int, optional };
    vec![int("last_at_us", true), int("silent_seconds", false)]
}

/// What a template of a sequence sees beside the fields of its last event: those of its first, and the time between.
pub(crate) fn sequence_fields() -> Vec<Field> {
    let opening = Field { name: "opening", field_type: FieldType::Structure, optional: false };
    let elapsed = Field { name: "elapsed_seconds", field_type: FieldType::Int, optional: false };
    vec![opening, elapsed]
}

/// A window's values under their names: text of exact numbers for templates, numbers for conditions.
pub(crate) fn named_values(values: &WindowValues) -> Vec<(&'static str, NamedValue)> {
    let count = |count: u64| NamedValue::Int(i64::try_from(count).unwrap_or(i64::MAX));
    let exact = |value: &Option<Exact>| match value {
        Some(value) => NamedValue::Decimal(value.to_string()),
        None => NamedValue::Absent,
    };
    let rounded = |value: Option<f64>| match value.map(shown) {
        Some(text) => NamedValue::Decimal(text),
        None => NamedValue::Absent,
    };
    let mut named = vec![
        ("count", count(values.count)),
        ("distinct", values.distinct.map_or(NamedValue::Absent, count)),
        ("sum", exact(&values.sum)),
        ("min", exact(&values.min)),
        ("max", exact(&values.max)),
        ("mean", exact(&values.mean)),
        ("first", exact(&values.first)),
        ("last", exact(&values.last)),
        ("change", exact(&values.change)),
        ("change_percent", rounded(values.change_percent)),
        ("baseline", rounded(values.baseline)),
        ("ratio", rounded(values.ratio)),
    ];
    for (name, percent) in PERCENTILES {
        let found = values.percentiles.iter().find(|(known, _)| *known == percent);
        named.push((name, rounded(found.and_then(|(_, value)| *value))));
    }
    named
}

/// Six fraction digits say all that a ratio of sums can.
fn shown(value: f64) -> String {
    let text = format!("{value:.6}");
    let text = text.trim_end_matches('0').trim_end_matches('.');
    if text == "-0" { "0".to_owned() } else { text.to_owned() }
}
