//! Telegram's HTML, parsed as strictly as the Bot API server does.

const TAGS: [&str; 17] = [
    "a",
    "b",
    "strong",
    "i",
    "em",
    "s",
    "strike",
    "del",
    "u",
    "ins",
    "tg-spoiler",
    "tg-emoji",
    "tg-time",
    "span",
    "pre",
    "code",
    "blockquote",
];

/// Returns the text without markup.
///
/// # Errors
/// The Bot API's text after "can't parse entities: ".
pub(super) fn parse(markup: &str) -> Result<String, String> {
    let mut plain = String::with_capacity(markup.len());
    let mut open: Vec<String> = Vec::new();
    let mut at = 0;
    while let Some(next) = markup[at..].chars().next() {
        match next {
            '&' => {
                let (text, length) = entity(&markup[at..]);
                plain.push(text);
                at += length;
            }
            '<' if markup[at..].starts_with("</") => at = end_tag(markup, at, &mut open)?,
            '<' => at = start_tag(markup, at, &mut open)?,
            other => {
                plain.push(other);
                at += other.len_utf8();
            }
        }
    }
    match open.last() {
        None => Ok(plain),
        Some(name) => Err(format!("Can't find end tag corresponding to start tag \"{name}\"")),
    }
}

/// The character and how many bytes it took; `&` itself where nothing is decoded.
fn entity(text: &str) -> (char, usize) {
    let rest = &text[1..];
    if let Some(number) = rest.strip_prefix('#') {
        let (digits, radix, mark) = match number.strip_prefix('x') {
            Some(digits) => (digits, 16, 3),
            None => (number, 10, 2),
        };
        let count = digits.chars().take_while(|c| c.is_digit(radix)).count();
        let code = u32::from_str_radix(&digits[..count], radix).ok().and_then(char::from_u32);
        if let Some(character) = code
            && character != '\0'
            && mark + count < 10
        {
            return (character, with_semicolon(text, mark + count));
        }
        return ('&', 1);
    }
    let count = rest.chars().take_while(char::is_ascii_alphabetic).count();
    let character = match &rest[..count] {
        "lt" => '<',
        "gt" => '>',
        "amp" => '&',
        "quot" => '"',
        _ => return ('&', 1),
    };
    (character, with_semicolon(text, 1 + count))
}

fn with_semicolon(text: &str, length: usize) -> usize {
    length + usize::from(text[length..].starts_with(';'))
}

fn end_tag(markup: &str, at: usize, open: &mut Vec<String>) -> Result<usize, String> {
    let Some(expected) = open.pop() else {
        return Err(format!("Unexpected end tag at byte offset {at}"));
    };
    let rest = &markup[at + 2..];
    let Some(length) = rest.find('>') else {
        return Err(format!("Unclosed end tag at byte offset {at}"));
    };
    let found = rest[..length].trim_end().to_ascii_lowercase();
    if !found.is_empty() && found != expected {
        return Err(format!(
            "Unmatched end tag at byte offset {at}, expected \"</{expected}>\", found \"</{found}>\""
        ));
    }
    Ok(at + 2 + length + 1)
}

fn start_tag(markup: &str, at: usize, open: &mut Vec<String>) -> Result<usize, String> {
    let unclosed = || format!("Unclosed start tag at byte offset {at}");
    let rest = &markup[at + 1..];
    let length = rest.find(|c: char| c == '>' || c.is_whitespace()).ok_or_else(unclosed)?;
    let name = rest[..length].to_ascii_lowercase();
    if !TAGS.contains(&name.as_str()) {
        return Err(format!("Unsupported start tag \"{name}\" at byte offset {at}"));
    }
    let mut rest = &rest[length..];
    let mut class = None;
    loop {
        rest = rest.trim_start();
        if let Some(after) = rest.strip_prefix('>') {
            if name == "span" && class.as_deref() != Some("tg-spoiler") {
                return Err(format!(
                    "Tag \"span\" must have class \"tg-spoiler\" at byte offset {at}"
                ));
            }
            open.push(name);
            return Ok(markup.len() - after.len());
        }
        let attribute_end =
            rest.find(|c: char| c == '=' || c == '>' || c.is_whitespace()).ok_or_else(unclosed)?;
        let attribute = rest[..attribute_end].to_ascii_lowercase();
        if attribute.is_empty() {
            return Err(format!("Empty attribute name in the tag \"{name}\" at byte offset {at}"));
        }
        rest = rest[attribute_end..].trim_start();
        let Some(value_start) = rest.strip_prefix('=') else {
            if attribute == "expandable" {
                continue;
            }
            return Err(format!(
                "Expected equal sign in declaration of an attribute of the tag \"{name}\" at byte offset {at}"
            ));
        };
        let (value, after) = attribute_value(value_start.trim_start()).ok_or_else(unclosed)?;
        if attribute == "class" {
            class = Some(value.to_owned());
        }
        rest = after;
    }
}

fn attribute_value(text: &str) -> Option<(&str, &str)> {
    let quote = text.chars().next()?;
    if quote == '"' || quote == '\'' {
        return text[1..].split_once(quote);
    }
    let end = text.find(|c: char| c == '>' || c.is_whitespace())?;
    Some((&text[..end], &text[end..]))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn takes_what_telegram_takes() {
        let markup = "<b>5 &lt; 6</b> <a href=\"https://x/?a=1&amp;b='2'\">t&#x27;x</a> \
                      <span class='tg-spoiler'>s</span><blockquote expandable>q</blockquote> &nbsp; &lt5";
        assert_eq!(parse(markup).unwrap(), "5 < 6 t'x sq &nbsp; <5");
    }

    #[test]
    fn refuses_what_telegram_refuses() {
        for (markup, words) in [
            ("ab<br>", "Unsupported start tag \"br\" at byte offset 2"),
            ("é<p>", "Unsupported start tag \"p\" at byte offset 2"),
            ("<b>x", "Can't find end tag corresponding to start tag \"b\""),
            ("x</b>", "Unexpected end tag at byte offset 1"),
            (
                "<b><i>x</b></i>",
                "Unmatched end tag at byte offset 7, expected \"</i>\", found \"</b>\"",
            ),
            ("1 < 2", "Unsupported start tag \"\" at byte offset 2"),
            ("<a href", "Unclosed start tag at byte offset 0"),
            ("<a =x>y</a>", "Empty attribute name in the tag \"a\" at byte offset 0"),
            (
                "<span class=\"x\">y</span>",
                "Tag \"span\" must have class \"tg-spoiler\" at byte offset 0",
            ),
        ] {
            assert_eq!(parse(markup).unwrap_err(), words, "{markup}");
        }
    }
}
