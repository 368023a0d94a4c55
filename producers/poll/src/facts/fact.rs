//! What several sources say of the same thing: a kind and a key, such as `price of bitcoin/usd`.

use std::collections::BTreeMap;

use crypto_intel_schemas::Kind;

use super::pegs::DOLLAR;

/// The fact that an event of this kind and key tells; `dollar_quotes` are quotes that count as dollars.
pub(super) fn name(kind: Kind, key: &str, dollar_quotes: &BTreeMap<String, String>) -> String {
    let kind = kind.as_str();
    match (kind, key.rsplit_once('/'), key.split_once('/')) {
        ("price", Some((asset, quote)), _) => {
            let quote = if dollar_quotes.contains_key(quote) { DOLLAR } else { quote };
            format!("price of {asset}/{quote}")
        }
        ("metric", _, Some((name, of))) => format!("metric {name} of {of}"),
        _ => format!("{kind} of {key}"),
    }
}

/// The price of an asset in dollars.
pub(super) fn price_of(asset: &str) -> String {
    format!("price of {asset}/{DOLLAR}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fact_has_one_name_whatever_the_source() {
        let quotes = BTreeMap::from([("usdt".to_owned(), "tether".to_owned())]);
        for (kind, key, fact) in [
            (Kind::Price, "bitcoin/usd", "price of bitcoin/usd"),
            (Kind::Price, "bitcoin/usdt", "price of bitcoin/usd"),
            (Kind::Price, "bitcoin/eur", "price of bitcoin/eur"),
            (Kind::Index, "fear-greed", "index of fear-greed"),
        ] {
            assert_eq!(name(kind, key, &quotes), fact);
        }
        assert_eq!(price_of("bitcoin"), "price of bitcoin/usd");
    }
}
