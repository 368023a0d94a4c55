use crate::{
    event::{
        body::event,
        event_kind::EventKind,
        ids::polled_event_id,
        polled_values::{check_line, check_name, check_word, one_line_or_none, plain_hex},
    },
    kinds::Kind,
    sample_values::{BLOCK_TIME_US, OBSERVED_AT_US, decimal},
    streams::Stream,
    subjects::forms::{self as subjects, is_chain_slug},
    types::decimal::Decimal,
};

/// Bounds of texts, characters.
const MAX_SYMBOL: usize = 64;
const MAX_OWNER: usize = 200;

event! {
    /// A large transfer that a provider reports; the pipeline itself has not seen it on its chain.
    pub struct Whale: base {
        /// Chain slug, such as `bitcoin`.
        pub chain: String,
        /// Its transaction; hex is lower case.
        pub hash: String,
        /// Which transfer of the transaction it is, where the provider reports several.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        pub sub_index: Option<u32>,
        /// Asset id of the catalogue, such as `bitcoin`.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        pub asset: Option<String>,
        /// The provider's symbol of what was moved.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        pub symbol: Option<String>,
        /// How much was moved, in whole coins.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        pub amount: Option<Decimal>,
        /// What it was worth in US dollars, as the provider says.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        pub amount_usd: Option<Decimal>,
        /// Address of the sender; hex is lower case.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        pub from: Option<String>,
        /// Address of the recipient; hex is lower case.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        pub to: Option<String>,
        /// The provider's name for the owner of the sending address.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        pub from_owner: Option<String>,
        /// The provider's name for the owner of the receiving address.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        pub to_owner: Option<String>,
    }
}

impl EventKind for Whale {
    const NAME: &'static str = "whale";
    const SCHEMA: &'static str = "whale/1";
    const SUBJECT: &'static str = "whale.<chain>";
    const STREAMS: &'static [(Stream, &'static str)] = &[(Stream::Signals, subjects::WHALE_ALL)];
    const SOURCE: &'static str = "";
    const POLLED: bool = true;

    fn subject(&self) -> String {
        subjects::whale(&self.chain)
    }

    fn key(&self) -> String {
        let (chain, hash) = (&self.chain, &self.hash);
        match self.sub_index {
            Some(sub_index) => format!("{chain}/{hash}/{sub_index}"),
            None => format!("{chain}/{hash}"),
        }
    }

    fn normalise(&mut self) {
        self.hash = plain_hex(&self.hash);
        for address in [&mut self.from, &mut self.to] {
            *address = address.as_deref().map(plain_hex).filter(|address| !address.is_empty());
        }
        self.symbol = one_line_or_none(self.symbol.as_deref(), MAX_SYMBOL);
        self.from_owner = one_line_or_none(self.from_owner.as_deref(), MAX_OWNER);
        self.to_owner = one_line_or_none(self.to_owner.as_deref(), MAX_OWNER);
    }

    fn check(&self) -> Result<(), String> {
        if !is_chain_slug(&self.chain) {
            return Err(format!(
                "chain {:?} is not a slug of 1 to 32 of a to z, 0 to 9 and -",
                self.chain.chars().take(40).collect::<String>()
            ));
        }
        check_word("hash", &self.hash)?;
        if self.amount.is_none() && self.amount_usd.is_none() {
            return Err("lacks both amount and amount_usd: one is needed".to_owned());
        }
        for (field, amount) in [("amount", &self.amount), ("amount_usd", &self.amount_usd)] {
            if let Some(amount) = amount.as_ref().filter(|amount| amount.as_str().starts_with('-'))
            {
                return Err(format!("{field} {amount} is below 0"));
            }
        }
        for (field, address) in [("from", &self.from), ("to", &self.to)] {
            address.as_deref().map_or(Ok(()), |address| check_word(field, address))?;
        }
        for (field, text, most) in [
            ("symbol", &self.symbol, MAX_SYMBOL),
            ("from_owner", &self.from_owner, MAX_OWNER),
            ("to_owner", &self.to_owner, MAX_OWNER),
        ] {
            text.as_deref().map_or(Ok(()), |text| check_line(field, text, most))?;
        }
        self.asset.as_deref().map_or(Ok(()), |asset| check_name("asset", asset))
    }

    fn sample() -> Self {
        let hash = "4a5e1e4baab89f3a32518a88c31bc87f618f76673e2cc77ab2127b7afdeda33b";
        let key = format!("bitcoin/{hash}/1");
        Whale {
            id: polled_event_id("whale-example", Kind::Whale, &key, BLOCK_TIME_US),
            chain: "bitcoin".to_owned(),
            hash: hash.to_owned(),
            sub_index: Some(1),
            asset: Some("bitcoin".to_owned()),
            symbol: Some("BTC".to_owned()),
            amount: Some(decimal("1250.5")),
            amount_usd: Some(decimal("85551831.25")),
            from: Some("1A1zP1eP5QGefi2DMPTfTL5SLmv7DivfNa".to_owned()),
            to: Some("bc1qgdjqv0av3q56jvd82tkdjpy7gdp9ut8tlqmgrpmv24sq90ecnvqqjwvw97".to_owned()),
            from_owner: Some("unknown".to_owned()),
            to_owner: Some("Example Exchange".to_owned()),
            ..Whale::at("whale-example", BLOCK_TIME_US, OBSERVED_AT_US)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn transfers_of_one_transaction_differ_by_their_index() {
        let first = Whale::sample();
        let second = Whale { sub_index: Some(2), ..first.clone() };
        let only = Whale { sub_index: None, ..first.clone() };
        assert_ne!(first.key(), second.key());
        assert_eq!(only.key(), format!("bitcoin/{}", only.hash));
    }

    #[test]
    fn hex_is_lower_case_and_other_addresses_keep_their_case() {
        let mut whale = Whale {
            hash: format!("0x{}", "AB".repeat(32)),
            from: Some(" 0xABcdEF ".to_owned()),
            to: Some("TNXoiAJ3dct8Fjg4M9fkLFh9S2v9TXc32G".to_owned()),
            to_owner: Some(String::new()),
            ..Whale::sample()
        };
        whale.normalise();
        assert_eq!(whale.check(), Ok(()));
        assert_eq!(whale.hash, format!("0x{}", "ab".repeat(32)));
        assert_eq!(whale.from.as_deref(), Some("0xabcdef"));
        assert_eq!(whale.to.as_deref(), Some("TNXoiAJ3dct8Fjg4M9fkLFh9S2v9TXc32G"));
        assert_eq!(whale.to_owner, None);
    }

    #[test]
    fn a_transfer_says_where_it_was_and_how_much() {
        let refused = |change: fn(&mut Whale), part: &str| {
            let mut whale = Whale::sample();
            change(&mut whale);
            whale.normalise();
            let error = whale.check().err().unwrap_or_default();
            assert!(error.contains(part), "{part}: {error}");
        };
        refused(|whale| whale.chain = "Bitcoin Cash".to_owned(), "slug");
        refused(|whale| whale.hash = "a b".to_owned(), "hash");
        refused(|whale| (whale.amount, whale.amount_usd) = (None, None), "one is needed");
        refused(|whale| whale.amount = Some(decimal("-1")), "below 0");
        refused(|whale| whale.asset = Some("BTC".to_owned()), "asset");
    }
}
