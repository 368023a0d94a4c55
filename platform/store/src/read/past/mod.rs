//! Events as tables have them, in the order in which a stream had them: block after block with its marker, and between
//! them what belongs to no block. All of it is one snapshot of the database, read by cursors of the server.

mod body;
mod cursor;
pub(crate) mod kinds;
pub(crate) mod of_pool;
mod of_transaction;

use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    fmt,
};

use crypto_intel_schemas::{Block, Event, Kind};
use deadpool_postgres::{ClientWrapper, Object};

use self::{
    body::{number, text},
    cursor::{Cursor, PastRow},
    kinds::{event_of, finalized, key_of, key_of_marker, place_of},
};
use crate::{error::StoreError, pool::store::Store, tables::Table};

/// A block that was stored so long after its own time was not followed, but filled in: it is placed at its own time.
const LATE_US: i64 = 600_000_000;

/// Which events of the past.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PastRequest {
    /// Their kinds; markers of blocks come with every kind of a block.
    pub kinds: BTreeSet<Kind>,
    /// Blocks from this time on, and other events that were told then, microseconds.
    pub since_us: i64,
    /// Only what was before, microseconds.
    pub until_us: i64,
    /// When the stream that goes on after the tables stored its first message, microseconds.
    pub stream_begins_us: Option<i64>,
    /// By chain, the highest block that is read: the first one whose marker is in the stream, which may lack the block's
    /// first events.
    pub last_blocks: BTreeMap<String, u64>,
}

/// Events that a stream had together: those of a block with its marker last, or one that belongs to none.
#[derive(Debug, Clone, PartialEq)]
pub struct PastEvents {
    /// When the stream stored them, as far as it is known, microseconds.
    pub at_us: i64,
    /// In the order of the stream.
    pub events: Vec<Event>,
}

/// What was read so far.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct PastCounts {
    /// Blocks.
    pub blocks: u64,
    /// Those of them that were stored long after their time, such as by a backfill: they are placed at their own time.
    pub late_blocks: u64,
    /// Rows that are no event of this version.
    pub unreadable: u64,
}

/// A reader of the past; its memory does not grow with the range.
pub struct PastReader {
    client: ClientWrapper,
    request: PastRequest,
    blocks: Option<Cursor>,
    of_blocks: Vec<Cursor>,
    others: Vec<Cursor>,
    /// Read, and not given out while something earlier may come.
    waiting: BTreeMap<(i64, u64), PastEvents>,
    taken: u64,
    chains: HashMap<String, ChainSoFar>,
    counts: PastCounts,
}

#[derive(Debug, Clone, Copy, Default)]
struct ChainSoFar {
    at_us: i64,
    finalized: Option<u64>,
}

impl Store {
    /// Opens a reader of the past on a connection of its own, within one snapshot.
    ///
    /// # Errors
    /// When the database does not answer or is not migrated.
    pub async fn past(&self, request: PastRequest) -> Result<PastReader, StoreError> {
        // Its transaction ends with its connection, which does not go back to the pool.
        let client = Object::take(self.client().await?);
        client
            .batch_execute(
                "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY; SET LOCAL statement_timeout = 0",
            )
            .await
            .map_err(StoreError::sql("begin to read the past"))?;
        let tables: BTreeSet<Table> =
            request.kinds.iter().filter_map(|kind| Table::of_kind(*kind)).collect();
        let has_blocks = request.kinds.iter().any(|kind| is_of_block(*kind));
        let mut reader = PastReader {
            client,
            blocks: None,
            of_blocks: Vec::new(),
            others: Vec::new(),
            waiting: BTreeMap::new(),
            taken: 0,
            chains: HashMap::new(),
            counts: PastCounts::default(),
            request,
        };
        if has_blocks {
            reader.blocks = Some(reader.open(Table::Blocks).await?);
        }
        for table in tables {
            let cursor = reader.open(table).await?;
            match table.spec().of_block {
                true => reader.of_blocks.push(cursor),
                false => reader.others.push(cursor),
            }
        }
        Ok(reader)
    }

    /// How many blocks of a range left their chain; tables have no events of them.
    ///
    /// # Errors
    /// When the database does not answer or is not migrated.
    pub async fn blocks_that_left(&self, since_us: i64, until_us: i64) -> Result<u64, StoreError> {
        let (since, until) =
            (crate::sql_values::Timestamp(since_us), crate::sql_values::Timestamp(until_us));
        let sql = "SELECT count(*) FROM blocks WHERE NOT canonical AND block_time >= $1 AND block_time < $2";
        let rows = self.ask("count blocks that left", sql, &[&since, &until]).await?;
        Ok(rows.first().map_or(0, |row| row.get::<_, i64>(0).unsigned_abs()))
    }
}

impl PastReader {
    /// What was read so far.
    #[must_use]
    pub fn counts(&self) -> PastCounts {
        self.counts
    }

