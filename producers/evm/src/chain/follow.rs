//! Following the head: fetch what is missing, in order, and publish it.

use std::{sync::atomic::Ordering, time::Duration};

use crypto_intel_nats::OutMessage;
use crypto_intel_schemas::{B256, Block, BlockRef, Event, Kind};
use crypto_intel_service::now_us;

use super::{
    Position, Worker,
    cursor::Cursor,
    interrupt::ChainInterrupt,
    marker_stack::Relation,
    prepare::{Ahead, Prepared, SHARED_BATCH},
};
use crate::{
    block::Header,
    endpoint::Head,
    publish::encode::{self, Finality},
};

/// What a block has beside its events: a marker, and what it says of finality, a reorganisation or a jump.
const MOST_OWN_MESSAGES: usize = 4;

/// Fetching itself waits between its attempts; this is for what fails at once.
const AFTER_FETCH_TROUBLE: Duration = Duration::from_millis(100);

/// Blocks that go out together.
#[derive(Default)]
pub(crate) struct Group {
    messages: Vec<OutMessage>,
    /// Each block's marker and the place of its message.
    markers: Vec<(Block, usize)>,
    counts: Vec<(Kind, u64)>,
    /// First sight of the newest block that was fetched as the head.
    seen_at_us: Option<i64>,
}

impl Worker {
    /// Follows the heads until something interrupts.
    pub(crate) async fn follow(
        &self,
        position: &mut Position,
    ) -> Result<std::convert::Infallible, ChainInterrupt> {
        let mut changes = self.fetcher.pool().changes();
        loop {
            changes.borrow_and_update();
            if let Some(head) = self.fetcher.pool().head() {
                let reference = BlockRef { number: head.number, hash: head.hash };
                let step = match position.stack.relate(reference) {
                    Relation::AtTop | Relation::Behind => None,
                    Relation::Above => Some(self.approach(position, head).await),
                    Relation::Beside => Some(self.reorganise_to(position, head).await),
                };
                match step {
                    // More may have come meanwhile.
                    Some(Ok(true)) => continue,
                    Some(Ok(false)) | None => {}
                    Some(Err(ChainInterrupt::Fetch(error))) => {
                        // The stream is as we know it: look at the heads again.
                        tracing::warn!(chain = self.chain, %error, "block cannot be had, looking at the heads again");
                        self.status.trouble(error.to_string());
                        tokio::time::sleep(AFTER_FETCH_TROUBLE).await;
                        continue;
                    }
                    Some(Err(trouble)) => return Err(trouble),
                }
            }
            if changes.changed().await.is_err() {
                return Err(ChainInterrupt::replan("endpoints were stopped"));
            }
        }
    }

    /// Catches up in order, or jumps where that is too far.
    async fn approach(&self, position: &mut Position, head: Head) -> Result<bool, ChainInterrupt> {
        if self.jump_if_far(position, head.number).await? {
            return Ok(true);
        }
        self.extend(position, head).await
    }

    /// Publishes the blocks between top and head, and those that come meanwhile. `true` when
    /// anything was done.
    async fn extend(&self, position: &mut Position, head: Head) -> Result<bool, ChainInterrupt> {
        let Some(first) = position.stack.next_number() else {
            return Err(ChainInterrupt::replan("nothing is known to build on"));
        };
        let mut ahead = Ahead::default();
        let mut changes = self.fetcher.pool().changes();
        let mut target = head;
        let mut progressed = false;
        let mut held = None;
        loop {
            target = self.newer_head(target);
            ahead.fill(self, first, target);
            let mut waiting = match held.take() {
                Some(prepared) => Some(prepared),
                None => match ahead.next().await {
                    Some(prepared) => Some(prepared?),
                    None => return Ok(progressed),
                },
            };
            let mut group = Group::default();
            let mut stranger = None;
            while let Some(prepared) = waiting.take() {
                if self.expected_parent(position, &group) != Some(prepared.block.header.parent_hash)
                {
                    stranger = Some(prepared.block.header);
                    break;
                }
                if !group.has_room_for(&prepared, self.batch_limit.get()) {
                    held = Some(prepared);
                    break;
                }
                self.add(position, &mut group, prepared);
                if group.messages.len() < SHARED_BATCH {
                    waiting = ahead.ready();
                }
            }
            // The next ones are on their way while these are published.
            let published = {
                let mut publishing = std::pin::pin!(self.publish(position, group));
                loop {
                    ahead.fill(self, first, target);
                    tokio::select! {
                        biased;
                        published = &mut publishing => break published,
                        changed = changes.changed() => {
                            if changed.is_err() {
                                break publishing.await;
                            }
                            target = self.newer_head(target);
                        }
                    }
                }
            };
            progressed |= published?;
            if let Some(header) = stranger {
                return self.reorganise(position, header).await;
            }
        }
    }

