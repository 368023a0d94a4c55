//! From an event to the cohorts that may want it: the cost follows what matches, not how many listen.

use std::{collections::HashMap, hash::Hash};

use crypto_intel_schemas::{AccountAddress, Kind};

use super::{
    filter::Filter,
    kind_set::KindSet,
    live_event::{LiveEvent, Token},
};

/// A cohort.
pub(crate) type CohortId = u64;

/// Cohorts by the narrowest part of their filter. Who is found here may still not match.
#[derive(Debug, Default)]
pub(crate) struct Index {
    by_address: HashMap<AccountAddress, Vec<CohortId>>,
    by_token: HashMap<Token, Vec<CohortId>>,
    by_kind: HashMap<Kind, Vec<CohortId>>,
    by_kind_and_chain: HashMap<(Kind, String), Vec<CohortId>>,
    kinds: HashMap<Kind, usize>,
}

impl Index {
    pub(crate) fn add(&mut self, id: CohortId, filter: &Filter) {
        for kind in filter.kinds.iter() {
            *self.kinds.entry(kind).or_default() += 1;
        }
        match Narrowest::of(filter) {
            Narrowest::Addresses => add_all(&mut self.by_address, &filter.addresses, id),
            Narrowest::Tokens => add_all(&mut self.by_token, &filter.tokens, id),
            Narrowest::Kinds => add_all(&mut self.by_kind, &kinds_of(filter), id),
            Narrowest::Chains => add_all(&mut self.by_kind_and_chain, &chains_of(filter), id),
        }
    }

    pub(crate) fn remove(&mut self, id: CohortId, filter: &Filter) {
        for kind in filter.kinds.iter() {
            if let Some(count) = self.kinds.get_mut(&kind) {
                *count -= 1;
            }
        }
        match Narrowest::of(filter) {
            Narrowest::Addresses => remove_all(&mut self.by_address, &filter.addresses, id),
            Narrowest::Tokens => remove_all(&mut self.by_token, &filter.tokens, id),
            Narrowest::Kinds => remove_all(&mut self.by_kind, &kinds_of(filter), id),
            Narrowest::Chains => remove_all(&mut self.by_kind_and_chain, &chains_of(filter), id),
        }
    }

    /// Whether anybody listens to a kind.
    pub(crate) fn wanted_kinds(&self) -> KindSet {
        let wanted = self.kinds.iter().filter(|(_, count)| **count > 0);
        wanted.fold(KindSet::default(), |set, (kind, _)| set.or(KindSet::of(&[*kind])))
    }

    /// Puts the cohorts that may want an event into `found`, each once.
    pub(crate) fn find(&self, event: &LiveEvent, found: &mut Vec<CohortId>) {
        found.clear();
        let mut take = |list: Option<&Vec<CohortId>>| found.extend(list.into_iter().flatten());
        for address in &event.addresses {
            take(self.by_address.get(address));
        }
        for token in &event.tokens {
            take(self.by_token.get(token));
        }
        take(self.by_kind.get(&event.kind));
        if let Some(chain) = event.chain.as_deref()
            && !self.by_kind_and_chain.is_empty()
        {
            take(self.by_kind_and_chain.get(&(event.kind, chain.to_owned())));
        }
        found.sort_unstable();
        found.dedup();
    }
}

/// By which part of a filter its cohort is found.
enum Narrowest {
    Addresses,
    Tokens,
    Chains,
    Kinds,
}

impl Narrowest {
    fn of(filter: &Filter) -> Self {
        if !filter.addresses.is_empty() {
            Self::Addresses
        } else if !filter.tokens.is_empty() {
            Self::Tokens
        } else if !filter.chains.is_empty() {
            Self::Chains
        } else {
            Self::Kinds
        }
    }
}

fn kinds_of(filter: &Filter) -> Vec<Kind> {
    filter.kinds.iter().collect()
}

fn chains_of(filter: &Filter) -> Vec<(Kind, String)> {
    let chains = |kind: Kind| filter.chains.iter().map(move |chain| (kind, chain.clone()));
    filter.kinds.iter().flat_map(chains).collect()
}

fn add_all<K: Hash + Eq + Clone>(map: &mut HashMap<K, Vec<CohortId>>, keys: &[K], id: CohortId) {
    for key in keys {
        map.entry(key.clone()).or_default().push(id);
    }
}

fn remove_all<K: Hash + Eq>(map: &mut HashMap<K, Vec<CohortId>>, keys: &[K], id: CohortId) {
    for key in keys {
        let Some(list) = map.get_mut(key) else { continue };
        list.retain(|known| *known != id);
        if list.is_empty() {
            map.remove(key);
        }
    }
}

#[cfg(test)]
mod tests {
    use crypto_intel_schemas::{Address, samples};

    use super::{
        super::{filter::tests::of, live_event::tests::live},
        *,
    };

    #[test]
    fn an_event_leads_to_the_cohorts_that_may_want_it() {
        let transfer = live(&samples::sample(Kind::Erc20Transfer), 1);
        let (party, token) = (transfer.addresses[0], transfer.tokens[0]);
        let all = of(&[Kind::Erc20Transfer]);
        let chains = |chain: &str| vec![chain.to_owned()];
        let other = AccountAddress::from(Address::repeat_byte(0xee));
        let filters = [
            all.clone(),
            of(&[Kind::Swap]),
            Filter { chains: chains("ethereum"), ..all.clone() },
            Filter { chains: chains("base"), ..all.clone() },
            Filter { addresses: vec![party, transfer.addresses[1]], ..all.clone() },
            Filter { addresses: vec![other], ..all.clone() },
            Filter { tokens: vec![token], ..all.clone() },
        ];
        let mut index = Index::default();
        for (id, filter) in filters.iter().enumerate() {
            index.add(id as CohortId, filter);
        }
        let mut found = Vec::new();
        index.find(&transfer, &mut found);
        assert_eq!(found, [0, 2, 4, 6]);
        for (id, filter) in filters.iter().enumerate() {
            index.remove(id as CohortId, filter);
        }
        index.find(&transfer, &mut found);
        assert!(found.is_empty() && index.wanted_kinds() == KindSet::default());
        assert!(index.by_address.is_empty() && index.by_token.is_empty());
    }
}
