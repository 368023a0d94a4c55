//! What a subscription wants, in one form: equal wishes are equal filters.

use crypto_intel_schemas::{AccountAddress, Kind};

use super::{
    kind_set::KindSet,
    live_event::{LiveEvent, Token},
    position::SlotSet,
};

/// Which events are told. Lists are sorted and without repetitions; an empty list asks for nothing.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash)]
pub(crate) struct Filter {
    /// Kinds, those only that the client may see.
    pub(crate) kinds: KindSet,
    /// Chains that were asked for; an event of no chain is not of them.
    pub(crate) chains: Vec<String>,
    /// Chains that the client may see, if not all; events of no chain are seen.
    pub(crate) visible_chains: Option<Vec<String>>,
    /// Addresses of which the event names one.
    pub(crate) addresses: Vec<AccountAddress>,
    /// Tokens of which the event moves one.
    pub(crate) tokens: Vec<Token>,
    /// Whether it has to touch a watched address.
    pub(crate) is_watched: bool,
    /// Least value, millionths of a dollar; an event of unknown value has less, but for those that providers report as large.
    pub(crate) least_micro_usd: Option<u128>,
}

impl Filter {
    /// Whether an event is told.
    pub(crate) fn matches(&self, event: &LiveEvent) -> bool {
        self.kinds.contains(event.kind)
            && self.has_chain_of(event)
            && (!self.is_watched || event.is_watched)
            && self.has_value_of(event)
            && has_any(&self.tokens, &event.tokens)
            && has_any(&self.addresses, &event.addresses)
    }

    /// The streams that hold such events.
    pub(crate) fn streams(&self) -> SlotSet {
        SlotSet::of_kinds(self.kinds)
    }

    fn has_chain_of(&self, event: &LiveEvent) -> bool {
        match event.chain.as_deref() {
            None => self.chains.is_empty(),
            Some(chain) => {
                (self.chains.is_empty() || has(&self.chains, chain))
                    && self.visible_chains.as_ref().is_none_or(|visible| has(visible, chain))
            }
        }
    }

    fn has_value_of(&self, event: &LiveEvent) -> bool {
        let Some(least) = self.least_micro_usd else { return true };
        match event.micro_usd {
            Some(value) => value >= least,
            None => event.kind == Kind::Whale,
        }
    }
}

/// Whether a sorted list has a text.
fn has(list: &[String], text: &str) -> bool {
    list.binary_search_by(|item| item.as_str().cmp(text)).is_ok()
}

/// Whether a sorted list has one of the items, or asks for nothing.
fn has_any<T: Ord>(list: &[T], items: &[T]) -> bool {
    list.is_empty() || items.iter().any(|item| list.binary_search(item).is_ok())
}

#[cfg(test)]
pub(crate) mod tests {
    use crypto_intel_schemas::{Address, samples};

    use super::{super::live_event::tests::live, *};

    pub(crate) fn of(kinds: &[Kind]) -> Filter {
        Filter { kinds: KindSet::of(kinds), ..Filter::default() }
    }

    #[test]
    fn each_part_of_a_filter_has_to_hold() {
        let transfer = live(&samples::sample(Kind::Erc20Transfer), 1);
        let all = of(&[Kind::Erc20Transfer]);
        let party = transfer.addresses[0];
        let other = AccountAddress::from(Address::repeat_byte(0xee));
        let texts = |chains: &[&str]| chains.iter().map(|chain| (*chain).to_owned()).collect();
        for (filter, expected) in [
            (all.clone(), true),
            (of(&[Kind::Swap]), false),
            (Filter { chains: texts(&["base", "ethereum"]), ..all.clone() }, true),
            (Filter { chains: texts(&["base"]), ..all.clone() }, false),
            (Filter { visible_chains: Some(texts(&["base"])), ..all.clone() }, false),
            (Filter { visible_chains: Some(Vec::new()), ..all.clone() }, false),
            (Filter { addresses: vec![party], ..all.clone() }, true),
            (Filter { addresses: vec![other], ..all.clone() }, false),
            (Filter { tokens: vec![transfer.tokens[0]], ..all.clone() }, true),
            (Filter { tokens: vec![Token::Native], ..all.clone() }, false),
            (Filter { is_watched: true, ..all.clone() }, true),
            (Filter { least_micro_usd: Some(12_498_750_250_000), ..all.clone() }, true),
            (Filter { least_micro_usd: Some(12_498_750_250_001), ..all.clone() }, false),
        ] {
            assert_eq!(filter.matches(&transfer), expected, "{filter:?}");
        }
    }

    #[test]
    fn what_has_no_chain_is_hidden_by_a_wish_and_not_by_a_right() {
        let price = live(&samples::sample(Kind::Price), 1);
        let all = of(&[Kind::Price]);
        assert!(Filter { visible_chains: Some(Vec::new()), ..all.clone() }.matches(&price));
        assert!(!Filter { chains: vec!["base".to_owned()], ..all }.matches(&price));
    }

    #[test]
    fn a_reported_whale_of_unknown_value_is_told() {
        let whale = live(&samples::sample_minimal(Kind::Whale), 1);
        assert_eq!(whale.micro_usd, None);
        let large = Filter { least_micro_usd: Some(1), ..of(&[Kind::Whale, Kind::Erc20Transfer]) };
        assert!(large.matches(&whale));
        assert!(!large.matches(&live(&samples::sample_minimal(Kind::Erc20Transfer), 2)));
    }
}
