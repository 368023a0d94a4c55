//! Values from providers: brought into one form, and checked.

/// Longest name of an asset, quote, index or key, bytes.
const MAX_NAME: usize = 128;
/// Maximum number of characters of a bad value in an error.
const SHOWN_CHARS: usize = 40;

/// Checks a name that is part of a subject or a key: lower case, without spaces.
///
/// # Errors
/// A message that names the field.
pub(crate) fn check_name(field: &str, name: &str) -> Result<(), String> {
    let plain = |c: char| !c.is_control() && !c.is_whitespace() && !c.is_uppercase();
    if !name.is_empty() && name.len() <= MAX_NAME && name.chars().all(plain) {
        return Ok(());
    }
    Err(format!("{field} {:?} is not a lower-case name without spaces", shown(name)))
}

/// Checks a text without spaces, such as a hash or an address of any chain.
///
/// # Errors
/// A message that names the field.
pub(crate) fn check_word(field: &str, word: &str) -> Result<(), String> {
    let plain = |c: char| !c.is_control() && !c.is_whitespace();
    if !word.is_empty() && word.len() <= MAX_NAME && word.chars().all(plain) {
        return Ok(());
    }
    Err(format!("{field} {:?} is not a word of at most {MAX_NAME} bytes", shown(word)))
}

/// Checks a line of text of 1 to `most` characters.
///
/// # Errors
/// A message that names the field.
pub(crate) fn check_line(field: &str, text: &str, most: usize) -> Result<(), String> {
    let length = text.chars().count();
    if (1..=most).contains(&length) && !text.chars().any(char::is_control) {
        return Ok(());
    }
    Err(format!("{field} {:?} is not one line of 1 to {most} characters", shown(text)))
}

/// The beginning of a value, for an error.
fn shown(value: &str) -> String {
    let mut shown: String = value.chars().take(SHOWN_CHARS).collect();
    if shown.len() < value.len() {
        shown.push('…');
    }
    shown
}

/// A text as one line of at most `most` characters: what is longer is cut, and says so.
pub(crate) fn one_line(text: &str, most: usize) -> String {
    let is_gap = |c: char| c.is_whitespace() || c.is_control();
    let words: Vec<&str> = text.split(is_gap).filter(|word| !word.is_empty()).collect();
    let line = words.join(" ");
    match line.char_indices().nth(most) {
        None => line,
        Some(_) => {
            let kept: String = line.chars().take(most.saturating_sub(1)).collect();
            format!("{}…", kept.trim_end())
        }
    }
}

/// The same of a text that may be absent; nothing is left of an empty one.
pub(crate) fn one_line_or_none(text: Option<&str>, most: usize) -> Option<String> {
    text.map(|text| one_line(text, most)).filter(|line| !line.is_empty())
}

/// Each text once, as one line in lower case, in the given order; no more than `most`.
pub(crate) fn distinct_words(texts: &[String], most: usize, longest: usize) -> Vec<String> {
    let mut words: Vec<String> = Vec::new();
    for text in texts {
        let word = one_line(text, longest).to_lowercase();
        if !word.is_empty() && !words.contains(&word) && words.len() < most {
            words.push(word);
        }
    }
    words
}

/// Hex of a hash or address in lower case; text of another form, in which case counts, as it is.
pub(crate) fn plain_hex(text: &str) -> String {
    let text = text.trim();
    let digits = text.strip_prefix("0x").or_else(|| text.strip_prefix("0X"));
    // Without a prefix only a text as long as a hash is certainly hex.
    let is_hex = match digits {
        Some(digits) => is_hex_digits(digits),
        None => text.len() == 64 && is_hex_digits(text),
    };
    if is_hex { text.to_ascii_lowercase() } else { text.to_owned() }
}

fn is_hex_digits(digits: &str) -> bool {
    !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_hexdigit())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_becomes_one_line_and_is_cut_where_it_is_too_long() {
        assert_eq!(one_line(" a\n\tb  c\0d ", 10), "a b c d");
        assert_eq!(one_line("Kraken hört auf", 6), "Krake…");
        assert_eq!(one_line("Kraken hört auf", 8), "Kraken…");
        assert_eq!(one_line("ööö", 3), "ööö");
        assert_eq!(one_line_or_none(Some(" \n"), 5), None);
    }

    #[test]
    fn words_are_distinct_and_few() {
        let tags = ["DeFi", "defi ", "", "Layer 2", "ETF"].map(str::to_owned);
        assert_eq!(distinct_words(&tags, 9, 20), ["defi", "layer 2", "etf"]);
        assert_eq!(distinct_words(&tags, 2, 20), ["defi", "layer 2"]);
    }

    #[test]
    fn only_hex_loses_its_case() {
        assert_eq!(plain_hex("0xABcd"), "0xabcd");
        assert_eq!(plain_hex(&"AB".repeat(32)), "ab".repeat(32));
        for text in ["TNXoiAJ3dct8Fjg4M9fkLFh9S2v9TXc32G", "ABCDEF", "0xZZ"] {
            assert_eq!(plain_hex(text), text);
        }
    }
}
