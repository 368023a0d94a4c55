//! Names on chains are hostile text: what people read is cleaned and bounded.

/// Combining marks in a row that are kept: writing systems need a few, "zalgo" text has dozens.
const MAX_COMBINING_MARKS: usize = 3;

/// One line of at most `limit` characters, without control, bidirectional and invisible
/// characters. White space of any kind becomes one space; what is cut off is shown as `…`.
pub(crate) fn clean(text: &str, limit: usize) -> String {
    let mut cleaned = String::with_capacity(text.len().min(limit * 4));
    let mut length = 0;
    let mut combining = 0;
    for character in text.chars() {
        if character.is_whitespace() || character == '\u{b}' {
            if cleaned.ends_with(' ') || cleaned.is_empty() {
                continue;
            }
            cleaned.push(' ');
        } else if is_hidden(character) {
            continue;
        } else {
            combining = if is_combining(character) { combining + 1 } else { 0 };
            if combining > MAX_COMBINING_MARKS {
                continue;
            }
            cleaned.push(character);
        }
        length += 1;
        if length > limit {
            let kept: usize =
                cleaned.chars().take(limit.saturating_sub(1)).map(char::len_utf8).sum();
            cleaned.truncate(kept);
            cleaned.push('…');
            return cleaned;
        }
    }
    cleaned.truncate(cleaned.trim_end().len());
    cleaned
}

fn is_hidden(character: char) -> bool {
    character.is_control()
        || matches!(
            character,
            '\u{ad}'
                | '\u{61c}'
                | '\u{115f}'..='\u{1160}'
                | '\u{180e}'
                | '\u{200b}'..='\u{200f}'
                | '\u{202a}'..='\u{202e}'
                | '\u{2060}'..='\u{206f}'
                | '\u{3164}'
                | '\u{feff}'
                | '\u{ffa0}'
                | '\u{fff9}'..='\u{fffb}'
                | '\u{e0000}'..='\u{e0fff}'
        )
}

fn is_combining(character: char) -> bool {
    matches!(
        character,
        '\u{300}'..='\u{36f}' | '\u{483}'..='\u{489}' | '\u{1ab0}'..='\u{1aff}'
            | '\u{1dc0}'..='\u{1dff}' | '\u{20d0}'..='\u{20ff}' | '\u{fe20}'..='\u{fe2f}'
    )
}

/// An `https` address of printable ASCII, or nothing.
pub(crate) fn clean_url(text: &str) -> Option<String> {
    const LONGEST: usize = 500;
    let text = text.trim();
    let valid = text.len() <= LONGEST
        && text.strip_prefix("https://").is_some_and(|rest| !rest.is_empty())
        && text
            .bytes()
            .all(|byte| byte.is_ascii_graphic() && !matches!(byte, b'"' | b'<' | b'>' | b'\\'));
    valid.then(|| text.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hostile_names_become_one_bounded_line() {
        assert_eq!(clean("USD\u{202e}C\u{200b}\n\n @every\u{0}one  ", 50), "USDC @everyone");
        assert_eq!(clean(&"x".repeat(300), 10), format!("{}…", "x".repeat(9)));
        assert_eq!(clean("日本語テキスト", 4), "日本語…");
        let zalgo = format!("a{}b", "\u{301}".repeat(40));
        assert_eq!(clean(&zalgo, 100).chars().count(), 2 + MAX_COMBINING_MARKS);
        assert_eq!(clean(" \t ", 5), "");
    }

    #[test]
    fn only_https_addresses_are_links() {
        assert_eq!(clean_url(" https://a.b/c?d=1 ").as_deref(), Some("https://a.b/c?d=1"));
        for refused in ["http://a", "https://", "javascript:x", "https://a b", "https://a\">"] {
            assert_eq!(clean_url(refused), None, "{refused}");
        }
    }
}
