//! JSON Schemas in `json/`, made from the types. `UPDATE_SCHEMAS=1` makes them anew.

use std::{collections::BTreeSet, fs};

use crypto_intel_schemas::{Event, Kind, samples, subjects};

use crate::drift::{folder, is_update, names, pretty};

#[test]
fn json_schemas_are_those_of_the_types() {
    let schemas = folder("json");
    let mut expected = BTreeSet::new();
    for &kind in Kind::ALL {
        let name = format!("{kind}.json");
        let text = pretty(Event::json_schema(kind).as_value());
        if is_update("UPDATE_SCHEMAS") {
            fs::write(schemas.join(&name), &text).unwrap();
        }
        let kept = fs::read_to_string(schemas.join(&name)).expect(&name);
        assert_eq!(kept, text, "{name}: run the test with UPDATE_SCHEMAS=1");
        expected.insert(name);
    }
    assert_eq!(names(&schemas), expected);
}

#[test]
fn each_schema_admits_its_own_kind_and_version_only() {
    for &kind in Kind::ALL {
        let schema = Event::json_schema(kind);
        let properties = &schema.as_value()["properties"];
        assert_eq!(properties["kind"]["const"], kind.as_str());
        assert_eq!(properties["version"]["const"], kind.version());
        assert_eq!(schema.as_value()["title"], kind.schema());
        assert!(!schema.as_value().to_string().contains("#/$defs/Kind"), "{kind}");
    }
}

#[test]
fn every_field_is_described() {
    for &kind in Kind::ALL {
        let schema = Event::json_schema(kind);
        for (name, property) in schema.as_value()["properties"].as_object().unwrap() {
            let described = property["description"].as_str().is_some_and(|text| text.len() > 2);
            assert!(described, "{kind}.{name}: {property}");
        }
    }
}

#[test]
fn uint256_fields_say_so() {
    let schema = Event::json_schema(Kind::Erc20Transfer);
    assert_eq!(schema.as_value()["properties"]["value"]["format"], "uint256");
    let schema = Event::json_schema(Kind::Approval);
    assert_eq!(schema.as_value()["properties"]["token_id"]["format"], "uint256");
}

#[test]
fn readme_names_every_kind_subject_and_field() {
    let readme = fs::read_to_string(folder("README.md")).unwrap();
    for &kind in Kind::ALL {
        let row_start = format!("| `{kind}` | `");
        let row = readme.lines().find(|line| line.starts_with(&row_start));
        let row = row.unwrap_or_else(|| panic!("{kind} has no row in README.md"));
        let root = subjects::of(&samples::sample(kind));
        let root = root.split('.').next().unwrap();
        assert!(row.contains(&format!("| `{root}.")), "{kind}: {row}");
        let schema = Event::json_schema(kind);
        for field in schema.as_value()["properties"].as_object().unwrap().keys() {
            let mut words = row.split(|letter: char| !letter.is_alphanumeric() && letter != '_');
            let is_common = readme.contains(&format!("`{field}`"));
            assert!(is_common || words.any(|word| word == field), "{kind}.{field}");
        }
    }
}
