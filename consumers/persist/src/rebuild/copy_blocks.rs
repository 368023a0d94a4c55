//! Copies blocks that the streams no longer hold from the live tables.

use crypto_intel_schemas::{B256, Block};
use crypto_intel_store::{
    BatchTransaction, KnownBlock, StoreError,
    rebuild::{BlockCursor, CopyCounts, LiveCopy, Span},
};

use super::stage::{Stage, Watcher};
use crate::{
    apply::plan::Plan,
    intake::batch::{BatchBlock, Marker},
};

/// Blocks in one transaction: about a hundred thousand rows of a busy chain.
const SLICE_BLOCKS: u32 = 500;

/// Copies blocks, with their rows, that are unknown in the new tables or whose newer marker has left the streams. Cancel-safe.
pub(super) async fn blocks(
    copy: &LiveCopy,
    span: Span,
    watcher: Watcher<'_>,
) -> Result<CopyCounts, StoreError> {
    let mut total = CopyCounts::default();
    let mut after = BlockCursor::default();
    loop {
        let slice = copy.newer_blocks(&after, span, SLICE_BLOCKS).await?;
        let Some(last) = slice.last() else { return Ok(total) };
        let (chain, number, hash) = (last.chain.clone(), last.number, last.hash);
        watcher(Stage::Copying { what: format!("{chain} block {number}"), blocks: total.blocks });
        after = BlockCursor { chain, number, hash };
        total += copy_slice(copy, &slice).await?;
    }
}

/// Follows persist's own rules: the block with the newest marker is canonical at its height, and no other has rows.
async fn copy_slice(copy: &LiveCopy, slice: &[KnownBlock]) -> Result<CopyCounts, StoreError> {
    let blocks: Vec<BatchBlock> = slice.iter().map(as_marked).collect();
    let mut heights: Vec<(&str, u64)> =
        slice.iter().map(|block| (block.chain.as_str(), block.number)).collect();
    heights.sort_unstable();
    heights.dedup();
    let (transaction, known) = copy.begin(&heights).await?;
    let plan = Plan::new(&blocks, &known);
    transaction.demote_blocks(&plan.demote).await?;
    transaction.delete_rows(&plan.delete).await?;
    let wanted: Vec<&KnownBlock> = slice
        .iter()
        .zip(&plan.rejected)
        .filter(|(_, rejected)| !**rejected)
        .map(|(block, _)| block)
        .collect();
    let rows = rows_by_chain(copy, &transaction, &wanted).await?;
    let chosen = |blocks: &[(usize, bool)], canonical: bool| -> Vec<(&KnownBlock, bool)> {
        let chosen = blocks.iter().filter(|(_, is_canonical)| *is_canonical == canonical);
        chosen.filter_map(|(index, canonical)| Some((slice.get(*index)?, *canonical))).collect()
    };
    // Demotions first: at no moment are two blocks canonical at one height.
    for canonical in [false, true] {
        copy.update_blocks(&transaction, &chosen(&plan.update, canonical)).await?;
        copy.insert_blocks(&transaction, &chosen(&plan.insert, canonical)).await?;
    }
    let blocks = (plan.update.len() + plan.insert.len()) as u64;
    transaction.commit().await?;
    Ok(CopyCounts { blocks, rows })
}

/// Completes blocks that the streams held only in part.
pub(super) async fn incomplete_blocks(
    copy: &LiveCopy,
    watcher: Watcher<'_>,
) -> Result<CopyCounts, StoreError> {
    watcher(Stage::Copying { what: "blocks that streams began in".to_owned(), blocks: 0 });
    let blocks = copy.incomplete_blocks().await?;
    let mut total = CopyCounts::default();
    for slice in blocks.chunks(SLICE_BLOCKS as usize) {
        let (transaction, _) = copy.begin(&[]).await?;
        let slice: Vec<&KnownBlock> = slice.iter().collect();
        total.rows += rows_by_chain(copy, &transaction, &slice).await?;
        transaction.commit().await?;
    }
    Ok(total)
}

async fn rows_by_chain(
    copy: &LiveCopy,
    transaction: &BatchTransaction,
    blocks: &[&KnownBlock],
) -> Result<u64, StoreError> {
    let mut rows = 0;
    for slice in blocks.chunk_by(|one, other| one.chain == other.chain) {
        if let Some(first) = slice.first() {
            rows += copy.copy_rows(transaction, &first.chain, slice).await?;
        }
    }
    Ok(rows)
}

/// A live block as if its newest marker had just been read.
fn as_marked(block: &KnownBlock) -> BatchBlock {
    let marker = Block {
        chain: block.chain.clone(),
        block_number: block.number,
        block_hash: block.hash,
        removed: !block.canonical,
        parent_hash: B256::ZERO,
        ..Block::empty()
    };
    BatchBlock {
        chain: block.chain.clone(),
        number: block.number,
        hash: block.hash,
        time_us: block.time_us,
        marker: Some(Marker { block: marker, revision: block.revision, message: 0 }),
    }
}
