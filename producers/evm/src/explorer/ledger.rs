//! What an explorer says of one address, for blocks in a row.

use std::collections::BTreeMap;

use crypto_intel_chain::header::Span;
use crypto_intel_schemas::Address;

use super::{
    claim::{Claim, Claimed},
    client::{ExplorerClient, Window},
    error::ExplorerError,
    list::List,
};

/// Claims of one address from its explorer, read ahead page by page.
#[derive(Debug, Default)]
pub(crate) struct Ledger {
    /// Everything from here on was asked for.
    first: u64,
    /// By list, in the order of the explorer: first block that was not asked for.
    next: Vec<u64>,
    /// Claims by block.
    claims: BTreeMap<u64, Vec<Claim>>,
}

impl Ledger {
    /// Reads on until all blocks of a span are known, not beyond `last`. Lists that the explorer does not offer are returned.
    ///
    /// # Errors
    /// When a page is unavailable; what was read before is kept.
    pub(crate) async fn extend(
        &mut self,
        client: &ExplorerClient,
        address: &Address,
        span: Span,
        last: u64,
    ) -> Result<Vec<List>, ExplorerError> {
        let lists = client.lists();
        if self.next.is_empty() || self.first > span.from {
            *self =
                Self { first: span.from, next: vec![span.from; lists.len()], ..Self::default() };
        }
        self.claims = self.claims.split_off(&span.from);
        let mut missing = Vec::new();
        for (place, list) in lists.iter().enumerate() {
            while self.next[place] <= span.to {
                let window = Window { from: self.next[place].max(span.from), to: last };
                let claims = match client.page(*list, address, window).await {
                    Ok(claims) => claims,
                    Err(ExplorerError::NotOffered { .. }) => {
                        missing.push(*list);
                        break;
                    }
                    Err(error) => return Err(error),
                };
                // The last block of a page may have more rows than came: it is named, which is what counts. So a page
                // never has to be followed by a second one of the same blocks, however few rows the explorer gives.
                let reached = claims.last().map_or(window.to, |claim| claim.number);
                self.next[place] = reached.saturating_add(1);
                self.take(*list, address, claims);
            }
        }
        Ok(missing)
    }

    /// Adds claims; what another list has told already is not told twice.
    fn take(&mut self, list: List, address: &Address, claims: Vec<Claim>) {
        for claim in claims {
            let known = self.claims.entry(claim.number).or_default();
            let is_known = match &claim.what {
                // Two payments may be alike. What an address paid to itself is in both lists.
                Claimed::Payment { from, .. } => list == List::ReceivedInside && from == address,
                _ => known.contains(&claim),
            };
            if !is_known {
                known.push(claim);
            }
        }
    }

    /// Blocks of a span that are named.
    pub(crate) fn numbers(&self, span: Span) -> impl Iterator<Item = u64> {
        self.claims.range(span.from..=span.to).map(|(number, _)| *number)
    }

    /// What is said of a block.
    pub(crate) fn claims(&self, number: u64) -> &[Claim] {
        self.claims.get(&number).map(Vec::as_slice).unwrap_or_default()
    }
}
