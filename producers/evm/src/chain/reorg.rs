//! Reorganisations: link the new branch to what is published, retract what left, publish the new.

use std::time::Duration;

use anyhow::Context as _;
use crypto_intel_nats::{OutMessage, Start as ReadFrom, StreamMessage};
use crypto_intel_schemas::{B256, Block, Event, Kind, chain_event_id};
use crypto_intel_service::now_us;
use tokio::time::Instant;

use super::{Position, Worker, follow::Group, resume::STREAM};
use crate::{
    block::Header,
    error::Trouble,
    fetch::BlockId,
    plan::{Entry, Retraction},
};

const CONFIRM_EVERY: Duration = Duration::from_millis(250);

impl Worker {
    /// Follows the branch of `tip`, whose parent is not the published top. `false` when it was not
    /// taken.
    pub(super) async fn reorganise(
        &self,
        position: &mut Position,
        tip: Header,
    ) -> Result<bool, Trouble> {
        let branch = self.link(position, tip).await?;
        let oldest = branch.last().unwrap_or(&tip);
        let retraction = position.stack.retraction(
            &self.chain,
            tip.number,
            oldest,
            self.config.max_reorg_depth,
        )?;
        if !retraction.entries.is_empty() {
            if !self.confirmed(position, &tip).await {
                return Ok(false);
            }
            self.retract(position, &retraction, &tip).await?;
        }
        for header in branch.iter().rev() {
            let task = self.prepare(BlockId::Hash(header.hash), now_us(), false);
            let prepared = task.await.context("prepare block")??;
            let mut group = Group::default();
            self.add(position, &mut group, prepared);
            self.publish(position, group).await?;
        }
        Ok(true)
    }

    /// The branch down to its meeting with what is published, newest first.
    async fn link(&self, position: &Position, tip: Header) -> Result<Vec<Header>, Trouble> {
        let mut branch = vec![tip];
        let mut oldest = tip;
        // Beyond what is allowed, so that people are told how deep it is.
        let limit = self.config.max_reorg_depth.saturating_mul(2).saturating_add(64);
        while !position.stack.meets(&oldest) {
            let above_final = oldest.number > position.stack.finalized().saturating_add(1);
            let within_limit = branch.len() as u64 <= limit;
            if !above_final || !within_limit {
                break;
            }
            let parent = self.fetcher.header(BlockId::Hash(oldest.parent_hash)).await?;
            if parent.number + 1 != oldest.number {
                return Err(Trouble::replan(format!(
                    "parent of block {} has number {}",
                    oldest.number, parent.number
                )));
            }
            oldest = parent;
            branch.push(oldest);
        }
        Ok(branch)
    }

    /// Whether the branch is to be taken: another endpoint knows it, there is no other, or nobody
    /// confirmed any branch for too long. `false` when the head moved on: it is judged in its turn.
    async fn confirmed(&self, position: &mut Position, tip: &Header) -> bool {
        let patience = Duration::from_secs(self.config.reorg_confirm_seconds);
        let since = *position.contested_since.get_or_insert_with(|| {
            tracing::info!(
                chain = self.chain,
                tip = tip.number,
                "chain branches, asking another endpoint"
            );
            Instant::now()
        });
        loop {
            match self.fetcher.confirmed_elsewhere(tip.hash).await {
                Some(true) | None => return true,
                Some(false) => {}
            }
            if since.elapsed() >= patience {
                tracing::warn!(
                    chain = self.chain,
                    tip = tip.number,
                    seconds = patience.as_secs(),
                    "no other endpoint confirmed the branch, it is taken all the same"
                );
                return true;
            }
            if self.fetcher.pool().head().is_some_and(|head| head.hash != tip.hash) {
                return false;
            }
            tokio::time::sleep(CONFIRM_EVERY).await;
        }
    }

    /// Retracts blocks, newest first, each by a batch of its own.
    async fn retract(
        &self,
        position: &mut Position,
        retraction: &Retraction,
        tip: &Header,
    ) -> Result<(), Trouble> {
        let depth = retraction.entries.len() as u64;
        tracing::info!(
            chain = self.chain,
            depth,
            ancestor = retraction.ancestor.number,
            tip = tip.number,
            "reorganisation"
        );
        for entry in &retraction.entries {
            self.retract_block(position, entry).await?;
        }
        self.metrics.reorg(depth);
        Ok(())
    }

