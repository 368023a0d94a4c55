//! CSV as in RFC 4180, for people who open it in a spreadsheet: texts of others, such as names of tokens, must not become formulas.

use serde_json::Value;

/// Name of a column, and where its value is in an item, as a JSON pointer.
pub(crate) type Column = (&'static str, &'static str);

pub(super) fn head(columns: &[Column]) -> String {
    let names = columns.iter().map(|(name, _)| (*name).to_owned());
    let mut text = String::new();
    line(["row".to_owned()].into_iter().chain(names).chain(["next".to_owned()]), &mut text);
    text
}

/// A record, which begins with its number.
pub(super) fn record(number: u64, columns: &[Column], item: &Value, text: &mut String) {
    let values = columns.iter().map(|(_, place)| cell(item.pointer(place)));
    line([number.to_string()].into_iter().chain(values).chain([String::new()]), text);
}

/// The last record: `end`, how many there are, and the cursor to go on with, or `failed` where it is not known what follows.
pub(super) fn end(
    columns: &[Column],
    items: u64,
    next: Option<&str>,
    failed: bool,
    text: &mut String,
) {
    let between = columns.iter().skip(1).map(|_| String::new());
    let next = match (next, failed) {
        (Some(next), _) => next.to_owned(),
        (None, true) => "failed".to_owned(),
        (None, false) => String::new(),
    };
    let begin = ["end".to_owned(), items.to_string()];
    line(begin.into_iter().chain(between).chain([next]), text);
}

fn cell(value: Option<&Value>) -> String {
    match value {
        None | Some(Value::Null) => String::new(),
        Some(Value::String(text)) => harmless(text),
        Some(Value::Array(values)) => {
            let texts: Vec<String> = values
                .iter()
                .map(|value| value.as_str().map_or_else(|| value.to_string(), str::to_owned))
                .collect();
            harmless(&texts.join("; "))
        }
        Some(other) => other.to_string(),
    }
}

/// A text that no spreadsheet takes for a formula: such a one begins with `'`.
fn harmless(text: &str) -> String {
    let is_number = !text.is_empty()
        && text
            .strip_prefix('-')
            .unwrap_or(text)
            .bytes()
            .all(|byte| byte.is_ascii_digit() || byte == b'.');
    let begins_badly = text
        .starts_with(['=', '+', '-', '@', '\t', '\r', '\n', '\'', '＝', '＋', '－', '＠'])
        || text.trim_start().starts_with(['=', '+', '-', '@']);
    if begins_badly && !is_number { format!("'{text}") } else { text.to_owned() }
}

fn line(cells: impl Iterator<Item = String>, text: &mut String) {
    for (place, cell) in cells.enumerate() {
        if place > 0 {
            text.push(',');
        }
        if cell.contains([',', '"', '\r', '\n']) {
            text.push('"');
            text.push_str(&cell.replace('"', "\"\""));
            text.push('"');
        } else {
            text.push_str(&cell);
        }
    }
    text.push_str("\r\n");
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn hostile_texts_are_no_formulas_and_stay_in_their_cell() {
        let columns: &[Column] = &[("a", "/a"), ("b", "/deep/b")];
        let row = |a: &str| {
            let mut text = String::new();
            record(1, columns, &json!({ "a": a, "deep": { "b": ["x", "y"] } }), &mut text);
            text
        };
        assert_eq!(row("=1+1"), "1,'=1+1,x; y,\r\n");
        assert_eq!(row("@SUM(A1,\"x\")"), "1,\"'@SUM(A1,\"\"x\"\")\",x; y,\r\n");
        assert_eq!(row("a\r\n=2"), "1,\"a\r\n=2\",x; y,\r\n");
        assert_eq!(row(" =2"), "1,' =2,x; y,\r\n");
        for (text, cell) in [
            ("-5", "-5"),
            ("-5.25", "-5.25"),
            ("-cmd", "'-cmd"),
            ("+5", "'+5"),
            ("'x", "''x"),
            ("1e9", "1e9"),
        ] {
            assert_eq!(row(text), format!("1,{cell},x; y,\r\n"));
        }
    }
}