    /// The next events; `None` at the end.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn next(&mut self) -> Result<Option<PastEvents>, StoreError> {
        loop {
            let block_us = self.next_block_us().await?;
            let other = self.next_other().await?;
            let horizon_us = [block_us, other.map(|(at_us, _)| at_us)].into_iter().flatten().min();
            let is_first = |(at_us, _): &(i64, u64)| horizon_us.is_none_or(|it| *at_us < it);
            if self.waiting.first_key_value().is_some_and(|(key, _)| is_first(key)) {
                return Ok(self.waiting.pop_first().map(|(_, events)| events));
            }
            match (block_us, other) {
                (None, None) => return Ok(None),
                (block_us, Some((at_us, index))) if block_us.is_none_or(|it| at_us < it) => {
                    self.take_other(index);
                }
                _ => self.take_block().await?,
            }
        }
    }

    async fn open(&self, table: Table) -> Result<Cursor, StoreError> {
        Cursor::open(&self.client, table, &self.request).await
    }

    async fn next_block_us(&mut self) -> Result<Option<i64>, StoreError> {
        let Some(blocks) = &mut self.blocks else { return Ok(None) };
        Ok(blocks.peek(&self.client).await?.map(|row| row.at_us))
    }

    /// Time and place of the earliest event that belongs to no block.
    async fn next_other(&mut self) -> Result<Option<(i64, usize)>, StoreError> {
        let mut earliest = None;
        for (index, cursor) in self.others.iter_mut().enumerate() {
            let Some(row) = cursor.peek(&self.client).await? else { continue };
            if earliest.is_none_or(|(at_us, _)| row.at_us < at_us) {
                earliest = Some((row.at_us, index));
            }
        }
        Ok(earliest)
    }

    fn take_other(&mut self, index: usize) {
        let cursor = &mut self.others[index];
        let table = cursor.table;
        let Some(PastRow { at_us, body }) = cursor.take() else { return };
        // A reorganisation or jump after the stream began is in the stream.
        match event_of(table, body, None) {
            Ok(event) => self.push(at_us, vec![event]),
            Err(error) => self.note_unreadable(table, &error),
        }
    }

    async fn take_block(&mut self) -> Result<(), StoreError> {
        let Some(row) = self.blocks.as_mut().and_then(Cursor::take) else { return Ok(()) };
        let key = key_of_marker(&row.body);
        let revision_us = number(&row.body, "revision");
        let chain = text(&row.body, "chain").to_owned();
        let marker = match event_of(Table::Blocks, row.body, None) {
            Ok(Event::Block(marker)) => marker,
            Ok(_) => return Ok(()),
            Err(error) => {
                self.note_unreadable(Table::Blocks, &error);
                return Ok(());
            }
        };
        let is_late = revision_us - marker.block_time_us > LATE_US;
        let is_wanted = self.is_before_the_stream(&marker, is_late);
        let mut events = Vec::new();
        let mut problems = Vec::new();
        for cursor in &mut self.of_blocks {
            while let Some(row) = cursor.peek(&self.client).await? {
                let of_row = key_of(&row.body);
                // What is before belongs to a block that has no marker.
                if of_row > key {
                    break;
                }
                let is_its_own = of_row == key && text(&row.body, "chain") == chain;
                let Some(row) = cursor.take() else { break };
                if !(is_wanted && is_its_own) {
                    continue;
                }
                match event_of(cursor.table, row.body, Some(&marker)) {
                    Ok(event) => events.push(event),
                    Err(error) => problems.push((cursor.table, error)),
                }
            }
        }
        problems.iter().for_each(|(table, error)| self.note_unreadable(*table, error));
        if !is_wanted {
            return Ok(());
        }
        events.retain(|event| self.request.kinds.contains(&event.kind()));
        events.sort_by_key(place_of);
        self.counts.blocks += 1;
        self.counts.late_blocks += u64::from(is_late);
        let at_us = if is_late { marker.block_time_us } else { revision_us };
        self.push_block(chain, at_us.max(marker.block_time_us), marker, events);
        Ok(())
    }

    /// Whether the stream lacks a block, or may lack some of its events.
    fn is_before_the_stream(&self, marker: &Block, is_late: bool) -> bool {
        let last = self.request.last_blocks.get(&marker.chain);
        let begins_us = self.request.stream_begins_us;
        last.is_none_or(|last| marker.block_number <= *last)
            && (is_late || begins_us.is_none_or(|begins_us| marker.observed_at_us < begins_us))
    }

    fn push_block(&mut self, chain: String, at_us: i64, marker: Block, mut events: Vec<Event>) {
        let so_far = self.chains.entry(chain).or_default();
        // A chain never goes back in time.
        so_far.at_us = so_far.at_us.max(at_us);
        let at_us = so_far.at_us;
        let before = so_far.finalized.replace(marker.finalized_number);
        if before.is_some_and(|before| before < marker.finalized_number)
            && self.request.kinds.contains(&Kind::Finalized)
        {
            match finalized(&marker) {
                Ok(event) => events.insert(0, event),
                Err(error) => self.note_unreadable(Table::Blocks, &error),
            }
        }
        events.push(Event::from(marker));
        self.push(at_us, events);
    }

    fn push(&mut self, at_us: i64, events: Vec<Event>) {
        self.taken += 1;
        self.waiting.insert((at_us, self.taken), PastEvents { at_us, events });
    }

    fn note_unreadable(&mut self, table: Table, error: &serde_json::Error) {
        self.counts.unreadable += 1;
        tracing::debug!(%table, %error, "a row is no event of this version");
    }
}

/// Whether events of a kind come with the markers of blocks.
fn is_of_block(kind: Kind) -> bool {
    matches!(kind, Kind::Block | Kind::Finalized)
        || Table::of_kind(kind).is_some_and(|table| table.spec().of_block)
}

impl fmt::Debug for PastReader {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("PastReader").field("request", &self.request).finish_non_exhaustive()
    }
}
