//! JSON Schemas in `json/`, generated from the types. `UPDATE_SCHEMAS=1` rewrites them.

use std::{collections::BTreeSet, fs};

use crypto_intel_schemas::{COMMON_FIELDS, Event, Kind, samples};
use serde_json::Value;

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
fn every_body_begins_with_the_common_fields() {
    let readme = fs::read_to_string(folder("README.md")).unwrap();
    for &kind in Kind::ALL {
        let common = kind.fields()[..COMMON_FIELDS.len()].iter().map(|field| field.name);
        assert_eq!(common.collect::<Vec<_>>(), COMMON_FIELDS, "{kind}");
        for field in &kind.fields()[..common_fields(kind)] {
            let name = field.name;
            assert!(readme.contains(&format!("`{name}`")), "the README lacks {name} of {kind}");
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
fn readme_has_every_kind_with_its_subject_and_fields() {
    const HEAD: &str =
        "| kind | subject | level | own fields (`?`: may be absent) |\n| --- | --- | --- | --- |\n";
    let path = folder("README.md");
    let readme = fs::read_to_string(&path).unwrap();
    let (before, rest) = readme.split_once(HEAD).expect("the table of kinds");
    let (kept, after) = rest.split_once("\n\n").unwrap();
    let rows: Vec<String> = Kind::ALL.iter().map(|kind| readme_row(*kind)).collect();
    let rows = rows.join("\n");
    if is_update("UPDATE_SCHEMAS") {
        fs::write(&path, format!("{before}{HEAD}{rows}\n\n{after}")).unwrap();
        return;
    }
    assert_eq!(kept, rows, "run the test with UPDATE_SCHEMAS=1");
}

/// Which of the common fields a kind has.
fn level(kind: Kind) -> &'static str {
    let event = samples::sample(kind);
    match (event.log_fields(), event.transaction_fields(), event.block_fields()) {
        (Some(_), ..) => "log",
        (_, Some(_), _) => "transaction",
        (_, _, Some(_)) => "chain",
        _ => "common",
    }
}

/// Number of leading fields that a kind shares with all kinds of its level.
fn common_fields(kind: Kind) -> usize {
    let others = || Kind::ALL.iter().filter(|other| level(**other) == level(kind));
    let shared = |place: usize| {
        let name = kind.fields()[place].name;
        others().all(|other| other.fields().get(place).is_some_and(|field| field.name == name))
    };
    (0..kind.fields().len()).take_while(|place| shared(*place)).count()
}

/// Kind, subject, level and own fields: those that are always there first.
fn readme_row(kind: Kind) -> String {
    let schema = Event::json_schema(kind);
    let schema = schema.as_value();
    let required = schema["required"].as_array().unwrap();
    let is_required = |name: &str| required.iter().any(|known| known == name);
    let own = || kind.fields()[common_fields(kind)..].iter().map(|field| field.name);
    let shown = |name: &str| {
        let mark = if is_required(name) { "" } else { "?" };
        format!("{name}{mark}{}", form(&schema["properties"][name], &schema["$defs"]))
    };
    let fields: Vec<String> = own()
        .filter(|name| is_required(name))
        .chain(own().filter(|name| !is_required(name)))
        .map(shown)
        .collect();
    format!("| `{kind}` | `{}` | {} | {} |", kind.subject_form(), level(kind), fields.join(", "))
}

/// The members of a field that is a structure.
fn form(property: &Value, definitions: &Value) -> String {
    if property.get("additionalProperties").is_some() {
        return " {name: value}".to_owned();
    }
    let members = |target: &Value| {
        let name = target["$ref"].as_str()?.rsplit('/').next()?;
        let members = definitions[name]["properties"].as_object()?;
        let few: Vec<&str> = members.keys().map(String::as_str).collect();
        Some(if few.len() > 4 { "{…}".to_owned() } else { format!("{{{}}}", few.join(", ")) })
    };
    match (members(property), members(&property["items"])) {
        (Some(members), _) => format!(" {members}"),
        (_, Some(members)) => format!(" (list of {members})"),
        _ => String::new(),
    }
}
