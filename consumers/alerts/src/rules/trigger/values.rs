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

/// A window's values under their names.
pub(crate) fn named_values(values: &WindowValues) -> Vec<(&'static str, NamedValue<'_>)> {
    let count = |count: u64| NamedValue::Int(i64::try_from(count).unwrap_or(i64::MAX));
    let double = |value: Option<f64>| value.map_or(NamedValue::Absent, NamedValue::Double);
    let mut named = vec![
        ("count", count(values.count)),
        ("distinct", values.distinct.map_or(NamedValue::Absent, count)),
        ("sum", exact_value(values.sum.as_ref())),
        ("min", exact_value(values.min.as_ref())),
        ("max", exact_value(values.max.as_ref())),
        ("mean", exact_value(values.mean.as_ref())),
        ("first", exact_value(values.first.as_ref())),
        ("last", exact_value(values.last.as_ref())),
        ("change", exact_value(values.change.as_ref())),
        ("change_percent", double(values.change_percent)),
        ("baseline", double(values.baseline)),
        ("ratio", double(values.ratio)),
    ];
    for (name, percent) in PERCENTILES {
        let found = values.percentiles.iter().find(|(known, _)| *known == percent);
        named.push((name, double(found.and_then(|(_, value)| *value))));
    }
    named
}

fn exact_value(value: Option<&Exact>) -> NamedValue<'_> {
    value.map_or(NamedValue::Absent, NamedValue::Exact)
}

/// Significant digits of what is smaller than one, fraction digits of what is larger.
const SHOWN_DIGITS: i32 = 6;

/// A number as messages show it: six digits say all that a ratio of sums can.
pub(crate) fn shown(value: f64) -> String {
    let size = value.abs().log10().floor();
    let zeros = if size.is_finite() { (-1.0 - size).max(0.0) as i32 } else { 0 };
    let places = usize::try_from(SHOWN_DIGITS + zeros).unwrap_or_default();
    let text = format!("{value:.places$}");
    let text = text.trim_end_matches('0').trim_end_matches('.');
    if text == "-0" { "0".to_owned() } else { text.to_owned() }
}

#[cfg(test)]
mod tests {
    use super::shown;

    #[test]
    fn numbers_are_shown_with_six_digits_however_small() {
        for (value, text) in [
            (0.0, "0"),
            (-0.0, "0"),
            (2.0, "2"),
            (1.0 / 3.0, "0.333333"),
            (1_234.567_890_1, "1234.56789"),
            (0.000_012_5, "0.0000125"),
            (-0.000_000_123_456_789, "-0.000000123457"),
        ] {
            assert_eq!(shown(value), text);
        }
    }
}
