//! Tokens in memory: the list, and what contracts say of themselves, so that a name leads to an address without a question to the
//! database.

use std::{
    collections::{BTreeMap, HashMap},
    time::Duration,
};

use anyhow::Context as _;
use crypto_intel_evm::ListedToken;
use crypto_intel_nats::{Bucket, KvChange, Nats};
use crypto_intel_schemas::{Address, TokenEntry, is_printable};
use crypto_intel_service::{Stopped, unless_stopped};
use parking_lot::RwLock;
use tokio_util::sync::CancellationToken;

const OPEN_AGAIN: Duration = Duration::from_secs(2);
/// Tokens outside the list that are kept, some 40 MB: others are found by their address.
const MAX_REPORTED: usize = 200_000;
/// As many matches are compared before the worse ones are left out.
const MATCHES_AT_ONCE: usize = 4_096;

/// What is known of a token.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct TokenFacts {
    /// Its symbol.
    pub(crate) symbol: Option<String>,
    /// What its contract calls it; `None` of listed ones, which are not asked.
    pub(crate) name: Option<String>,
    /// Digits after the point of a whole token.
    pub(crate) decimals: Option<u8>,
    /// Id under which its price is known.
    pub(crate) asset: Option<String>,
    /// Whether the list verifies it.
    pub(crate) verified: bool,
}

/// A token with its place.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct FoundToken {
    pub(crate) chain: String,
    pub(crate) address: Address,
    pub(crate) facts: TokenFacts,
}

#[derive(Debug)]
struct Known {
    facts: TokenFacts,
    is_listed: bool,
    /// Symbol, name and asset in lower case, a line each.
    folded: Box<str>,
}

impl Known {
    fn new(facts: TokenFacts, is_listed: bool) -> Self {
        let line = |text: &Option<String>| text.as_deref().unwrap_or_default().to_lowercase();
        let folded = [line(&facts.symbol), line(&facts.name), line(&facts.asset)].join("\n").into();
        Self { facts, is_listed, folded }
    }

    /// How well what is sought (in lower case) fits; less is better.
    fn rank(&self, sought: &str) -> Option<u8> {
        let mut lines = self.folded.split('\n');
        let symbol = lines.next().unwrap_or_default();
        if symbol == sought {
            return Some(0);
        }
        if symbol.starts_with(sought) {
            return Some(1);
        }
        let best = lines.filter_map(|line| match line {
            line if line == sought => Some(2),
            line if line.starts_with(sought) => Some(3),
            line if line.contains(sought) => Some(5),
            _ => None,
        });
        best.chain(symbol.contains(sought).then_some(4)).min()
    }
}

#[derive(Debug, Default)]
struct Book {
    chains: BTreeMap<String, HashMap<Address, Known>>,
    reported: usize,
}

impl Book {
    fn put(&mut self, chain: &str, address: Address, known: Known) {
        let of_chain = match self.chains.get_mut(chain) {
            Some(of_chain) => of_chain,
            None => self.chains.entry(chain.to_owned()).or_default(),
        };
        let before = of_chain.get(&address);
        // The list is believed, whatever a contract says.
        if before.is_some_and(|before| before.is_listed) && !known.is_listed {
            return;
        }
        let is_new = before.is_none() && !known.is_listed;
        if is_new && self.reported >= MAX_REPORTED {
            return;
        }
        self.reported += usize::from(is_new);
        of_chain.insert(address, known);
    }

    fn remove(&mut self, chain: &str, address: &Address) {
        let Some(of_chain) = self.chains.get_mut(chain) else { return };
        if of_chain.get(address).is_some_and(|known| !known.is_listed) {
            of_chain.remove(address);
            self.reported -= 1;
        }
    }

    fn take(&mut self, change: &KvChange) {
        let Some((chain, address)) = TokenEntry::of_key(&change.key) else { return };
        let said = change.value.as_deref().and_then(|value| serde_json::from_slice(value).ok());
        match said.and_then(facts_of) {
            Some(facts) => self.put(chain, address, Known::new(facts, false)),
            None => self.remove(chain, &address),
        }
    }
}

