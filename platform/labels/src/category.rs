/// The category of addresses on a list of sanctions: the first of an address's tags, whatever else is known of it.
pub const SANCTIONED: &str = "sanctioned";
/// The category of an address that imitates a counterparty of a watched wallet: found by producers, in no list.
pub const LOOK_ALIKE: &str = "look_alike";

const MAX_CHARS: usize = 32;

/// A category in its one form: lower case, `_` for what separates words.
///
/// # Errors
/// What a category is.
pub fn parse_category(text: &str) -> Result<String, String> {
    let category: String = text
        .trim()
        .chars()
        .map(|character| match character {
            ' ' | '-' => '_',
            other => other.to_ascii_lowercase(),
        })
        .collect();
    let is_word = |character: char| {
        character.is_ascii_lowercase() || character.is_ascii_digit() || character == '_'
    };
    if category.is_empty() || category.len() > MAX_CHARS || !category.chars().all(is_word) {
        return Err(format!(
            "{text:?} is no category: use 1 to {MAX_CHARS} of the characters a-z, 0-9 and _, such as exchange"
        ));
    }
    Ok(category)
}
