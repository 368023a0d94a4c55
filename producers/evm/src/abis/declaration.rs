//! Declarations of events, as people and compilers write them.

use std::path::Path;

use alloy::json_abi::{Event as AbiItem, JsonAbi};
use serde_json::{Value, json};

/// Reads a human-readable event. Members of tuples may have names, and `tuple` may stand before them.
pub(super) fn parse(text: &str) -> Result<AbiItem, String> {
    let plain = without_member_names(text);
    AbiItem::parse(plain.as_deref().unwrap_or(text)).map_err(|error| {
        format!("{text:?} is no event ({error}); write it as \"event Paid(address indexed who, uint256 amount)\"")
    })
}

/// The same event with plain tuples; `None` where its parentheses do not match.
fn without_member_names(text: &str) -> Option<String> {
    let start = text.find('(')?;
    let (parameters, rest) = parenthesised(&text[start..])?;
    let parameters = members(parameters)?
        .into_iter()
        .map(|parameter| plain(parameter, true))
        .collect::<Option<Vec<_>>>()?;
    Some(format!("{}({}){rest}", &text[..start], parameters.join(", ")))
}

/// A parameter or a member of a tuple; members lose their names.
fn plain(text: &str, has_name: bool) -> Option<String> {
    let text = text.trim();
    let tuple = text.strip_prefix("tuple").map_or(text, str::trim_start);
    if !tuple.starts_with('(') {
        let kept = if has_name { Some(text) } else { text.split_whitespace().next() };
        return Some(kept.unwrap_or_default().to_owned());
    }
    let (inner, rest) = parenthesised(tuple)?;
    let inner = members(inner)?
        .into_iter()
        .map(|member| plain(member, false))
        .collect::<Option<Vec<_>>>()?;
    let is_of_array = |character: char| matches!(character, '[' | ']' | '0'..='9');
    let name_start = rest.find(|character| !is_of_array(character)).unwrap_or(rest.len());
    let (arrays, name) = rest.split_at(name_start);
    let name = if has_name { name } else { "" };
    Some(format!("({}){arrays}{name}", inner.join(",")))
}

/// The text between the first parenthesis and its closing one, and the rest.
fn parenthesised(text: &str) -> Option<(&str, &str)> {
    let mut depth = 0_usize;
    for (place, character) in text.char_indices() {
        match character {
            '(' => depth += 1,
            ')' => {
                depth = depth.checked_sub(1)?;
                if depth == 0 {
                    return Some((text.get(1..place)?, text.get(place + 1..)?));
                }
            }
            _ => {}
        }
    }
    None
}

/// Splits a list at its top-level commas; an empty text has no parts.
fn members(text: &str) -> Option<Vec<&str>> {
    let mut parts = Vec::new();
    let (mut depth, mut start) = (0_usize, 0);
    for (place, character) in text.char_indices() {
        match character {
            '(' => depth += 1,
            ')' => depth = depth.checked_sub(1)?,
            ',' if depth == 0 => {
                parts.push(&text[start..place]);
                start = place + 1;
            }
            _ => {}
        }
    }
    if !text.trim().is_empty() {
        parts.push(&text[start..]);
    }
    Some(parts)
}

/// The events of a JSON ABI that are not anonymous.
pub(super) fn read(path: &Path) -> Result<Vec<AbiItem>, String> {
    let text = std::fs::read_to_string(path)
        .map_err(|error| format!("{} cannot be read: {error}", path.display()))?;
    let mut json: Value = serde_json::from_str(&text)
        .map_err(|error| format!("{} is no JSON: {error}", path.display()))?;
    if let Some(inner) = json.get_mut("abi") {
        json = inner.take();
    }
    let Value::Array(entries) = json else {
        return Err(format!(
            "{} is no JSON ABI: it is neither a list nor has one under `abi`",
            path.display()
        ));
    };
    let mut events = Vec::new();
    for entry in entries.into_iter().filter(|entry| entry["type"] == "event") {
        let name = entry["name"].as_str().unwrap_or_default().to_owned();
        let event = event_of(entry)
            .map_err(|error| format!("{}: event {name:?}: {error}", path.display()))?;
        events.extend(event.filter(|event| !event.anonymous));
    }
    if events.is_empty() {
        return Err(format!("{} has no events", path.display()));
    }
    Ok(events)
}

/// An entry of a JSON ABI. Fields that older compilers and people leave out get defaults: no name, not anonymous.
fn event_of(mut entry: Value) -> Result<Option<AbiItem>, serde_json::Error> {
    if let Some(fields) = entry.as_object_mut() {
        fields.entry("anonymous").or_insert(json!(false));
        fields.entry("inputs").or_insert(json!([]));
    }
    name_all(&mut entry["inputs"]);
    let abi: JsonAbi = serde_json::from_value(json!([entry]))?;
    Ok(abi.events().next().cloned())
}

fn name_all(parameters: &mut Value) {
    for parameter in parameters.as_array_mut().into_iter().flatten() {
        if let Some(fields) = parameter.as_object_mut() {
            fields.entry("name").or_insert(json!(""));
            if let Some(components) = fields.get_mut("components") {
                name_all(components);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    #[test]
    fn tuples_may_name_their_members() {
        for text in [
            "event Made(address indexed by, (uint256 n, address who)[] pairs)",
            "event Made(address indexed by, tuple(uint256 n, address who)[] pairs)",
            "event Made(address indexed by, tuple (uint256, address)[] pairs)",
            "event Made(address indexed by, (uint256,address)[] pairs)",
            "Made(address indexed by, (uint256 n, address who)[])",
        ] {
            assert_eq!(
                parse(text).unwrap().signature(),
                "Made(address,(uint256,address)[])",
                "{text}"
            );
        }
        let nested = "event E(((uint8 a, bool[2] b)[3] inner, string s) indexed outer, uint256 n)";
        let nested = parse(nested).unwrap();
        assert_eq!(nested.signature(), "E(((uint8,bool[2])[3],string),uint256)");
        assert!(nested.inputs[0].indexed);
        assert_eq!(nested.inputs[0].name, "outer");
        assert_eq!(parse("event None()").unwrap().signature(), "None()");
        for odd in ["", "event", "event E(", "event E)(", "event E((uint256 n) pairs", "event E(ü)"]
        {
            assert!(parse(odd).unwrap_err().contains("is no event"), "{odd}");
        }
    }

    #[test]
    fn json_abis_may_omit_defaults_and_errors_name_file_and_event() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("abi.json");
        let read_text = |text: &str| {
            std::fs::write(&path, text).unwrap();
            read(&path)
        };
        let events = read_text(
            r#"[{"type":"event","name":"Made","inputs":[{"name":"a","type":"address","indexed":true},{"type":"uint8"}]},
                {"type":"function","name":"odd","inputs":7},
                {"type":"event","name":"Hidden","inputs":[],"anonymous":true}]"#,
        )
        .unwrap();
        assert_eq!(events.len(), 1);
        assert_eq!(events[0].signature(), "Made(address,uint8)");
        let wrong = r#"[{"type":"event","name":"Odd","inputs":[{"name":"a","type":"no type!"}]}]"#;
        let problem = read_text(wrong).unwrap_err();
        assert!(problem.contains("abi.json") && problem.contains("\"Odd\""), "{problem}");
        assert!(read_text("{}").unwrap_err().contains("neither a list"));
        assert!(read_text("[").unwrap_err().contains("is no JSON"));
        assert!(read_text("[]").unwrap_err().contains("has no events"));
    }
}
