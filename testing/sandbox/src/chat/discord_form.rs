//! The limits of a Discord message.

use super::discord_markdown;
use serde_json::{Map, Value, json};

const CONTENT: usize = 2_000;
const EMBEDS: usize = 10;
const ALL_EMBEDS: usize = 6_000;
const FIELDS: usize = 25;
const MAX_COLOUR: u64 = 0x00ff_ffff;
const FIELD_NAME: usize = 256;
const FIELD_VALUE: usize = 1_024;
/// Texts of an embed with their limits.
const EMBED_TEXTS: [(&str, usize); 4] =
    [("/title", 256), ("/description", 4_096), ("/footer/text", 2_048), ("/author/name", 256)];

/// Returns Discord's `errors` tree when the body breaks a limit.
pub(super) fn check(body: &Value) -> Result<(), Value> {
    let mut errors = Errors(json!({}));
    errors.check_length(&["content"], &body["content"], CONTENT);
    let username = body["username"].as_str().unwrap_or_default().to_lowercase();
    if username.contains("clyde") || username.contains("discord") {
        errors.add(
            &["username"],
            "USERNAME_INVALID_CONTAINS",
            "Username cannot contain \"discord\"",
        );
    }
    errors.check_length(&["username"], &body["username"], 80);
    let embeds = body["embeds"].as_array().map_or(&[][..], Vec::as_slice);
    if embeds.len() > EMBEDS {
        errors.add(&["embeds"], "BASE_TYPE_MAX_LENGTH", "Must be 10 or fewer in length.");
    }
    let mut total = 0;
    for (index, embed) in embeds.iter().enumerate() {
        let index = index.to_string();
        for (pointer, limit) in EMBED_TEXTS {
            let value = embed.pointer(pointer).unwrap_or(&Value::Null);
            let mut path = vec!["embeds", &index];
            path.extend(pointer[1..].split('/'));
            total += errors.check_length(&path, value, limit);
        }
        let colour = &embed["color"];
        if !colour.is_null() && colour.as_u64().is_none_or(|colour| colour > MAX_COLOUR) {
            let words = "int value should be less than or equal to 16777215.";
            errors.add(&["embeds", &index, "color"], "NUMBER_TYPE_MAX", words);
        }
        let time = &embed["timestamp"];
        if !time.is_null() && !time.as_str().is_some_and(is_time) {
            let words = "Could not parse the timestamp as ISO8601.";
            errors.add(&["embeds", &index, "timestamp"], "DATE_TIME_TYPE_PARSE", words);
        }
        let fields = embed["fields"].as_array().map_or(&[][..], Vec::as_slice);
        if fields.len() > FIELDS {
            let words = "Must be 25 or fewer in length.";
            errors.add(&["embeds", &index, "fields"], "BASE_TYPE_MAX_LENGTH", words);
        }
        for (place, field) in fields.iter().enumerate() {
            let place = place.to_string();
            for (name, limit) in [("name", FIELD_NAME), ("value", FIELD_VALUE)] {
                let path = ["embeds", &index, "fields", &place, name];
                total += errors.check_length(&path, &field[name], limit);
                if field[name].as_str().is_none_or(|text| text.trim().is_empty()) {
                    errors.add(&path, "BASE_TYPE_REQUIRED", "This field is required");
                }
            }
        }
    }
    if total > ALL_EMBEDS {
        errors.add(
            &["embeds"],
            "MAX_EMBED_SIZE_EXCEEDED",
            "Embed size exceeds maximum size of 6000",
        );
    }
    if errors.0.as_object().is_some_and(Map::is_empty) { Ok(()) } else { Err(errors.0) }
}

/// `2026-11-29T14:00:00Z`, with or without a fraction.
fn is_time(text: &str) -> bool {
    let form = "0000-00-00T00:00:00";
    let matches = |(have, want): (u8, u8)| match want {
        b'0' => have.is_ascii_digit(),
        other => have == other,
    };
    text.len() > form.len()
        && text.bytes().zip(form.bytes()).all(matches)
        && text[form.len()..].trim_start_matches(|c: char| c == '.' || c.is_ascii_digit()) == "Z"
}

/// The text that people would see, one line per part.
pub(super) fn text(body: &Value) -> String {
    let mut lines: Vec<&str> = Vec::new();
    lines.extend(body["content"].as_str());
    for embed in body["embeds"].as_array().map_or(&[][..], Vec::as_slice) {
        lines.extend(embed["author"]["name"].as_str());
        lines.extend(embed["title"].as_str());
        lines.extend(embed["description"].as_str());
        for field in embed["fields"].as_array().map_or(&[][..], Vec::as_slice) {
            lines.extend(field["name"].as_str());
            lines.extend(field["value"].as_str());
        }
        lines.extend(embed["footer"]["text"].as_str());
    }
    lines.retain(|line| !line.is_empty());
    discord_markdown::visible_text(&lines.join("\n"))
}

struct Errors(Value);

impl Errors {
    /// Returns the length in UTF-16 units, white space at the ends not counted.
    fn check_length(&mut self, path: &[&str], value: &Value, limit: usize) -> usize {
        let length = value.as_str().map_or(0, |text| text.trim().encode_utf16().count());
        if length > limit {
            let words = format!("Must be {limit} or fewer in length.");
            self.add(path, "BASE_TYPE_MAX_LENGTH", &words);
        }
        length
    }

    fn add(&mut self, path: &[&str], code: &str, message: &str) {
        let mut node = &mut self.0;
        for name in path {
            node = &mut node[*name];
        }
        node["_errors"] = json!([{"code": code, "message": message}]);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_the_field_that_is_too_long() {
        let body = json!({"content": "x", "embeds": [{"title": "t".repeat(257)}]});
        let errors = check(&body).unwrap_err();
        let code = &errors["embeds"]["0"]["title"]["_errors"][0]["code"];
        assert_eq!(code, "BASE_TYPE_MAX_LENGTH", "{errors}");
    }

    #[test]
    fn colours_and_times_have_their_form() {
        let errors = |embed: Value| check(&json!({"content": "x", "embeds": [embed]})).is_err();
        assert!(!errors(json!({"color": 255, "timestamp": "2026-11-29T14:00:00.5Z"})));
        assert!(errors(json!({"color": 0x0100_0000})) && errors(json!({"color": "red"})));
        assert!(errors(json!({"timestamp": "2026-11-29 14:00:00"})));
    }

    #[test]
    fn counts_all_embeds_together() {
        let embed = json!({"description": "d".repeat(3_001)});
        assert!(check(&json!({"embeds": [embed.clone()]})).is_ok());
        assert!(check(&json!({"embeds": [embed, embed]})).is_err());
    }
}
