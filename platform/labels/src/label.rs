use crypto_intel_schemas::{AccountAddress, WatchChain};

/// Characters of a name that are kept.
pub const MAX_NAME_CHARS: usize = 64;
/// Slugs of chains by the names that lists of labels have for them.
const CHAIN_NAMES: &[(&str, &str)] = &[
    ("1", "ethereum"),
    ("eth", "ethereum"),
    ("erc20", "ethereum"),
    ("mainnet", "ethereum"),
    ("10", "optimism"),
    ("op", "optimism"),
    ("56", "bsc"),
    ("bep20", "bsc"),
    ("bnb", "bsc"),
    ("100", "gnosis"),
    ("xdai", "gnosis"),
    ("137", "polygon"),
    ("matic", "polygon"),
    ("8453", "base"),
    ("42161", "arbitrum"),
    ("arb", "arbitrum"),
    ("43114", "avalanche"),
    ("avax", "avalanche"),
];

/// What one source says of an address.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Label {
    /// Where it holds: on one chain, or on every chain that has addresses of this form.
    pub chain: WatchChain,
    /// Of what.
    pub address: AccountAddress,
    /// What it is, such as `exchange`: events carry it as a tag.
    pub category: String,
    /// What it is called; empty where the source has no name for it.
    pub name: String,
    /// Remarks of the source; may be empty.
    pub detail: String,
    /// How sure, in percent; `None` as the whole source is.
    pub confidence: Option<u8>,
}

/// The chain of a label: a slug, a name that lists use for it, or `evm`, `all` or nothing for every chain.
///
/// # Errors
/// What a chain is.
pub fn parse_chain(text: &str) -> Result<WatchChain, String> {
    let name = text.trim().to_ascii_lowercase();
    if matches!(name.as_str(), "" | "evm" | "all" | "*") {
        return Ok(WatchChain::All);
    }
    let known = CHAIN_NAMES.iter().find(|(alias, _)| *alias == name);
    // Slugs have no underscores: `polygon_zkevm` is `polygon-zkevm`.
    known.map_or(name.replace('_', "-"), |(_, slug)| (*slug).to_owned()).parse()
}

/// A name as one line of at most [`MAX_NAME_CHARS`], without characters that are not seen.
#[must_use]
pub fn clean_name(text: &str) -> String {
    let is_hidden = |character: &char| {
        character.is_control()
            || matches!(*character, '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}')
    };
    let spaced =
        text.chars().map(|character| if character.is_whitespace() { ' ' } else { character });
    let shown: String = spaced.filter(|character| !is_hidden(character)).collect();
    let shown = shown.trim();
    if shown.chars().count() <= MAX_NAME_CHARS {
        return shown.to_owned();
    }
    let mut cut: String = shown.chars().take(MAX_NAME_CHARS - 1).collect();
    cut.push('…');
    cut
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn chains_are_known_by_the_names_that_lists_use() {
        for (text, slug) in
            [("BEP20", "bsc"), ("ethereum", "ethereum"), ("polygon_zkevm", "polygon-zkevm")]
        {
            assert_eq!(parse_chain(text), Ok(WatchChain::One(slug.to_owned())));
        }
        for every in ["", " evm ", "ALL"] {
            assert_eq!(parse_chain(every), Ok(WatchChain::All));
        }
        assert!(parse_chain("no chain").is_err());
    }

    #[test]
    fn names_are_one_short_line_of_what_is_seen() {
        assert_eq!(clean_name(" Fake\u{202e}\n Exchange\t1 "), "Fake  Exchange 1");
        assert_eq!(clean_name(&"x".repeat(100)).chars().count(), MAX_NAME_CHARS);
    }
}