    pub(super) async fn retract_block(
        &self,
        position: &mut Position,
        entry: &Entry,
    ) -> Result<(), Trouble> {
        let wanted = entry.messages as usize;
        let from = ReadFrom::Sequence(entry.begin_sequence);
        let mut found = self.read_back(from, entry.sequence).await?;
        if self.count_own(&found) <= wanted {
            // Where the first block known begins is an estimate that knows nothing of copies.
            found = self.read_back(ReadFrom::First, entry.sequence).await?;
        }
        let last = found.pop().context("read marker back")?;
        let Ok(Event::Block(mut marker)) = Event::decode(&last.payload) else {
            return Err(anyhow::anyhow!("message {} is no marker", last.sequence).into());
        };
        let own = self.count_own(&found);
        if own < wanted {
            tracing::error!(
                chain = self.chain,
                block = entry.number,
                wanted,
                found = own,
                "events of a block that leaves the chain are no longer in the stream: consumers must go by its removed marker"
            );
        }
        let mut before = own.saturating_sub(wanted);
        // Copies follow their original.
        let bodies = found
            .into_iter()
            .skip_while(|message| {
                let is_before = before > 0 || !self.subjects.is_own(&message.subject);
                before -= usize::from(before > 0 && self.subjects.is_own(&message.subject));
                is_before
            })
            .collect::<Vec<_>>();
        let (messages, count) = self.removed(&bodies, entry.incarnation + 1)?;
        marker.set_incarnation(entry.incarnation + 1, now_us());
        marker.messages = count;
        marker.rows = count;
        self.publish_removal(position, messages, marker).await
    }

    /// A chain's messages and their copies, up to a marker.
    async fn read_back(&self, from: ReadFrom, last: u64) -> Result<Vec<StreamMessage>, Trouble> {
        let mut found = Vec::new();
        self.read_all(&[self.subjects.all(), self.subjects.copies()], from, last, |message| {
            found.push(message.clone());
            Ok(())
        })
        .await?;
        Ok(found)
    }

    fn count_own(&self, messages: &[StreamMessage]) -> usize {
        messages.iter().filter(|message| self.subjects.is_own(&message.subject)).count()
    }

    /// Bodies again, as removed, newest first, each followed by its copies for watched addresses; what
    /// is never retracted is left out. The count is without the copies.
    fn removed(
        &self,
        bodies: &[StreamMessage],
        incarnation: u32,
    ) -> Result<(Vec<OutMessage>, u32), Trouble> {
        let now = now_us();
        let mut messages = Vec::with_capacity(bodies.len() + 1);
        let mut copies = Vec::new();
        let mut count = 0;
        for body in bodies.iter().rev() {
            let mut event = Event::decode(&body.payload)
                .with_context(|| format!("decode message {} of {STREAM}", body.sequence))?;
            if event.kind().is_lasting() {
                continue;
            }
            event.set_incarnation(incarnation, now);
            let mut message = self.subjects.message(&event);
            message.subject.clone_from(&body.subject);
            if self.subjects.is_own(&message.subject) {
                messages.push(message);
                messages.append(&mut copies);
                count += 1;
            } else {
                copies.push(message);
            }
        }
        Ok((messages, count))
    }

    async fn publish_removal(
        &self,
        position: &mut Position,
        mut messages: Vec<OutMessage>,
        marker: Block,
    ) -> Result<(), Trouble> {
        messages.push(self.subjects.message(&Event::Block(marker.clone())));
        let sequence = position.publisher.publish(messages).await?;
        position.stack.fold(&marker, sequence);
        self.moved(position, 0, 0);
        Ok(())
    }

    /// Messages after the last marker are of a block or a retraction that was cut off between its
    /// batches: a block is retracted, a retraction is done again.
    pub(super) async fn retract_unfinished(
        &self,
        position: &mut Position,
        fence: u64,
    ) -> Result<(), Trouble> {
        let copies = self.nats.last_sequence_matching(STREAM, self.subjects.copies()).await?;
        let from = ReadFrom::Sequence(position.stack.last_marker() + 1);
        let filters = [self.subjects.all(), self.subjects.copies()];
        let mut added: Vec<StreamMessage> = Vec::new();
        let mut any = None;
        self.read_all(&filters, from, fence.max(copies), |message| {
            let event = Event::decode(&message.payload)
                .with_context(|| format!("decode message {} of {STREAM}", message.sequence))?;
            if event.block_fields().is_some_and(|fields| !fields.removed) {
                added.push(message.clone());
                any = Some(event);
            }
            Ok(())
        })
        .await?;
        tracing::warn!(
            chain = self.chain,
            messages = fence - position.stack.last_marker(),
            "a block was left half-published, retracting it"
        );
        let Some(event) = any else {
            let Some(top) = position.stack.top().cloned() else { return Ok(()) };
            return self.retract_block(position, &top).await;
        };
        let Some(fields) = event.block_fields() else { return Ok(()) };
        let incarnation = fields.incarnation + 1;
        let (messages, count) = self.removed(&added, incarnation)?;
        let marker = Block {
            id: chain_event_id(&self.chain, &fields.block_hash, Kind::Block),
            event_at_us: fields.block_time_us,
            observed_at_us: now_us(),
            chain: self.chain.clone(),
            chain_id: fields.chain_id,
            block_number: fields.block_number,
            block_hash: fields.block_hash,
            block_time_us: fields.block_time_us,
            removed: true,
            incarnation,
            parent_hash: position.stack.expected_parent().unwrap_or(B256::ZERO),
            finalized_number: position.stack.finalized(),
            rows: count,
            messages: count,
            ..Block::empty()
        };
        self.publish_removal(position, messages, marker).await
    }
}
