//! Explorers are asked where to look: in which blocks an address was active. The blocks themselves come from the chain's
//! endpoints, so that what is published has the same ids as ever; what an explorer says and its block does not is a doubt.

mod alchemy;
mod answer;
mod claim;
mod client;
pub(crate) mod config;
mod error;
mod ledger;
mod list;
#[cfg(test)]
mod recorded_tests;
mod rows;

use std::{
    collections::{BTreeSet, HashMap, HashSet},
    time::Duration,
};

use anyhow::Context as _;
use crypto_intel_chain::{header::Span, past::Doubt};
use crypto_intel_schemas::{Address, Covers, Finder};
use futures::{StreamExt as _, TryStreamExt as _};
use parking_lot::Mutex;

use self::{
    claim::contradictions,
    client::{ExplorerClient, OfChain},
    error::ExplorerError,
    ledger::Ledger,
    list::List,
};
use crate::{block::BlockData, config::ChainConfig, metrics::ChainMetrics};

/// Addresses that are asked about at once, beside the limit of each explorer.
const ADDRESSES_AT_ONCE: usize = 4;

/// The explorers of one chain.
#[derive(Debug)]
pub(crate) struct Explorers {
    clients: Vec<ExplorerClient>,
    /// By explorer and address: those of the pass that is under way.
    ledgers: Mutex<HashMap<(usize, Address), Ledger>>,
    /// The newest block that each is known to have.
    heads: Mutex<HashMap<usize, u64>>,
    metrics: ChainMetrics,
}

/// In which blocks of a span an address was active, by its explorers.
#[derive(Debug, Default)]
pub(crate) struct Named {
    pub(crate) numbers: BTreeSet<u64>,
    /// What is complete, if the blocks bear it out.
    pub(crate) covers: Covers,
}

impl Explorers {
    /// Those that the chain is configured with.
    ///
    /// # Errors
    /// When TLS cannot be set up.
    pub(crate) fn new(
        chain: &str,
        config: &ChainConfig,
        metrics: ChainMetrics,
    ) -> anyhow::Result<Self> {
        let of_chain = OfChain {
            chain,
            chain_id: config.chain_id,
            timeout: Duration::from_millis(config.request_timeout_ms),
            requests: metrics.explorer_requests(),
        };
        let clients = config.explorers.iter().map(|one| ExplorerClient::new(one, of_chain));
        let clients = clients.collect::<Result<_, _>>().context("set up http client")?;
        Ok(Self { clients, ledgers: Mutex::default(), heads: Mutex::default(), metrics })
    }

    /// Where these addresses were active, each by itself. Explorers read ahead up to `last`.
    ///
    /// # Errors
    /// When none answers and one may do so later.
    pub(crate) async fn named(
        &self,
        addresses: &[Address],
        span: Span,
        last: u64,
    ) -> Result<Vec<Named>, ExplorerError> {
        if self.clients.is_empty() {
            return Ok(addresses.iter().map(|_| Named::default()).collect());
        }
        let wanted: HashSet<&Address> = addresses.iter().collect();
        self.ledgers.lock().retain(|(_, address), _| wanted.contains(address));
        let asked = addresses.iter().map(|address| self.named_of(*address, span, last));
        let asked: Vec<_> = asked.collect();
        futures::stream::iter(asked).buffered(ADDRESSES_AT_ONCE).try_collect().await
    }

    async fn named_of(
        &self,
        address: Address,
        span: Span,
        last: u64,
    ) -> Result<Named, ExplorerError> {
        let mut named = Named::default();
        let (mut answered, mut failure) = (false, None);
        for (index, client) in self.clients.iter().enumerate() {
            let mut ledger = self.ledgers.lock().remove(&(index, address)).unwrap_or_default();
            let extended = match self.reach(index, span, last).await {
                Ok(last) => ledger.extend(client, &address, span, last).await,
                Err(error) => Err(error),
            };
            match extended {
                Ok(missing) => {
                    answered = true;
                    named.numbers.extend(ledger.numbers(span));
                    named.covers.join(&covers_of(client, &missing));
                }
                Err(error) if error.is_transient() => failure = Some(error),
                // It was said when it was refused.
                Err(_) => {}
            }
            self.ledgers.lock().insert((index, address), ledger);
        }
        match failure {
            Some(error) if !answered => Err(error),
            _ => Ok(named),
        }
    }

    /// Up to which block an explorer can be asked.
    async fn reach(&self, index: usize, span: Span, last: u64) -> Result<u64, ExplorerError> {
        let known = self.heads.lock().get(&index).copied();
        let head = match known.filter(|known| *known >= span.to) {
            Some(known) => known,
            None => {
                let head = self.clients[index].head().await?;
                self.heads.lock().insert(index, head);
                head
            }
        };
        if head < span.to {
            let explorer = self.clients[index].label().to_owned();
            return Err(ExplorerError::Behind { explorer, head });
        }
        Ok(head.min(last))
    }

    /// What the explorers say of these addresses and a whole, verified block does not.
    pub(crate) fn doubts<'a>(
        &self,
        block: &BlockData,
        addresses: impl Iterator<Item = &'a Address>,
        is_traced: bool,
    ) -> Vec<Doubt> {
        let number = block.header.number;
        let mut doubts = Vec::new();
        if self.clients.is_empty() {
            return doubts;
        }
        let ledgers = self.ledgers.lock();
        for address in addresses {
            for (index, client) in self.clients.iter().enumerate() {
                let Some(ledger) = ledgers.get(&(index, *address)) else { continue };
                for found in contradictions(block, ledger.claims(number), is_traced) {
                    self.metrics.explorer_doubt(client.label());
                    // Without traces these are many, and none is wrong.
                    if !found.payments_only {
                        tracing::warn!(
                            explorer = client.label(),
                            address = %format!("{address:#x}"),
                            block = number,
                            problem = found.text,
                            "explorer says what the chain's block does not"
                        );
                    }
                    doubts.push(Doubt {
                        address: format!("{address:#x}"),
                        number,
                        by: Finder::Explorer(client.label().to_owned()),
                        payments_only: found.payments_only,
                        text: found.text,
                    });
                }
            }
        }
        doubts
    }
}

/// What an explorer's lists cover, if these are missing.
fn covers_of(client: &ExplorerClient, missing: &[List]) -> Covers {
    let name = || vec![Finder::Explorer(client.label().to_owned())];
    let lists = client.lists();
    let offered = |list: &&List| !missing.contains(list);
    let has_transactions = lists.iter().filter(offered).any(|list| list.has_transactions());
    let has_payments = lists.iter().filter(|list| list.has_payments()).all(|list| offered(&list));
    Covers {
        logs: Vec::new(),
        transactions: if has_transactions { name() } else { Vec::new() },
        payments: if has_payments { name() } else { Vec::new() },
    }
}