    /// The head, if it is above what is headed for already.
    fn newer_head(&self, target: Head) -> Head {
        self.fetcher.pool().head().filter(|head| head.number > target.number).unwrap_or(target)
    }

    fn expected_parent(&self, position: &Position, group: &Group) -> Option<B256> {
        match group.markers.last() {
            Some((marker, _)) => Some(marker.block_hash),
            None => position.stack.expected_parent(),
        }
    }

    /// Adds a block's messages: what is owed from before, its events, its marker.
    pub(crate) fn add(&self, position: &Position, group: &mut Group, mut prepared: Prepared) {
        let incarnation = position.stack.next_incarnation(&prepared.block.header.hash);
        // A change of the watch-list counts from here on, not from when a block happened to be fetched.
        let listed = prepared.context.watched.is_same(&self.watched.view(&self.chain));
        // Before it is asked what is known: a search that ends later finds this block among those that lack something.
        self.status.decides(prepared.block.header.number);
        let known_contracts = self.decoder.abis().version();
        if incarnation != prepared.context.incarnation
            || known_contracts != prepared.bodies.known_contracts()
            || !listed
        {
            self.again(&mut prepared, incarnation);
        }
        let Prepared { block, bodies, context, is_head, final_at_fetch } = prepared;
        let begin = group.messages.len();
        let before = group.markers.last().map(|(marker, _)| marker.finalized_number);
        let before = before.unwrap_or_else(|| position.stack.finalized());
        let finality = self.finality(position, group, before, (&block.header, final_at_fetch));
        if group.markers.is_empty()
            && let Some((dropped, ancestor)) = position.stack.owed_reorg()
        {
            let event = encode::reorg(&self.decoder, &block.header, &context, dropped, ancestor);
            group.messages.push(self.subjects.message(&Event::Reorg(event)));
        }
        if group.markers.is_empty()
            && let Some(left) = position.stack.owed_jump()
        {
            let event = encode::jump(&self.decoder, &block.header, &context, left);
            group.messages.push(self.subjects.message(&Event::Jump(event)));
        }
        if finality.finalized > before {
            let event = encode::finalized(&self.decoder, &block.header, &context, finality);
            group.messages.push(self.subjects.message(&Event::Finalized(event)));
        }
        self.subjects.add_bodies_and_copies(&bodies, &mut group.messages);
        self.metrics.watched_events(bodies.copies());
        let counts = (bodies.len(), group.messages.len() - begin - bodies.copies());
        let marker = encode::marker(&self.decoder, &block, &context, finality, counts);
        group.markers.push((marker.clone(), group.messages.len()));
        group.messages.push(self.subjects.message(&Event::Block(marker)));
        group.count(bodies.kinds());
        if is_head {
            group.seen_at_us = Some(context.observed_at_us);
        }
    }

    /// How far the chain is final as of a block: never less than before, and never beyond that block. What an
    /// endpoint claims above what we linked is no reason to call anything final: it may lie. Nor is what it says of a
    /// height where another block is published, or of a block that was fetched before it was final: one of two branches
    /// will leave.
    fn finality(
        &self,
        position: &Position,
        group: &Group,
        before: u64,
        (header, final_at_fetch): (&Header, u64),
    ) -> Finality {
        let block = header.number;
        let tags = self.tags.borrow().unwrap_or_default();
        let safe = tags.safe.map(|safe| safe.min(block));
        let ours = |number| match number == block {
            true => Some(header.hash),
            false => group.hash_at(number).or_else(|| position.stack.hash_at(number)),
        };
        let (finalized, finalized_hash) = match tags.finalized {
            Some((number, hash)) if number <= block => {
                match ours(number).filter(|ours| *ours != hash) {
                    Some(ours) => {
                        self.tell_other_final(number, hash, ours);
                        (before, None)
                    }
                    None => (number, Some(hash)),
                }
            }
            Some(_) => (final_at_fetch.min(block), None),
            None => (block.saturating_sub(self.config.finality_depth), None),
        };
        if finalized > before {
            Finality { finalized, finalized_hash, safe }
        } else {
            Finality { finalized: before, finalized_hash: None, safe }
        }
    }

