//! Samples set every field, minimal ones only the required fields.

use std::collections::BTreeSet;

use crypto_intel_schemas::{Event, Kind, samples, subjects};
use serde_json::Value;

fn keys(object: &Value) -> BTreeSet<&str> {
    object.as_object().unwrap().keys().map(String::as_str).collect()
}

#[test]
fn samples_set_every_field_and_minimal_ones_only_the_required() {
    for &kind in Kind::ALL {
        let schema = Event::json_schema(kind);
        let schema = schema.as_value();
        let full = samples::sample(kind).to_json();
        assert_eq!(keys(&full), keys(&schema["properties"]), "{kind}");
        let minimal = samples::sample_minimal(kind).to_json();
        let required = schema["required"].as_array().unwrap();
        let required: BTreeSet<&str> = required.iter().map(|name| name.as_str().unwrap()).collect();
        assert_eq!(keys(&minimal), required, "{kind}");
    }
}

#[test]
fn samples_hold_no_empty_value() {
    fn check(place: &str, value: &Value) {
        match value {
            Value::Null => panic!("{place} is null"),
            Value::String(text) => assert!(!text.is_empty() && text != "0", "{place} is {text:?}"),
            Value::Array(items) => {
                assert!(!items.is_empty(), "{place} is empty");
                items.iter().for_each(|item| check(place, item));
            }
            Value::Object(fields) => {
                fields.iter().for_each(|(name, field)| check(&format!("{place}.{name}"), field));
            }
            Value::Bool(_) | Value::Number(_) => {}
        }
    }
    for &kind in Kind::ALL {
        check(kind.as_str(), &samples::sample(kind).to_json());
    }
}

#[test]
fn samples_agree_with_their_kind_id_and_subject() {
    let mut ids = BTreeSet::new();
    let mut seen_subjects = BTreeSet::new();
    for &kind in Kind::ALL {
        for event in [samples::sample(kind), samples::sample_minimal(kind)] {
            assert_eq!(event.kind(), kind);
            assert_eq!(event.to_json()["kind"], kind.as_str());
        }
        assert!(ids.insert(samples::sample(kind).id().to_owned()), "{kind}: id is not its own");
        let subject = subjects::of(&samples::sample(kind));
        assert!(!subject.contains(".."), "{subject}");
        assert!(seen_subjects.insert(subject), "{kind}: subject is not its own");
    }
}
