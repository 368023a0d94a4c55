//! Which blocks are canonical after a batch. Pure: batch and known blocks in, changes out.

use std::collections::HashMap;

use crypto_intel_schemas::B256;
use crypto_intel_store::{DroppedBlock, KnownBlock, block_tag};

use crate::intake::batch::BatchBlock;

/// What a batch does to `blocks` and to the rows of blocks.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Plan<'a> {
    /// Blocks of the batch (by index) that are new, and whether they are canonical.
    pub(crate) insert: Vec<(usize, bool)>,
    /// Blocks of the batch (by index) that are known and have a newer marker, and whether they are canonical.
    pub(crate) update: Vec<(usize, bool)>,
    /// Known blocks that lose their height to a block of the batch.
    pub(crate) demote: Vec<(&'a str, u64, B256)>,
    /// Blocks whose rows are deleted.
    pub(crate) delete: Vec<DroppedBlock<'a>>,
    /// By index of the batch's blocks: whether their rows are left out.
    pub(crate) rejected: Vec<bool>,
    /// Whether rows of this batch may exist already.
    pub(crate) may_conflict: bool,
}

/// One hash at a height, according to the batch's marker or else to the database.
struct Candidate {
    hash: B256,
    revision: i64,
    wants_height: bool,
    is_known_canonical: bool,
}

impl<'a> Plan<'a> {
    pub(crate) fn new(blocks: &'a [BatchBlock], known: &'a [KnownBlock]) -> Self {
        let mut plan = Self { rejected: vec![false; blocks.len()], ..Self::default() };
        let by_hash: HashMap<(&str, B256), &KnownBlock> =
            known.iter().map(|block| ((block.chain.as_str(), block.hash), block)).collect();
        let winners = winners(blocks, known, &by_hash);
        for (index, block) in blocks.iter().enumerate() {
            let Some(marker) = &block.marker else { continue };
            let chain = block.chain.as_str();
            let winner = winners.get(&(chain, block.number));
            let canonical = winner == Some(&block.hash);
            match by_hash.get(&(chain, block.hash)) {
                None => plan.insert.push((index, canonical)),
                Some(old) => {
                    plan.may_conflict |= canonical;
                    if marker.revision > old.revision {
                        plan.update.push((index, canonical));
                    }
                }
            }
            if !canonical {
                plan.rejected[index] = true;
                // Rows know only a block's tag. Once in four billion two blocks of a height have the same, and then these
                // would be the winner's.
                if winner.is_none_or(|winner| block_tag(winner) != block_tag(&block.hash)) {
                    plan.delete.push(block.dropped());
                }
            }
        }
        for old in known.iter().filter(|old| old.canonical) {
            let chain = old.chain.as_str();
            if winners.get(&(chain, old.number)) != Some(&old.hash) {
                plan.demote.push((chain, old.number, old.hash));
                plan.delete.push(DroppedBlock {
                    chain,
                    number: old.number,
                    hash: old.hash,
                    time_us: old.time_us,
                });
            }
        }
        plan.delete.sort_unstable();
        plan.delete.dedup();
        // Demotions first: at no moment are two blocks canonical at one height.
        plan.update.sort_by_key(|(_, canonical)| *canonical);
        plan
    }
}

