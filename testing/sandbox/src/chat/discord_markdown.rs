//! What people see of Discord's markdown.

/// Undoes backslash escapes and drops emphasis, code marks and the addresses of masked links.
pub(super) fn visible_text(source: &str) -> String {
    let mut text = String::with_capacity(source.len());
    let mut rest = source;
    while let Some(character) = rest.chars().next() {
        let after = &rest[character.len_utf8()..];
        rest = match character {
            '\\' => match after.chars().next().filter(char::is_ascii_punctuation) {
                Some(escaped) => {
                    text.push(escaped);
                    &after[escaped.len_utf8()..]
                }
                None => {
                    text.push(character);
                    after
                }
            },
            '*' | '`' => after,
            '[' => after,
            // `](<address>)` ends a masked link.
            ']' => match after.strip_prefix("(<").and_then(|link| link.split_once(">)")) {
                Some((_, behind)) => behind,
                None => {
                    text.push(character);
                    after
                }
            },
            _ => {
                text.push(character);
                after
            }
        };
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn escapes_and_marks_are_not_seen() {
        assert_eq!(visible_text(r"🚨 **1\*2 \(x\)** at 07\:11"), "🚨 1*2 (x) at 07:11");
        assert_eq!(visible_text("[tx](<https://a/b>) `0xab`"), "tx 0xab");
        assert_eq!(visible_text(r"a\b \"), r"a\b \");
    }
}
