use unicode_segmentation::UnicodeSegmentation as _;

/// Length as the services bound it: UTF-16 units, never less than their own count.
pub(super) fn utf16_len(text: &str) -> usize {
    text.chars().map(char::len_utf16).sum()
}

/// One line of text that shows as it is written: no line breaks or control characters, nothing
/// invisible that turns the text around or hides a mention.
pub(super) fn clean(text: &str) -> String {
    text.chars()
        .filter(|character| !is_hidden(*character))
        .map(|character| if is_break(character) { ' ' } else { character })
        .collect::<String>()
        .trim()
        .to_owned()
}

/// [`clean`], and cut between graphemes to at most `units` UTF-16 units, with `…` if it was cut.
pub(super) fn clean_to(text: &str, units: usize) -> String {
    let cleaned = clean(text);
    if utf16_len(&cleaned) <= units {
        return cleaned;
    }
    let mut cut = String::new();
    let mut used = 1;
    for grapheme in cleaned.graphemes(true) {
        used += utf16_len(grapheme);
        if used > units {
            break;
        }
        cut.push_str(grapheme);
    }
    cut.push('…');
    cut
}

fn is_break(character: char) -> bool {
    character.is_control() || matches!(character, '\u{2028}' | '\u{2029}')
}

/// Direction marks and overrides, zero-width characters, byte order marks. The joiner of emoji
/// (U+200D) stays.
fn is_hidden(character: char) -> bool {
    matches!(
        character,
        '\u{200b}' | '\u{200c}' | '\u{200e}' | '\u{200f}' | '\u{061c}' | '\u{00ad}'
            | '\u{202a}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}'
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lengths_are_utf16_units() {
        assert_eq!(utf16_len("🚨"), 2);
        assert_eq!(utf16_len("👨‍👩‍👧‍👦"), 11);
        assert_eq!(utf16_len("é"), 1);
    }

    #[test]
    fn what_turns_or_hides_text_goes() {
        assert_eq!(clean("a\u{202e}b\u{200b}c\nd\te\u{0}f"), "abc d e f");
        assert_eq!(clean("  spaced  "), "spaced");
    }

    #[test]
    fn cuts_never_split_a_grapheme() {
        assert_eq!(clean_to("ab👨‍👩‍👧‍👦cd", 8), "ab…");
        assert_eq!(clean_to("e\u{301}e\u{301}e\u{301}", 4), "e\u{301}…");
        assert_eq!(clean_to("short", 5), "short");
    }
}