/// The canonical hash of every height, where there is one.
fn winners<'a>(
    blocks: &'a [BatchBlock],
    known: &'a [KnownBlock],
    by_hash: &HashMap<(&str, B256), &KnownBlock>,
) -> HashMap<(&'a str, u64), B256> {
    let mut candidates: HashMap<(&str, u64), Vec<Candidate>> = HashMap::new();
    for old in known {
        candidates.entry((&old.chain, old.number)).or_default().push(Candidate {
            hash: old.hash,
            revision: old.revision,
            wants_height: old.canonical,
            is_known_canonical: old.canonical,
        });
    }
    for block in blocks {
        let Some(marker) = &block.marker else { continue };
        let old = by_hash.get(&(block.chain.as_str(), block.hash));
        // Applied before, or older than another stream's marker: the known state wins.
        if old.is_some_and(|old| old.revision >= marker.revision) {
            continue;
        }
        let at_height = candidates.entry((&block.chain, block.number)).or_default();
        at_height.retain(|candidate| candidate.hash != block.hash);
        at_height.push(Candidate {
            hash: block.hash,
            revision: marker.revision,
            wants_height: !marker.block.removed,
            is_known_canonical: old.is_some_and(|old| old.canonical),
        });
    }
    candidates
        .into_iter()
        .filter_map(|(height, at_height)| {
            let winner = at_height
                .iter()
                .filter(|candidate| candidate.wants_height)
                .max_by_key(|one| (one.revision, one.is_known_canonical, one.hash))?;
            Some((height, winner.hash))
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use crypto_intel_schemas::Block;

    use super::*;
    use crate::intake::batch::Marker;

    fn hash(byte: u8) -> B256 {
        B256::repeat_byte(byte)
    }

    fn block(number: u64, byte: u8, revision: i64, removed: bool) -> BatchBlock {
        let marker = Block { removed, partial: revision == 0, ..Block::empty() };
        BatchBlock {
            chain: "a".into(),
            number,
            hash: hash(byte),
            time_us: i64::from(byte),
            marker: Some(Marker { block: marker, revision, message: 0 }),
        }
    }

    fn known(number: u64, byte: u8, revision: i64, canonical: bool) -> KnownBlock {
        KnownBlock {
            chain: "a".into(),
            number,
            hash: hash(byte),
            time_us: i64::from(byte),
            canonical,
            revision,
        }
    }

    #[test]
    fn new_blocks_are_inserted() {
        let blocks = [block(1, 1, 10, false), block(2, 2, 11, false)];
        let plan = Plan::new(&blocks, &[]);
        assert_eq!(plan.insert, [(0, true), (1, true)]);
        assert!(!plan.may_conflict && plan.delete.is_empty() && plan.rejected == [false, false]);
    }

    #[test]
    fn a_removed_block_loses_its_rows_and_the_next_takes_its_height() {
        let blocks = [block(1, 1, 20, true), block(1, 2, 21, false)];
        let before = [known(1, 1, 10, true)];
        let plan = Plan::new(&blocks, &before);
        assert_eq!((plan.update, plan.insert), (vec![(0, false)], vec![(1, true)]));
        let dropped = DroppedBlock { chain: "a", number: 1, hash: hash(1), time_us: 1 };
        assert_eq!(plan.delete, [dropped]);
        assert_eq!(plan.demote, [("a", 1, hash(1))]);
        assert_eq!(plan.rejected, [true, false]);
    }

    #[test]
    fn of_two_hashes_the_newer_wins_whichever_came_first() {
        let newer = [block(1, 2, 20, false)];
        let before = [known(1, 1, 10, true)];
        let plan = Plan::new(&newer, &before);
        assert_eq!((plan.insert, plan.rejected), (vec![(0, true)], vec![false]));
        assert_eq!(plan.demote, [("a", 1, hash(1))]);

        let older = [block(1, 1, 10, false)];
        let before = [known(1, 2, 20, true)];
        let plan = Plan::new(&older, &before);
        assert_eq!((plan.insert, plan.rejected), (vec![(0, false)], vec![true]));
        assert!(plan.demote.is_empty());
    }

    #[test]
    fn a_repeated_marker_changes_nothing() {
        let again = [block(1, 1, 10, false)];
        let before = [known(1, 1, 10, true)];
        let plan = Plan::new(&again, &before);
        assert!(plan.may_conflict && plan.insert.is_empty() && plan.update.is_empty());
        assert_eq!(plan.rejected, [false], "its rows may fill a gap");

        let removed_since = [known(1, 1, 20, false)];
        let plan = Plan::new(&again, &removed_since);
        assert!(plan.update.is_empty());
        assert_eq!(plan.rejected, [true]);
    }

    #[test]
    fn a_partial_block_neither_replaces_nor_resists_a_whole_one() {
        let partial = [block(1, 2, 0, false)];
        let whole = [known(1, 1, 10, true)];
        let plan = Plan::new(&partial, &whole);
        assert_eq!((plan.rejected, plan.demote.len()), (vec![true], 0));

        let whole = [block(1, 1, 10, false)];
        let partial = [known(1, 2, 0, true)];
        let plan = Plan::new(&whole, &partial);
        assert_eq!((plan.rejected, plan.demote.len()), (vec![false], 1));

        let alone = [block(1, 2, 0, false)];
        assert_eq!(Plan::new(&alone, &[]).insert, [(0, true)]);
        let same = [known(1, 2, 10, true)];
        assert_eq!(Plan::new(&alone, &same).rejected, [false]);
    }

    #[test]
    fn a_loser_of_the_winners_tag_takes_no_rows_along() {
        let twin = |first: u8| {
            let mut twin = hash(9);
            twin.0[0] = first;
            twin
        };
        let before = [KnownBlock { hash: twin(1), ..known(1, 9, 20, true) }];
        let late = [BatchBlock { hash: twin(2), ..block(1, 9, 10, false) }];
        let plan = Plan::new(&late, &before);
        assert_eq!((plan.rejected, plan.delete), (vec![true], vec![]));
        let newer = [BatchBlock { hash: twin(2), ..block(1, 9, 30, false) }];
        let plan = Plan::new(&newer, &before);
        assert_eq!((plan.rejected, plan.delete.len()), (vec![false], 1), "its own come after");
    }

    #[test]
    fn demotions_are_updated_before_promotions() {
        let blocks = [block(1, 2, 30, false), block(1, 1, 29, true)];
        let before = [known(1, 1, 10, true), known(1, 2, 5, false)];
        assert_eq!(Plan::new(&blocks, &before).update, [(1, false), (0, true)]);
    }
}
