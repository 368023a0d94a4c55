use bytes::{BufMut, Bytes, BytesMut};
use crypto_intel_schemas::{Block, Event};

use crate::{
    copy_format::row_sink::Unstorable,
    rows::row_writer::RowWriter,
    tables::{Table, block_gas::put_block_gas, blocks::put_block},
};

const COPY_HEADER: &[u8] = b"PGCOPY\n\xff\r\n\0\0\0\0\0\0\0\0\0";
const COPY_TRAILER: [u8; 2] = (-1_i16).to_be_bytes();

/// One encoded row and where it came from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Row {
    start: usize,
    key_end: usize,
    end: usize,
    /// The caller's index of the block it belongs to; `u32::MAX` for a row of no block.
    pub block: u32,
    /// The caller's index of the message it was made from.
    pub message: u32,
}

/// Rows of one table, encoded one after the other in one buffer.
#[derive(Debug, Clone, Default)]
pub struct TableRows {
    buffer: Vec<u8>,
    rows: Vec<Row>,
}

impl TableRows {
    /// The rows, in the order in which they will be written.
    #[must_use]
    pub fn rows(&self) -> &[Row] {
        &self.rows
    }

    /// The encoded key of a row.
    pub(crate) fn key(&self, row: &Row) -> &[u8] {
        self.buffer.get(row.start + 2..row.key_end).unwrap_or_default()
    }

    /// How many rows there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.rows.len()
    }

    /// Whether there are no rows.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.rows.is_empty()
    }

    /// Drops the rows that `keep` rejects.
    pub fn retain(&mut self, keep: impl FnMut(&Row) -> bool) {
        self.rows.retain(keep);
    }

    /// Sorts by key and keeps the first row of each key. Two writers that insert in the same order cannot deadlock,
    /// and neither COPY nor ON CONFLICT DO UPDATE accepts a key twice.
    pub fn sort_and_reduce(&mut self) {
        let buffer = &self.buffer;
        let key = |row: &Row| &buffer[row.start + 2..row.key_end];
        // Rows come nearly sorted, block by block: a stable sort merges the runs.
        self.rows.sort_by(|one, other| key(one).cmp(key(other)));
        self.rows.dedup_by(|later, first| {
            let is_same = key(later) == key(first);
            // A block may come for a narrow scope and again for a wider one: the row that says more is kept.
            if is_same && later.end - later.start > first.end - first.start {
                std::mem::swap(later, first);
            }
            is_same
        });
    }

    /// The body of a binary COPY with the rows that `keep` accepts, and their number.
    pub fn copy_body(&self, mut keep: impl FnMut(&Row) -> bool) -> (Bytes, u64) {
        let mut body =
            BytesMut::with_capacity(COPY_HEADER.len() + self.buffer.len() + COPY_TRAILER.len());
        body.put_slice(COPY_HEADER);
        let mut count = 0;
        for row in &self.rows {
            if keep(row) {
                body.put_slice(&self.buffer[row.start..row.end]);
                count += 1;
            }
        }
        body.put_slice(&COPY_TRAILER);
        (body.freeze(), count)
    }

    /// The same body in chunks of about this size, built lazily.
    pub(crate) fn copy_chunks<'a>(
        &'a self,
        size: usize,
        keep: impl Fn(&Row) -> bool + 'a,
    ) -> impl Iterator<Item = Bytes> + 'a {
        let mut rows = self.rows.iter().filter(move |row| keep(row)).peekable();
        let mut begun = false;
        let mut ended = false;
        std::iter::from_fn(move || {
            if ended {
                return None;
            }
            let mut chunk = BytesMut::with_capacity(size);
            if !begun {
                chunk.put_slice(COPY_HEADER);
                begun = true;
            }
            while let Some(row) = rows.next_if(|row| {
                chunk.is_empty() || chunk.len() + (row.end - row.start) + COPY_TRAILER.len() <= size
            }) {
                chunk.put_slice(&self.buffer[row.start..row.end]);
            }
            if rows.peek().is_none() {
                chunk.put_slice(&COPY_TRAILER);
                ended = true;
            }
            Some(chunk.freeze())
        })
    }

    fn push(
        &mut self,
        table: Table,
        block: u32,
        message: u32,
        put: impl FnOnce(&mut RowWriter<'_>) -> Result<(), Unstorable>,
    ) -> Result<(), Unstorable> {
        let start = self.buffer.len();
        let mut row = RowWriter::new(&mut self.buffer, table);
        if let Err(error) = put(&mut row) {
            // The row is incomplete.
            self.buffer.truncate(start);
            return Err(error);
        }
        let key_end = row.finish();
        self.rows.push(Row { start, key_end, end: self.buffer.len(), block, message });
        Ok(())
    }
}

/// Rows of all tables.
#[derive(Debug, Clone, Default)]
pub struct RowSet {
    tables: [TableRows; Table::ALL.len()],
}

impl RowSet {
    /// Adds the row of an event; `Ok(None)` for an event without a row of its own (markers, ticks).
    ///
    /// # Errors
    /// When a value does not fit its column: the event can never be stored.
    pub fn add(
        &mut self,
        event: &Event,
        block: u32,
        message: u32,
    ) -> Result<Option<Table>, Unstorable> {
        let Some(table) = Table::of_kind(event.kind()) else { return Ok(None) };
        self.table_mut(table).push(table, block, message, |row| table.put(row, event))?;
        Ok(Some(table))
    }

