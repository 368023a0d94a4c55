//! From a block to its events' bodies and its marker.

use std::collections::HashSet;

use crypto_intel_chain::bodies::{Bodies as EncodedBodies, BodiesWriter, Prepared};
use crypto_intel_schemas::{
    AccountAddress, Address, Block, Event, Kind, Uint256, chain_event_id, subjects,
};

use crate::{
    block::BlockData,
    decode::{BlockContext, Decoder},
    enrich::{
        look_alikes::{Touch, put_mark, touches_of},
        watch::WatchView,
    },
};

/// What is kept of a block to encode it once more.
#[derive(Debug)]
pub(crate) struct Detail {
    pub(crate) block: BlockData,
    pub(crate) context: BlockContext,
    /// Version of what factories had made when the block was decoded.
    pub(crate) known_contracts: u64,
    /// Where watched wallets meet others.
    pub(crate) touches: Vec<Touch>,
}

/// A block's events as bodies.
#[derive(Debug)]
pub(crate) struct Bodies {
    encoded: EncodedBodies,
    known_contracts: u64,
    touches: Vec<Touch>,
}

impl Bodies {
    /// Decodes and encodes a block.
    pub(crate) fn of(decoder: &Decoder, block: &BlockData, context: &BlockContext) -> Self {
        Self::chosen(decoder, block, context, |_| true)
    }

    /// The same, but only the events that touch any of these addresses.
    pub(crate) fn touching(
        decoder: &Decoder,
        block: &BlockData,
        context: &BlockContext,
        addresses: &HashSet<AccountAddress>,
    ) -> Self {
        Self::chosen(decoder, block, context, |event| {
            event.touched().iter().any(|found| addresses.contains(found))
        })
    }

    fn chosen(
        decoder: &Decoder,
        block: &BlockData,
        context: &BlockContext,
        is_wanted: impl Fn(&Event) -> bool,
    ) -> Self {
        let mut writer = BodiesWriter::with_capacity(block.logs.len() + block.transactions.len());
        let known_contracts = decoder.discover(block);
        let chain = decoder.chain();
        let watched_only = decoder.scope().is_watched_only();
        let (mut number, mut touches) = (0, Vec::new());
        decoder.decode(block, context, &mut |mut event: Event| {
            if is_wanted(&event) {
                let copies = label(&mut event, &context.watched, chain);
                context.labels.name_parties(&mut event);
                if !copies.is_empty() {
                    name_watched(&mut event, &context.watched);
                }
                if let Some(dust) = context.dust.filter(|_| !copies.is_empty()) {
                    let is_watched = |address: &Address| context.watched.has(&(*address).into());
                    touches_of(&event, number, dust, is_watched, &mut touches);
                }
                if let Some(mark) = context.marks.iter().find(|mark| mark.event == number) {
                    put_mark(&mut event, mark);
                }
                number += 1;
                if !(watched_only && copies.is_empty()) {
                    writer.push(&event, copies);
                }
            }
        });
        Self { encoded: writer.finish(), known_contracts, touches }
    }

    /// How many events there are.
    pub(crate) fn len(&self) -> usize {
        self.encoded.len()
    }
}

/// Puts the labels of watched addresses on an event that touches them; the subjects of its copies.
fn label(event: &mut Event, watched: &WatchView, chain: &str) -> Vec<String> {
    let mut copies = Vec::new();
    if watched.is_empty() {
        return copies;
    }
    let kind: Kind = event.kind();
    for address in event.touched().iter() {
        let Some(found) = watched.labels_of(address) else { continue };
        copies.push(subjects::watch(chain, address, kind));
        let Some(labels) = event.watched_mut() else { continue };
        for text in found {
            if !labels.iter().any(|known| known == text) {
                labels.push(text.to_owned());
            }
        }
    }
    copies
}

/// The tag of the side of an event that is watched: with it rules tell in from out.
const WATCHED_TAG: &str = "watched";

/// Names the sides of an event that are watched as the watch-list does: what people call their own address comes before
/// what lists of labels say.
fn name_watched(event: &mut Event, watched: &WatchView) {
    let Some(parties) = event.parties() else { return };
    let own_name = |address: Option<Address>| {
        let address = address?;
        let name = watched.labels_of(&address.into())?.next().unwrap_or_default().to_owned();
        // Without a label of its own an address is called by itself.
        Some((!name.starts_with("0x")).then_some(name))
    };
    let (from, to) = (own_name(parties.from), own_name(parties.to));
    let Some(labels) = event.party_labels_mut() else { return };
    for (own, label, tags) in
        [(from, labels.from_label, labels.from_tags), (to, labels.to_label, labels.to_tags)]
    {
        if let Some(name) = own {
            if name.is_some() {
                *label = name;
            }
            tags.push(WATCHED_TAG.to_owned());
        }
    }
}

/// A block with its events encoded.
pub(crate) fn prepare(
    decoder: &Decoder,
    block: BlockData,
    context: BlockContext,
) -> Prepared<Detail> {
    let bodies = Bodies::of(decoder, &block, &context);
    prepared(decoder, block, context, bodies)
}

/// A block with these bodies.
pub(crate) fn prepared(
    decoder: &Decoder,
    block: BlockData,
    context: BlockContext,
    bodies: Bodies,
) -> Prepared<Detail> {
    Prepared {
        header: block.header.link(),
        marker: marker(decoder, &block, &context),
        bodies: bodies.encoded,
        detail: Detail {
            block,
            context,
            known_contracts: bodies.known_contracts,
            touches: bodies.touches,
        },
    }
}

/// The same block under another incarnation, another watch-list, with contracts or look-alikes that were found since: as the
/// context of the block now says.
pub(crate) fn encode_again(decoder: &Decoder, prepared: &mut Prepared<Detail>) {
    let Detail { block, context, known_contracts, touches } = &mut prepared.detail;
    let bodies = Bodies::of(decoder, block, context);
    *known_contracts = bodies.known_contracts;
    *touches = bodies.touches;
    prepared.bodies = bodies.encoded;
    prepared.marker = marker(decoder, block, context);
}

/// What the marker says of the block itself.
fn marker(decoder: &Decoder, block: &BlockData, context: &BlockContext) -> Block {
    let header = &block.header;
    let (scope_version, scope_digest) = decoder.scope_stamp().unzip();
    Block {
        id: chain_event_id(decoder.chain(), &header.hash, Kind::Block),
        event_at_us: header.time_us(),
        observed_at_us: context.observed_at_us,
        chain: decoder.chain().to_owned(),
        chain_id: decoder.chain_id(),
        block_number: header.number,
        block_hash: header.hash,
        block_time_us: header.time_us(),
        incarnation: context.incarnation,
        parent_hash: header.parent_hash,
        transactions: u32::try_from(block.transactions.len()).unwrap_or(u32::MAX),
        gas_used: header.gas_used,
        gas_limit: header.gas_limit,
        base_fee_per_gas: header.base_fee_per_gas.map(Uint256),
        miner: header.miner,
        unverified: block.unverified.clone(),
        scope_version,
        scope_digest: scope_digest.map(ToOwned::to_owned),
        ..Block::empty()
    }
}
