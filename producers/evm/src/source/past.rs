//! Where watched addresses were active: what names them in logs, and where explorers say so.

use std::collections::{BTreeSet, HashSet};

use anyhow::Context as _;
use crypto_intel_chain::{
    header::BlockId,
    past::{Activity, Look, Touching},
    source::ChainSource as _,
    unavailable::Unavailable,
};
use crypto_intel_schemas::{AccountAddress, Address, Covers, Finder, Kind};

use super::{
    EvmSource,
    encode::{self, Bodies, Detail},
    unavailable,
};
use crate::{config::transactions_mode::TransactionsMode, fetch::traces::UNTRACED};

/// In which blocks addresses may have been active, and what is complete once these are published.
pub(super) async fn activity(
    source: &EvmSource,
    addresses: &[String],
    look: Look,
) -> anyhow::Result<Activity> {
    let parsed: Result<Vec<Address>, _> = addresses.iter().map(|text| text.parse()).collect();
    let parsed = parsed.context("read the address")?;
    let mut numbers = BTreeSet::new();
    let mut covers: Vec<Covers> = Vec::with_capacity(addresses.len());
    if look.every_block {
        numbers.extend(look.span.from..=look.span.to);
        let every = || vec![Finder::EveryBlock];
        let payments = if source.fetcher.is_traced() { every() } else { Vec::new() };
        let all = Covers { logs: every(), transactions: every(), payments };
        covers.resize(addresses.len(), all);
    } else {
        let named = source.fetcher.blocks_naming(&parsed, look.span).await;
        numbers.extend(named.context("ask for logs that name the address")?);
        let named = source.explorers.named(&parsed, look.span, look.last).await;
        for mut named in named.context("ask explorers")? {
            numbers.append(&mut named.numbers);
            named.covers.logs.push(Finder::OwnLogs);
            covers.push(named.covers);
        }
    }
    for (address, covers) in addresses.iter().zip(&mut covers) {
        limit(source, address, covers);
    }
    Ok(Activity { numbers: numbers.into_iter().collect(), covers })
}

/// Takes back what is not published for the chain's scope, or for this address.
fn limit(source: &EvmSource, address: &str, covers: &mut Covers) {
    let scope = source.decoder.scope();
    // It was taken off the list meanwhile.
    if scope.is_watched_only() && !source.is_watched(address) {
        *covers = Covers::default();
    }
    let is_filtered = source.fetcher.is_filtered();
    let has_transactions = scope.has_kind(Kind::Transaction)
        && match source.decoder.transactions() {
            TransactionsMode::All => true,
            // Those of an address that is on the list no more are told of no longer.
            TransactionsMode::Watched => source.is_watched(address),
            TransactionsMode::None => false,
        };
    if is_filtered || !has_transactions {
        covers.transactions.clear();
    }
    let has_payments =
        [Kind::NativeTransfer, Kind::InternalTransfer].iter().all(|kind| scope.has_kind(*kind));
    if is_filtered || !has_payments {
        covers.payments.clear();
    }
}

/// A block with what touches the addresses, and what explorers say of them that it does not have.
pub(super) async fn block_touching(
    source: &EvmSource,
    number: u64,
    addresses: &[String],
) -> Result<Touching<Detail>, Unavailable> {
    let parsed: Result<Vec<Address>, _> = addresses.iter().map(|text| text.parse()).collect();
    let parsed = parsed.map_err(Unavailable::failed)?;
    let block = source.fetcher.block(BlockId::Number(number).into()).await.map_err(unavailable)?;
    let is_traced = source.fetcher.is_traced();
    // Of a block of logs alone nothing else can be compared.
    let doubts = match source.fetcher.is_filtered() {
        true => Vec::new(),
        false => source.explorers.doubts(&block, parsed.iter(), is_traced),
    };
    let lacks_payments = block.unverified.iter().any(|missing| missing == UNTRACED);
    let wanted: HashSet<AccountAddress> =
        parsed.iter().copied().map(AccountAddress::from).collect();
    let context = source.context_of_past();
    let bodies = Bodies::touching(&source.decoder, &block, &context, &wanted);
    let prepared = encode::prepared(&source.decoder, block, context, bodies);
    Ok(Touching { prepared, doubts, lacks_payments })
}
