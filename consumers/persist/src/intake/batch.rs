use std::collections::HashMap;

use crypto_intel_nats::StreamMessage;
use crypto_intel_schemas::{B256, Block, Event};
use crypto_intel_store::{DroppedBlock, RowSet, StreamPosition, Table, Unstorable};

use super::assembler::Item;
use crate::config::NotStored;

/// The newest marker of a block within a batch.
#[derive(Debug, Clone)]
pub(crate) struct Marker {
    pub(crate) block: Block,
    /// 0 for a partial block, which loses to every other.
    pub(crate) revision: i64,
    /// Index of its message in the batch.
    pub(crate) message: u32,
}

/// A block of which a batch has rows or a marker.
#[derive(Debug, Clone)]
pub(crate) struct BatchBlock {
    pub(crate) chain: String,
    pub(crate) number: u64,
    pub(crate) hash: B256,
    pub(crate) time_us: i64,
    /// `None` for the first parts of a block that is larger than a batch.
    pub(crate) marker: Option<Marker>,
}

impl BatchBlock {
    /// The block as one whose rows are deleted.
    pub(crate) fn dropped(&self) -> DroppedBlock<'_> {
        let Self { chain, number, hash, time_us, .. } = self;
        DroppedBlock { chain, number: *number, hash: *hash, time_us: *time_us }
    }
}

/// A message that can never be stored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Poison {
    /// Index of its message in the batch.
    pub(crate) message: u32,
    /// Why.
    pub(crate) error: String,
}

/// What one transaction stores.
#[derive(Debug)]
pub(crate) struct Batch {
    /// The stream's position after the batch.
    pub(crate) end: StreamPosition,
    pub(crate) messages: Vec<StreamMessage>,
    pub(crate) rows: RowSet,
    pub(crate) blocks: Vec<BatchBlock>,
    /// Messages to dead-letter before the commit.
    pub(crate) poison: Vec<Poison>,
    /// Events that are not stored, as configured.
    pub(crate) left_out: u64,
}

impl Batch {
    /// Encodes the rows of these items; `revision` is the highest block revision assigned so far.
    pub(crate) fn new(items: Vec<Item>, revision: i64, not_stored: &NotStored) -> Self {
        let mut left_out = 0;
        let mut builder = Builder { revision, ..Builder::default() };
        let mut messages = Vec::with_capacity(items.len());
        for (index, item) in items.into_iter().enumerate() {
            // A batch has a few thousand messages.
            let index = index as u32;
            let is_left_out = not_stored.leaves_out(&item.message.subject);
            left_out += u64::from(is_left_out);
            let stored = match item.event {
                Ok(_) if is_left_out => Ok(()),
                Ok(event) => builder.add(event, index, item.message.stored_at_us),
                Err(error) => Err(error),
            };
            if let Err(error) = stored {
                builder.poison.push(Poison { message: index, error });
            }
            // A dead letter needs only subject, schema and payload. Freeing thousands of header maps takes milliseconds, so
            // it is done here, while the previous batch is being committed.
            messages.push(StreamMessage { headers: None, ..item.message });
        }
        builder.rows.sort_and_reduce();
        let last = messages.last();
        Self {
            end: StreamPosition {
                sequence: last.map_or(0, |message| message.sequence),
                stored_at_us: last.map_or(0, |message| message.stored_at_us),
                revision: builder.revision,
            },
            messages,
            rows: builder.rows,
            blocks: builder.blocks,
            poison: builder.poison,
            left_out,
        }
    }

    /// Heights at which known blocks have to be looked up.
    pub(crate) fn heights(&self) -> Vec<(&str, u64)> {
        let mut heights: Vec<(&str, u64)> = self
            .blocks
            .iter()
            .filter(|block| block.marker.is_some())
            .map(|block| (block.chain.as_str(), block.number))
            .collect();
        heights.sort_unstable();
        heights.dedup();
        heights
    }

    /// Removes the row of a message from a table.
    pub(crate) fn remove(&mut self, table: Table, message: u32) {
        if table == Table::Blocks {
            for block in &mut self.blocks {
                block.marker.take_if(|marker| marker.message == message);
            }
            // Rows that are made from a marker go with it.
            self.rows.table_mut(Table::BlockGas).retain(|row| row.message != message);
        } else {
            self.rows.table_mut(table).retain(|row| row.message != message);
        }
    }
}

#[derive(Default)]
struct Builder {
    revision: i64,
    rows: RowSet,
    blocks: Vec<BatchBlock>,
    by_hash: HashMap<(B256, String), u32>,
    /// Index of the block of the last event: nearly every event belongs to the same block as the one before.
    last: u32,
    poison: Vec<Poison>,
}

impl Builder {
    fn add(&mut self, event: Box<Event>, message: u32, stored_at_us: i64) -> Result<(), String> {
        let Some(fields) = event.block_fields() else {
            return self.put(&event, u32::MAX, message);
        };
        let removed = fields.removed;
        if event.kind().is_lasting() {
            // Never retracted, so it does not belong to the block that it names.
            return self.put(&event, u32::MAX, message);
        }
        let block = self.block_of(&event);
        match *event {
            Event::Block(marker) => {
                self.mark(block, marker, message, stored_at_us).map_err(|error| error.to_string())
            }
            // The marker of its block deletes the row.
            _ if removed => Ok(()),
            ref event => self.put(event, block, message),
        }
    }