/// What a contract says; `None` where it did not answer like a token. Texts were cleaned when they were read: one that was not is
/// left out.
fn facts_of(entry: TokenEntry) -> Option<TokenFacts> {
    let clean = |text: &String| !text.is_empty() && text.chars().all(is_printable);
    let facts = TokenFacts {
        symbol: entry.symbol.filter(clean),
        name: entry.name.filter(clean),
        decimals: entry.decimals,
        ..TokenFacts::default()
    };
    (facts != TokenFacts::default()).then_some(facts)
}

/// The tokens that are known by name.
#[derive(Debug)]
pub(crate) struct TokenBook {
    book: RwLock<Book>,
}

impl TokenBook {
    /// Of the list alone, until the bucket is followed.
    pub(crate) fn new(listed: &[ListedToken]) -> Self {
        let mut book = Book::default();
        for token in listed {
            let facts = TokenFacts {
                symbol: Some(token.symbol.clone()),
                name: None,
                decimals: Some(token.decimals),
                asset: token.asset.clone(),
                verified: token.verified,
            };
            book.put(&token.chain, token.contract, Known::new(facts, true));
        }
        Self { book: RwLock::new(book) }
    }

    /// Adds what contracts say, as the bucket has it, until `stop`. While it cannot be read, the list is all there is.
    pub(crate) async fn follow(
        &self,
        nats: &Nats,
        stop: &CancellationToken,
    ) -> Result<(), Stopped> {
        loop {
            if let Err(error) = unless_stopped(stop, self.follow_once(nats)).await? {
                tracing::warn!(error = %format!("{error:#}"), "cannot read names of tokens, trying again");
            }
            unless_stopped(stop, tokio::time::sleep(OPEN_AGAIN)).await?;
        }
    }

    async fn follow_once(&self, nats: &Nats) -> anyhow::Result<()> {
        let kv = nats.kv(Bucket::Tokens).await.context("open bucket tokens")?;
        let mut watch = kv.watch(">").await.context("watch bucket tokens")?;
        watch.load_each(|change| self.book.write().take(&change)).await;
        while let Some(change) = watch.next().await {
            self.book.write().take(&change);
        }
        Ok(())
    }

    /// What is known of a token, and whether it is on the list.
    pub(crate) fn get(&self, chain: &str, address: &Address) -> Option<(TokenFacts, bool)> {
        let book = self.book.read();
        let known = book.chains.get(chain)?.get(address)?;
        Some((known.facts.clone(), known.is_listed))
    }

    /// A token on each chain that is looked at.
    pub(crate) fn at(&self, address: &Address, looks_at: impl Fn(&str) -> bool) -> Vec<FoundToken> {
        let book = self.book.read();
        let chains = book.chains.iter().filter(|(chain, _)| looks_at(chain));
        let found = |(chain, tokens): (&String, &HashMap<Address, Known>)| {
            let facts = tokens.get(address)?.facts.clone();
            Some(FoundToken { chain: chain.clone(), address: *address, facts })
        };
        chains.filter_map(found).collect()
    }

    /// Listed and verified tokens on the chains that are looked at.
    pub(crate) fn verified(&self, looks_at: impl Fn(&str) -> bool) -> Vec<(String, Address)> {
        let book = self.book.read();
        let chains = book.chains.iter().filter(|(chain, _)| looks_at(chain));
        chains
            .flat_map(|(chain, tokens)| {
                let verified = tokens.iter().filter(|(_, known)| known.facts.verified);
                verified.map(|(address, _)| (chain.clone(), *address))
            })
            .collect()
    }

