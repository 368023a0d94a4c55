//! How entries become records: 256 shards by the hash of an entry's key, and a log of what changed since each shard was
//! written. Pure: what is stored, and in which order, is the business of the store.
//!
//! A snapshot writes what changed as one record of the log. A shard is written again when the log holds twice as many
//! bytes of it as it has itself, or when the log would grow too long: so a change costs about one and a half times its
//! size, whatever the size of the state. The head names the records that count; all records of a snapshot are stored together or not at
//! all.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use bytes::Bytes;
use serde::{Deserialize, Serialize};

use crate::snapshot::records::{self, Change};

/// Number of shards.
pub(crate) const SHARDS: usize = 256;

/// Records of the log that can count at one time.
const LOG_SLOTS: u64 = 256;

/// Log records older than this many snapshots are emptied bit by bit.
const LOG_AGE: u64 = LOG_SLOTS / 2;

/// Shards that one snapshot writes because of the log's age.
const AGED_SHARDS: usize = 8;

/// A shard is not written again before the log holds so many bytes of it.
const MIN_PENDING_BYTES: usize = 4 << 10;

/// Bytes of shards that one snapshot writes because of their size; the others wait in the log.
const MAX_REWRITTEN_BYTES: usize = 4 << 20;

/// Bytes of a part: with its headers well below the smallest message limit that servers are run with (1 MB).
const PART_BYTES: usize = 512 << 10;

/// A shard as it is stored: number of parts, bytes, and the snapshot whose state it holds.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct StoredShard(pub(crate) u32, pub(crate) u64, pub(crate) u64);

/// A record of the log: the snapshot that wrote it, and number of parts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct LogRecord(pub(crate) u64, pub(crate) u32);

/// Which records count: a part of the head.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Table {
    /// Number of the snapshot.
    pub(crate) generation: u64,
    pub(crate) shards: Vec<StoredShard>,
    /// Oldest first.
    pub(crate) log: Vec<LogRecord>,
}

/// A record of a snapshot: the last part of its key, and its body.
pub(crate) type Record = (String, Bytes);

/// All entries, and how they are stored.
#[derive(Debug, Default)]
pub(crate) struct Shards {
    entries: BTreeMap<String, Bytes>,
    keys: Vec<BTreeSet<String>>,
    stored: Vec<StoredShard>,
    /// Bytes of each shard in the log, and the oldest record that has some.
    pending: Vec<(usize, Option<u64>)>,
    log: VecDeque<(LogRecord, BTreeSet<usize>)>,
    generation: u64,
}

impl Shards {
    pub(crate) fn new() -> Self {
        Self {
            keys: vec![BTreeSet::new(); SHARDS],
            stored: vec![StoredShard::default(); SHARDS],
            pending: vec![(0, None); SHARDS],
            ..Self::default()
        }
    }

    /// Reads what a table names; `record` gives the body of a record's part by the last part of its key.
    pub(crate) fn load(
        table: &Table,
        record: impl Fn(&str) -> Option<Bytes>,
    ) -> Result<Self, String> {
        let mut shards = Self { generation: table.generation, ..Self::new() };
        if table.shards.len() != SHARDS {
            return Err(format!("it has {} shards instead of {SHARDS}", table.shards.len()));
        }
        let whole = |name: &str, parts: u32| {
            let mut body = Vec::new();
            for part in 0..parts {
                let key = format!("{name}.{part}");
                let bytes = record(&key).ok_or_else(|| format!("record {key} is missing"))?;
                body.extend_from_slice(&bytes);
            }
            Ok::<_, String>(Bytes::from(body))
        };
        for (index, stored) in table.shards.iter().enumerate() {
            let name = shard_name(index);
            let body = whole(&name, stored.0)?;
            if body.len() as u64 != stored.1 {
                return Err(format!("record {name} has {} of {} bytes", body.len(), stored.1));
            }
            for change in records::read(&body).ok_or_else(|| format!("record {name} is damaged"))? {
                shards.set(index, change);
            }
            shards.stored[index] = *stored;
        }
        for record in &table.log {
            let name = log_name(record.0);
            let body = whole(&name, record.1)?;
            let changes =
                records::read(&body).ok_or_else(|| format!("record {name} is damaged"))?;
            let mut touched = BTreeSet::new();
            for change in changes {
                let index = shard_of(&change.0);
                if shards.stored[index].2 < record.0 {
                    shards.note_pending(index, &change, record.0);
                    touched.insert(index);
                    shards.set(index, change);
                }
            }
            shards.log.push_back((*record, touched));
        }
        Ok(shards)
    }

    pub(crate) fn entries(&self) -> &BTreeMap<String, Bytes> {
        &self.entries
    }

