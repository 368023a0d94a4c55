/// Whether a character of a text that people wrote is seen and leaves what stands beside it where it is: controls, direction
/// marks, overrides and isolates are not.
#[must_use]
pub fn is_printable(character: char) -> bool {
    !character.is_control()
        && !matches!(
            character,
            '\u{61c}' | '\u{200b}' | '\u{200e}'..='\u{200f}' | '\u{2028}'..='\u{202e}'
                | '\u{2060}'..='\u{206f}' | '\u{feff}'
        )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_turns_or_hides_text_is_not_printable() {
        assert!("Börse ₮ 🚨 日本 עברית".chars().all(is_printable));
        for hidden in ['\0', '\n', '\u{7f}', '\u{202e}', '\u{2066}', '\u{200f}', '\u{feff}'] {
            assert!(!is_printable(hidden), "{hidden:?}");
        }
    }
}
