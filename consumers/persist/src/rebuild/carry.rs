//! What the streams no longer hold comes from the live tables.

use crypto_intel_schemas::{B256, Block};
use crypto_intel_store::{
    BatchTransaction, KnownBlock, StoreError,
    rebuild::{BlockCursor, CopyCounts, LiveCopy, Span},
};
use tokio_util::sync::CancellationToken;

use super::{Stage, Watcher};
use crate::{
    batch::{BatchBlock, Marker},
    plan::Plan,
};

/// Blocks in one transaction: a hundred thousand rows of a busy chain.
const BLOCKS_AT_ONCE: u32 = 500;

/// Takes over blocks that the new tables do not know, or whose newer marker has left the streams, with their rows. `None`
/// when `shutdown` came first.
pub(super) async fn blocks(
    copy: &LiveCopy,
    span: Span,
    watcher: Watcher<'_>,
    shutdown: &CancellationToken,
) -> Result<Option<CopyCounts>, StoreError> {
    let mut total = CopyCounts::default();
    let mut after = BlockCursor::default();
    loop {
        if shutdown.is_cancelled() {
            return Ok(None);
        }
        let slice = copy.newer_blocks(&after, span, BLOCKS_AT_ONCE).await?;
        let Some(last) = slice.last() else { return Ok(Some(total)) };
        let (chain, number, hash) = (last.chain.clone(), last.number, last.hash);
        watcher(Stage::Carrying { what: format!("{chain} block {number}"), blocks: total.blocks });
        after = BlockCursor { chain, number, hash };
        total += take_over(copy, &slice).await?;
    }
}

/// By persist's own rules: the block with the newest marker has its height, and rows of no other come in.
async fn take_over(copy: &LiveCopy, slice: &[KnownBlock]) -> Result<CopyCounts, StoreError> {
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
    // What goes before what comes: at no moment are two canonical at one height.
    for canonical in [false, true] {
        copy.update_blocks(&transaction, &chosen(&plan.update, canonical)).await?;
        copy.insert_blocks(&transaction, &chosen(&plan.insert, canonical)).await?;
    }
    let blocks = (plan.update.len() + plan.insert.len()) as u64;
    transaction.commit().await?;
    Ok(CopyCounts { blocks, rows })
}

/// Fills up blocks of which the streams held only a part.
pub(super) async fn incomplete_blocks(
    copy: &LiveCopy,
    watcher: Watcher<'_>,
) -> Result<CopyCounts, StoreError> {
    watcher(Stage::Carrying { what: "blocks that streams began in".to_owned(), blocks: 0 });
    let blocks = copy.incomplete_blocks().await?;
    let mut total = CopyCounts::default();
    for slice in blocks.chunks(BLOCKS_AT_ONCE as usize) {
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