    /// Which records count now.
    pub(crate) fn table(&self) -> Table {
        Table {
            generation: self.generation,
            shards: self.stored.clone(),
            log: self.log.iter().map(|(record, _)| *record).collect(),
        }
    }

    /// Takes changes over, and returns the records to be stored with the new [`table`](Self::table).
    pub(crate) fn advance(&mut self, changes: Vec<Change>) -> Vec<Record> {
        self.generation += 1;
        let generation = self.generation;
        for change in &changes {
            let index = shard_of(&change.0);
            self.note_pending(index, change, generation);
            self.set(index, change.clone());
        }
        let rewritten = self.to_rewrite();
        let mut records = Vec::new();
        for index in &rewritten {
            self.rewrite(*index, &mut records);
        }
        let logged: Vec<Change> = changes
            .into_iter()
            .filter(|change| !rewritten.contains(&shard_of(&change.0)))
            .collect();
        if !logged.is_empty() {
            let touched = logged.iter().map(|change| shard_of(&change.0)).collect();
            let body = records::write(logged.iter().map(|(key, value)| (key, value.as_ref())));
            let parts = split(&log_name(generation), &body, &mut records);
            self.log.push_back((LogRecord(generation, parts), touched));
        }
        let Self { log, stored, .. } = self;
        log.retain(|(record, touched)| touched.iter().any(|index| stored[*index].2 < record.0));
        records
    }

    fn set(&mut self, index: usize, (key, value): Change) {
        match value {
            Some(value) => {
                self.keys[index].insert(key.clone());
                self.entries.insert(key, value);
            }
            None => {
                self.keys[index].remove(&key);
                self.entries.remove(&key);
            }
        }
    }

    fn note_pending(&mut self, index: usize, change: &Change, generation: u64) {
        let (bytes, oldest) = &mut self.pending[index];
        *bytes += records::size(&change.0, change.1.as_ref());
        oldest.get_or_insert(generation);
    }

    /// The shards that this snapshot writes: those of which the log holds most, and those that hold the log's tail.
    fn to_rewrite(&self) -> BTreeSet<usize> {
        let mut large: Vec<(usize, usize)> = (0..SHARDS)
            .map(|index| (self.pending[index].0, index))
            .filter(|(pending, index)| {
                let stored = usize::try_from(self.stored[*index].1).unwrap_or(usize::MAX);
                *pending >= (2 * stored).max(MIN_PENDING_BYTES)
            })
            .collect();
        large.sort_by_key(|(pending, index)| (std::cmp::Reverse(*pending), *index));
        let mut bytes = 0;
        let mut chosen: BTreeSet<usize> = large
            .into_iter()
            .take_while(|(pending, _)| {
                let fits = bytes < MAX_REWRITTEN_BYTES;
                bytes += pending;
                fits
            })
            .map(|(_, index)| index)
            .collect();
        let mut aged: Vec<(u64, usize)> = (0..SHARDS)
            .filter_map(|index| self.pending[index].1.map(|oldest| (oldest, index)))
            .filter(|(oldest, _)| oldest + LOG_AGE <= self.generation)
            .collect();
        aged.sort_unstable();
        // The slot of the oldest record is needed for the next one.
        let due = |oldest: u64| oldest + LOG_SLOTS - 1 <= self.generation;
        let aged = aged.into_iter().enumerate();
        chosen.extend(
            aged.filter(|(count, (oldest, _))| *count < AGED_SHARDS || due(*oldest))
                .map(|(_, (_, index))| index),
        );
        chosen
    }

    fn rewrite(&mut self, index: usize, records: &mut Vec<Record>) {
        let keys = &self.keys[index];
        let body = records::write(keys.iter().map(|key| (key, self.entries.get(key))));
        let name = shard_name(index);
        let parts = split(&name, &body, records);
        // Parts that no longer count would stay for good.
        for stale in parts..self.stored[index].0 {
            records.push((format!("{name}.{stale}"), Bytes::new()));
        }
        self.stored[index] = StoredShard(parts, body.len() as u64, self.generation);
        self.pending[index] = (0, None);
    }
}

fn shard_name(index: usize) -> String {
    format!("{index}")
}

fn log_name(generation: u64) -> String {
    format!("log.{}", generation % LOG_SLOTS)
}

/// Adds the parts of a record; returns their number.
fn split(name: &str, body: &[u8], records: &mut Vec<Record>) -> u32 {
    let mut parts = 0;
    for part in body.chunks(PART_BYTES) {
        records.push((format!("{name}.{parts}"), Bytes::copy_from_slice(part)));
        parts += 1;
    }
    parts
}