    /// Adds a row of `blocks`.
    ///
    /// # Errors
    /// As [`add`](Self::add).
    pub fn add_block(
        &mut self,
        block: &Block,
        revision: i64,
        canonical: bool,
        message: u32,
    ) -> Result<(), Unstorable> {
        let rows = self.table_mut(Table::Blocks);
        rows.push(Table::Blocks, u32::MAX, message, |row| {
            put_block(row, block, revision, canonical)
        })
    }

    /// Adds the row of `block_gas` for a block's marker.
    ///
    /// # Errors
    /// As [`add`](Self::add).
    pub fn add_block_gas(
        &mut self,
        marker: &Block,
        block: u32,
        message: u32,
    ) -> Result<(), Unstorable> {
        let rows = self.table_mut(Table::BlockGas);
        rows.push(Table::BlockGas, block, message, |row| put_block_gas(row, marker))
    }

    /// The rows of one table.
    #[must_use]
    pub fn table(&self, table: Table) -> &TableRows {
        &self.tables[table as usize]
    }

    /// The rows of one table.
    pub fn table_mut(&mut self, table: Table) -> &mut TableRows {
        &mut self.tables[table as usize]
    }

    /// Sorts every table by key and keeps one row per key.
    pub fn sort_and_reduce(&mut self) {
        self.tables.iter_mut().for_each(TableRows::sort_and_reduce);
    }

    /// How many rows there are in all tables.
    #[must_use]
    pub fn len(&self) -> usize {
        self.tables.iter().map(TableRows::len).sum()
    }

    /// Whether there are no rows.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use crypto_intel_schemas::{B256, Erc20Transfer};

    use super::*;

    #[test]
    fn of_two_rows_with_one_key_the_one_that_says_more_is_kept() {
        let narrow = Erc20Transfer::empty();
        let wide =
            Erc20Transfer { tx_from: Some(B256::ZERO[..20].try_into().unwrap()), ..narrow.clone() };
        let rows_of = |events: [&Erc20Transfer; 2]| {
            let mut rows = RowSet::default();
            for (message, event) in events.into_iter().enumerate() {
                rows.add(&Event::from(event.clone()), 0, message as u32).unwrap();
            }
            rows.sort_and_reduce();
            rows.table(Table::TokenTransfers).copy_body(|_| true)
        };
        let (body, count) = rows_of([&narrow, &wide]);
        assert_eq!((count, &body), (1, &rows_of([&wide, &narrow]).0));
        assert_eq!(body, rows_of([&wide, &wide]).0);
    }

    fn transfer(hash: u8, log_index: u32) -> Event {
        Event::from(Erc20Transfer {
            chain: "base".into(),
            block_hash: B256::repeat_byte(hash),
            log_index,
            ..Erc20Transfer::empty()
        })
    }

    #[test]
    fn keeps_one_row_per_key_in_key_order() {
        let mut rows = RowSet::default();
        for (message, (hash, log_index)) in [(2, 1), (2, 0), (1, 5), (2, 1)].into_iter().enumerate()
        {
            rows.add(&transfer(hash, log_index), 0, message as u32).unwrap();
        }
        rows.sort_and_reduce();
        let order: Vec<u32> =
            rows.table(Table::TokenTransfers).rows().iter().map(|row| row.message).collect();
        assert_eq!(order, [2, 1, 0]);
    }

    #[test]
    fn chunks_are_the_body_in_pieces() {
        let mut rows = RowSet::default();
        for message in 0..50 {
            rows.add(&transfer(1, message), message % 2, message).unwrap();
        }
        let rows = rows.table(Table::TokenTransfers);
        let keep = |row: &Row| row.block == 0;
        let (body, _) = rows.copy_body(keep);
        for size in [1, 1_000, 1_000_000] {
            let chunks: Vec<Bytes> = rows.copy_chunks(size, keep).collect();
            assert_eq!(chunks.concat(), body);
            assert_eq!(chunks.len() == 1, size == 1_000_000);
            assert!(size == 1 || chunks.iter().all(|chunk| chunk.len() <= size));
        }
    }

    #[test]
    fn a_row_that_does_not_fit_leaves_nothing_behind() {
        let mut rows = RowSet::default();
        rows.add(&transfer(1, 0), 0, 0).unwrap();
        let error = rows.add(&transfer(1, u32::MAX), 0, 1).unwrap_err();
        assert_eq!(error.column, "log_index");
        rows.add(&transfer(1, 1), 0, 2).unwrap();
        let (body, count) = rows.table(Table::TokenTransfers).copy_body(|_| true);
        let (first, _) = rows.table(Table::TokenTransfers).copy_body(|row| row.message == 0);
        assert_eq!(count, 2);
        assert_eq!(body.len() - 21, 2 * (first.len() - 21), "two rows of equal length");
    }

    #[test]
    fn the_header_is_the_one_of_the_manual() {
        assert_eq!(COPY_HEADER.len(), 19);
    }
}