    /// Once for each block that is called final.
    fn tell_other_final(&self, number: u64, final_hash: B256, ours: B256) {
        if self.other_final.swap(number, Ordering::Relaxed) != number {
            tracing::warn!(
                chain = self.chain,
                block = number,
                final_hash = %format!("{final_hash:#x}"),
                published = %format!("{ours:#x}"),
                "an endpoint calls another block final than the one that is published: finality stays where it was until they agree"
            );
        }
    }

    /// Publishes a group and takes its markers. `false` when it is empty.
    pub(crate) async fn publish(
        &self,
        position: &mut Position,
        group: Group,
    ) -> Result<bool, ChainInterrupt> {
        let Some((newest, _)) = group.markers.last() else { return Ok(false) };
        self.keep_discovered().await?;
        let markers = group.markers.iter().map(|(marker, _)| marker);
        self.queue_untraced(
            markers.map(|marker| (marker.block_number, marker.unverified.as_slice())),
        )
        .await;
        let top = newest.block_number;
        let published = position.publisher.publish(group.messages).await?;
        position.contested_since = None;
        for (marker, place) in &group.markers {
            position.stack.fold(marker, published.sequence_of(*place));
        }
        let events = group.counts.iter().map(|(_, count)| count).sum();
        for (kind, count) in &group.counts {
            self.metrics.events_published(*kind, *count);
        }
        if let Some(seen_at_us) = group.seen_at_us {
            let elapsed_us = u64::try_from(now_us() - seen_at_us).unwrap_or_default();
            self.metrics.head_to_ack(Duration::from_micros(elapsed_us));
        }
        let blocks = group.markers.len() as u64;
        tracing::debug!(chain = self.chain, block = top, blocks, events, "published");
        self.metrics.batch_acked(blocks);
        self.moved(position, blocks, events);
        Ok(true)
    }

    /// Tells cursor, metrics and health where the chain stands.
    pub(crate) fn moved(&self, position: &Position, blocks: u64, events: u64) {
        if let Some(cursor) = Cursor::of(&position.stack) {
            self.cursor.send_replace(Some(cursor));
        }
        self.oldest_open.send_replace(position.stack.oldest_open());
        let Some(top) = position.stack.top() else { return };
        let head = self.fetcher.pool().highest().unwrap_or(top.number);
        self.metrics.published(top.number, position.stack.finalized(), head);
        self.status.published(top.number, blocks, events);
    }

    async fn reorganise_to(
        &self,
        position: &mut Position,
        head: Head,
    ) -> Result<bool, ChainInterrupt> {
        let header: Header =
            self.fetcher.header(crate::fetch::error::BlockId::Hash(head.hash)).await?;
        self.reorganise(position, header).await
    }
}

impl Group {
    /// Whether a block still fits into the same batch; the first one always does.
    fn has_room_for(&self, next: &Prepared, limit: usize) -> bool {
        let more = next.bodies.len() + next.bodies.copies() + MOST_OWN_MESSAGES;
        self.markers.is_empty() || self.messages.len() + more <= limit
    }

    fn hash_at(&self, number: u64) -> Option<B256> {
        let marker = self.markers.iter().find(|(marker, _)| marker.block_number == number);
        marker.map(|(marker, _)| marker.block_hash)
    }

    fn count(&mut self, kinds: impl Iterator<Item = Kind>) {
        for kind in kinds {
            match self.counts.iter_mut().find(|(counted, _)| *counted == kind) {
                Some((_, count)) => *count += 1,
                None => self.counts.push((kind, 1)),
            }
        }
    }
}