/// FNV-1a: short, and the same in every version.
fn shard_of(key: &str) -> usize {
    let hash = key.bytes().fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
    });
    // The low bits of neighbouring keys are alike: fold the upper half in.
    usize::try_from((hash ^ (hash >> 32)) % SHARDS as u64).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use proptest::prelude::*;

    use super::*;

    /// What is stored: records by key, and the table of the last snapshot that is whole.
    #[derive(Default, Clone)]
    struct Disk {
        records: BTreeMap<String, Bytes>,
        table: Table,
    }

    fn load(disk: &Disk) -> Shards {
        Shards::load(&disk.table, |key| disk.records.get(key).cloned()).unwrap()
    }

    fn store(disk: &mut Disk, shards: &Shards, records: Vec<Record>) {
        disk.records.extend(records);
        disk.table = shards.table();
    }

    fn changes() -> impl Strategy<Value = Vec<(u16, Option<u16>)>> {
        prop::collection::vec((0_u16..300, prop::option::weighted(0.8, 1_u16..3_000)), 0..30)
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(8))]
        #[test]
        fn what_is_loaded_is_what_was_stored_last(
            snapshots in prop::collection::vec((changes(), prop::bool::weighted(0.1)), 1..300),
        ) {
            let mut disk = Disk { table: Shards::new().table(), ..Disk::default() };
            let mut shards = Shards::new();
            let mut truth: BTreeMap<String, Bytes> = BTreeMap::new();
            for (changes, crashes) in snapshots {
                let changes: Vec<Change> = changes
                    .into_iter()
                    .map(|(key, size)| (format!("k{key}"), size))
                    .map(|(key, size)| (key, size.map(|size| vec![7; size as usize].into())))
                    .collect();
                let records = shards.advance(changes.clone());
                if crashes {
                    // Nothing of it is stored: the next start has what was there before.
                    shards = load(&disk);
                    prop_assert_eq!(shards.entries(), &truth);
                    continue;
                }
                for (key, value) in changes {
                    match value {
                        Some(value) => drop(truth.insert(key, value)),
                        None => drop(truth.remove(&key)),
                    }
                }
                store(&mut disk, &shards, records);
                prop_assert!(disk.table.log.len() < LOG_SLOTS as usize);
            }
            let loaded = load(&disk);
            prop_assert_eq!(loaded.entries(), &truth);
            prop_assert_eq!(loaded.table(), shards.table());
        }
    }

    #[test]
    fn a_change_costs_its_own_size_and_not_that_of_the_state() {
        let mut shards = Shards::new();
        let entry = |number: u32, round: u32| {
            let value = Bytes::from(vec![round as u8; 200]);
            (format!("t\nvolume\n{number}"), Some(value))
        };
        shards.advance((0..20_000).map(|number| entry(number, 0)).collect());
        let changes_a_snapshot = 100;
        let mut written = 0;
        for round in 1..=200_u32 {
            let changed = (0..changes_a_snapshot).map(|index| (index * 199 + round * 7) % 20_000);
            let records = shards.advance(changed.map(|number| entry(number, round)).collect());
            written += records.iter().map(|(_, body)| body.len()).sum::<usize>();
        }
        let changed = 200 * changes_a_snapshot as usize * 200;
        assert!(written < 3 * changed, "{written} bytes for {changed} that changed");
    }

    #[test]
    fn an_entry_of_any_size_is_split_over_parts_and_a_smaller_one_takes_their_place() {
        let mut disk = Disk { table: Shards::new().table(), ..Disk::default() };
        let mut shards = Shards::new();
        let large = Bytes::from(vec![1; 3 * PART_BYTES]);
        let records = shards.advance(vec![("a".to_owned(), Some(large.clone()))]);
        assert!(records.iter().all(|(_, body)| body.len() <= PART_BYTES));
        store(&mut disk, &shards, records);
        assert_eq!(load(&disk).entries()["a"], large);
        let small = Bytes::from_static(b"small");
        let records = shards.advance(vec![("a".to_owned(), Some(small.clone()))]);
        store(&mut disk, &shards, records);
        assert_eq!(load(&disk).entries()["a"], small);
    }

    #[test]
    fn a_record_that_is_missing_or_damaged_is_said() {
        let mut disk = Disk { table: Shards::new().table(), ..Disk::default() };
        let mut shards = Shards::new();
        let value = Bytes::from(vec![1; 2 * MIN_PENDING_BYTES]);
        let records = shards.advance(vec![("a".to_owned(), Some(value))]);
        store(&mut disk, &shards, records);
        let key = disk.records.keys().next().unwrap().clone();
        let mut cut = disk.clone();
        cut.records.insert(key.clone(), Bytes::from_static(b"1"));
        let load = |disk: &Disk| Shards::load(&disk.table, |key| disk.records.get(key).cloned());
        assert!(load(&cut).unwrap_err().contains("bytes"));
        disk.records.remove(&key);
        assert!(load(&disk).unwrap_err().contains("missing"));
    }
}