    fn put(&mut self, event: &Event, block: u32, message: u32) -> Result<(), String> {
        self.rows.add(event, block, message).map(|_| ()).map_err(|error| error.to_string())
    }

    /// Index of the event's block in the batch.
    fn block_of(&mut self, event: &Event) -> u32 {
        let Some(fields) = event.block_fields() else { return u32::MAX };
        if let Some(last) = self.blocks.get(self.last as usize)
            && last.hash == fields.block_hash
            && last.chain == fields.chain
        {
            return self.last;
        }
        let blocks = &mut self.blocks;
        let key = (fields.block_hash, fields.chain.to_owned());
        self.last = *self.by_hash.entry(key).or_insert_with(|| {
            blocks.push(BatchBlock {
                chain: fields.chain.to_owned(),
                number: fields.block_number,
                hash: fields.block_hash,
                time_us: fields.block_time_us,
                marker: None,
            });
            blocks.len() as u32 - 1
        });
        self.last
    }

    fn mark(
        &mut self,
        block: u32,
        marker: Block,
        message: u32,
        stored_at_us: i64,
    ) -> Result<(), Unstorable> {
        let known = &mut self.blocks[block as usize].marker;
        let revision = if marker.partial && !marker.removed {
            if known.is_some() {
                return Ok(());
            }
            0
        } else {
            stored_at_us.max(self.revision.saturating_add(1))
        };
        // A marker that does not fit its columns must fail here, before its height is looked up.
        RowSet::default().add_block(&marker, revision, false, message)?;
        if !marker.removed {
            self.rows.add_block_gas(&marker, block, message)?;
        }
        *known = Some(Marker { block: marker, revision, message });
        self.revision = self.revision.max(revision);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use bytes::Bytes;
    use crypto_intel_schemas::{Erc20Transfer, Tick};

    use super::*;

    fn item(sequence: u64, stored_at_us: i64, event: Event) -> Item {
        let message = StreamMessage {
            subject: String::new(),
            schema: None,
            headers: None,
            payload: Bytes::new(),
            sequence,
            stored_at_us,
            remaining: 0,
        };
        Item { message, event: Ok(Box::new(event)) }
    }

    fn marker(hash: u8, incarnation: u32) -> Event {
        let mut block = Block {
            chain: "a".into(),
            block_number: 5,
            block_hash: B256::repeat_byte(hash),
            ..Block::empty()
        };
        block.set_incarnation(incarnation, 0);
        Event::from(block)
    }

    fn transfer(hash: u8, log_index: u32, incarnation: u32) -> Event {
        let mut event = Event::from(Erc20Transfer {
            chain: "a".into(),
            block_number: 5,
            block_hash: B256::repeat_byte(hash),
            log_index,
            ..Erc20Transfer::empty()
        });
        event.set_incarnation(incarnation, 0);
        event
    }

    #[test]
    fn revisions_rise_although_the_clock_steps_back() {
        let items = vec![
            item(1, 100, marker(1, 1)),
            item(2, 90, marker(1, 2)),
            item(3, 95, marker(2, 1)),
            item(4, 200, Event::from(Tick::at("t", 0, 0))),
        ];
        let batch = Batch::new(items, 0, &NotStored::default());
        let revisions: Vec<i64> =
            batch.blocks.iter().map(|block| block.marker.as_ref().unwrap().revision).collect();
        assert_eq!(revisions, [101, 102]);
        let end = StreamPosition { sequence: 4, stored_at_us: 200, revision: 102 };
        assert_eq!(batch.end, end);
        assert_eq!(batch.heights(), [("a", 5)]);
    }

    #[test]
    fn removed_events_make_no_rows_and_repeated_ones_make_one() {
        let items = vec![
            item(1, 1, transfer(1, 0, 1)),
            item(2, 2, marker(1, 1)),
            item(3, 3, transfer(1, 0, 2)),
            item(4, 4, marker(1, 2)),
            item(5, 5, transfer(1, 0, 3)),
            item(6, 6, marker(1, 3)),
        ];
        let batch = Batch::new(items, 0, &NotStored::default());
        let rows = |table| batch.rows.table(table).len();
        assert_eq!((rows(Table::TokenTransfers), rows(Table::BlockGas)), (1, 1));
        assert_eq!(batch.blocks.len(), 1);
        assert!(!batch.blocks[0].marker.as_ref().unwrap().block.removed);
    }

    #[test]
    fn only_messages_that_do_not_fit_are_poison() {
        let items = vec![
            item(1, 1, transfer(1, u32::MAX, 1)),
            Item { event: Err("no map".into()), ..item(2, 2, marker(1, 1)) },
            item(3, 3, transfer(1, 7, 1)),
        ];
        let batch = Batch::new(items, 0, &NotStored::default());
        let messages: Vec<u32> = batch.poison.iter().map(|poison| poison.message).collect();
        assert_eq!((messages, batch.rows.len()), (vec![0, 1], 1));
    }
}