    /// Tokens whose symbol, name or asset has a text in it (none: all), verified ones first, then those that fit best; one more than
    /// `most` says that there are more.
    pub(crate) fn search(
        &self,
        sought: Option<&str>,
        only_verified: bool,
        most: usize,
        looks_at: impl Fn(&str) -> bool,
    ) -> Vec<FoundToken> {
        let sought = sought.map(str::to_lowercase).unwrap_or_default();
        let book = self.book.read();
        let mut matches = Vec::new();
        for (chain, tokens) in book.chains.iter().filter(|(chain, _)| looks_at(chain)) {
            for (address, known) in tokens {
                if only_verified && !known.facts.verified {
                    continue;
                }
                let Some(rank) = known.rank(&sought) else { continue };
                let key = (!known.facts.verified, rank, known.facts.symbol.as_deref());
                matches.push((key, chain.as_str(), *address, known));
                if matches.len() > MATCHES_AT_ONCE + most {
                    matches
                        .sort_unstable_by_key(|(key, chain, address, _)| (*key, *chain, *address));
                    matches.truncate(most + 1);
                }
            }
        }
        matches.sort_unstable_by_key(|(key, chain, address, _)| (*key, *chain, *address));
        matches.truncate(most + 1);
        matches
            .into_iter()
            .map(|(_, chain, address, known)| FoundToken {
                chain: chain.to_owned(),
                address,
                facts: known.facts.clone(),
            })
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn said(chain: &str, number: u8, symbol: &str, name: &str) -> KvChange {
        let entry = TokenEntry {
            symbol: (!symbol.is_empty()).then(|| symbol.to_owned()),
            name: (!name.is_empty()).then(|| name.to_owned()),
            decimals: None,
            at_us: 1,
        };
        KvChange {
            key: TokenEntry::key(chain, &Address::repeat_byte(number)),
            value: Some(serde_json::to_vec(&entry).unwrap().into()),
            revision: 1,
            stored_at_us: 1,
        }
    }

    fn book() -> TokenBook {
        let listed = ListedToken {
            chain: "base".into(),
            contract: Address::repeat_byte(1),
            asset: Some("usd-coin".into()),
            symbol: "USDC".into(),
            decimals: 6,
            verified: true,
        };
        let book = TokenBook::new(&[listed]);
        for change in [
            said("base", 1, "EVIL", "Not the list"),
            said("base", 2, "USDC", "A copy"),
            said("ethereum", 3, "aUSDC", "Lent USDC"),
            said("base", 4, "", ""),
            said("base", 5, "DEMO", "Demo of USD things"),
            said("base", 6, "US\u{202e}CD", ""),
        ] {
            book.book.write().take(&change);
        }
        book
    }

    fn found(book: &TokenBook, sought: &str) -> Vec<u8> {
        book.search(Some(sought), false, 10, |_| true).iter().map(|one| one.address[0]).collect()
    }

    #[test]
    fn verified_tokens_come_first_then_those_that_fit_best() {
        let book = book();
        assert_eq!(found(&book, "usdc"), [1, 2, 3]);
        assert_eq!(found(&book, "usd"), [1, 2, 3, 5]);
        assert_eq!(found(&book, "usd-coin"), [1], "by its asset");
        assert_eq!(found(&book, "evil"), [0_u8; 0], "the list is believed, not the contract");
        let of_base = book.search(Some("usdc"), false, 10, |chain| chain == "base");
        assert_eq!(of_base.len(), 2);
        assert_eq!(book.search(None, true, 10, |_| true).len(), 1);
        assert_eq!(book.search(None, false, 2, |_| true).len(), 3, "one more: there are more");
    }

    #[test]
    fn what_is_no_token_or_hides_characters_is_left_out_and_what_is_gone_is_forgotten() {
        let book = book();
        assert_eq!(book.get("base", &Address::repeat_byte(4)), None);
        assert_eq!(book.get("base", &Address::repeat_byte(6)), None);
        assert!(book.get("base", &Address::repeat_byte(1)).unwrap().1);
        let gone = KvChange { value: None, ..said("base", 2, "", "") };
        book.book.write().take(&gone);
        assert_eq!(found(&book, "usdc"), [1, 3]);
        assert_eq!(book.at(&Address::repeat_byte(3), |_| true).len(), 1);
    }
}
