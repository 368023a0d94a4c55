use serde_json::{Map, Value};

use super::{Common, FileError, Read, row::Row};
use crate::category::SANCTIONED;

pub(super) fn read(text: &str, common: &Common) -> Result<Read, FileError> {
    let value: Value = serde_json::from_str(text).map_err(FileError::Json)?;
    match &value {
        Value::Array(entries) => Ok(list(entries, common)),
        Value::Object(object) => match object.get("addresses") {
            Some(Value::Object(addresses)) => Ok(sanctions(object, addresses)),
            Some(Value::Array(entries)) => Ok(list(entries, common)),
            _ => Ok(by_address(object, common)),
        },
        _ => Err(FileError::Form(
            "labels in JSON are a list of addresses or objects, or an object by address".to_owned(),
        )),
    }
}

/// `["0x…"]`, or `[{"address": …, "label": …, "category": …}]`.
fn list(entries: &[Value], common: &Common) -> Read {
    let mut found = Read::default();
    for (index, entry) in entries.iter().enumerate() {
        let row = match entry {
            Value::String(address) => Row { address, ..Row::default() },
            Value::Object(fields) => row_of(fields),
            _ => Row::default(),
        };
        found.take(index as u64 + 1, row.labels(common));
    }
    found
}

/// `{"0x…": "name"}`, or `{"0x…": {"name": …, "labels": […]}}`.
fn by_address(object: &Map<String, Value>, common: &Common) -> Read {
    let mut found = Read::default();
    for (index, (address, value)) in object.iter().enumerate() {
        let row = match value {
            Value::String(name) => Row { address, name, ..Row::default() },
            Value::Object(fields) => Row { address, ..row_of(fields) },
            Value::Array(_) => Row { address, categories: texts(value), ..Row::default() },
            _ => Row { address, ..Row::default() },
        };
        found.take(index as u64 + 1, row.labels(common));
    }
    found
}

fn row_of(fields: &Map<String, Value>) -> Row<'_> {
    let text = |names: &[&str]| {
        names.iter().find_map(|name| fields.get(*name).and_then(Value::as_str)).unwrap_or_default()
    };
    let categories = ["category", "categories", "tags", "labels", "type"];
    Row {
        address: text(&["address", "account", "wallet"]),
        name: text(&["label", "name", "nameTag", "entity"]),
        categories: categories
            .iter()
            .find_map(|name| fields.get(*name))
            .map(texts)
            .unwrap_or_default(),
        chain: text(&["chain", "network"]),
        detail: text(&["detail", "description", "notes"]),
        confidence: text(&["confidence"]),
    }
}

fn texts(value: &Value) -> Vec<&str> {
    match value {
        Value::String(text) => vec![text],
        Value::Array(values) => values.iter().filter_map(Value::as_str).collect(),
        _ => Vec::new(),
    }
}

/// The list of crypto-sanctions-list: entries of the SDN list by address. Addresses of other families of chains are in
/// it, in lower case and so unusable.
fn sanctions(object: &Map<String, Value>, addresses: &Map<String, Value>) -> Read {
    let date = object.get("metadata").and_then(|about| about["sdnListDate"].as_str());
    let mut found = Read { date: date.and_then(day), ..Read::default() };
    for (index, (address, value)) in addresses.iter().enumerate() {
        if !address.starts_with("0x") {
            found.foreign += 1;
            continue;
        }
        let entry = &value["entries"][0];
        let field = |name: &str| entry[name].as_str().unwrap_or_default();
        let asset = field("type").rsplit(' ').next().unwrap_or_default();
        let (program, uid) = (field("program"), field("uid"));
        let detail = format!("OFAC SDN; program {program}; asset {asset}; uid {uid}");
        let row = Row {
            address,
            name: field("entity"),
            categories: vec![SANCTIONED],
            detail: &detail,
            ..Row::default()
        };
        found.take(index as u64 + 1, row.labels(&Common::default()));
    }
    found
}

/// `08/20/2026` as `2026-08-20`.
fn day(text: &str) -> Option<String> {
    let mut parts = text.split('/');
    let (month, day, year) = (parts.next()?, parts.next()?, parts.next()?);
    Some(format!("{year}-{month:0>2}-{day:0>2}"))
}
