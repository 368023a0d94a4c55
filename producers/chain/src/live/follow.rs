//! Following the head: asks the marker stack for the next step and executes it.

use std::{convert::Infallible, sync::Arc, time::Duration};

use crypto_intel_schemas::BlockRef;
use crypto_intel_service::now_us;

use crate::{
    interrupt::ChainInterrupt,
    live::ahead::{Ahead, BlockFetcher, SHARED_BATCH},
    live::assemble::{Assembler, Group},
    live::confirm::BranchConfirmer,
    live::jump::Jumper,
    live::retract::Retractor,
    source::ChainSource,
    source::header::{BlockId, Header},
    source::heads::Head,
    source::unavailable::Unavailable,
    stack::finality::FinalBlock,
    stack::limits::Limits,
    stack::marker_stack::Retraction,
    stack::position::Position,
    stack::step::{Step, Target, View},
    status::Status,
    stream::batch_limit::BatchLimit,
    stream::lane::Lane,
    stream::publish::GroupPublisher,
};

/// Fetching itself waits between its attempts; this is for what fails at once.
const FETCH_RETRY_DELAY: Duration = Duration::from_millis(100);

/// Follows the heads of a chain.
#[derive(Debug)]
pub(crate) struct Follower<S> {
    pub(crate) lane: Arc<Lane>,
    pub(crate) source: Arc<S>,
    pub(crate) limits: Arc<Limits>,
    pub(crate) status: Status,
    pub(crate) final_block: FinalBlock<S>,
    pub(crate) batch_limit: BatchLimit,
    pub(crate) fetcher: BlockFetcher<S>,
    pub(crate) assembler: Assembler<S>,
    pub(crate) publisher: GroupPublisher<S>,
    pub(crate) confirmer: BranchConfirmer<S>,
    pub(crate) retractor: Arc<Retractor<S>>,
    pub(crate) jumper: Jumper<S>,
}

impl<S: ChainSource> Follower<S> {
    /// Follows the heads until something interrupts.
    pub(crate) async fn follow(
        &self,
        position: &mut Position,
    ) -> Result<Infallible, ChainInterrupt> {
        let mut changes = self.source.head_changes();
        let mut branch = Vec::new();
        loop {
            // What comes while a branch is handled is news, so that a branch whose head moved on is left at once.
            if branch.is_empty() {
                changes.borrow_and_update();
            }
            match self.advance(position, &mut branch).await {
                // More may have come meanwhile.
                Ok(true) => continue,
                Ok(false) => {}
                Err(ChainInterrupt::Unavailable(error)) => {
                    // The stream is as we know it: look at the heads again.
                    branch.clear();
                    tracing::warn!(chain = self.lane.chain, %error, "block unavailable, retrying from the current head");
                    self.status.trouble(error.to_string());
                    tokio::time::sleep(FETCH_RETRY_DELAY).await;
                    continue;
                }
                Err(interrupt) => return Err(interrupt),
            }
            if changes.changed().await.is_err() {
                return Err(ChainInterrupt::replan("endpoints were stopped"));
            }
        }
    }

    /// Executes the next step. `false` when there is nothing to do until a head changes.
    async fn advance(
        &self,
        position: &mut Position,
        branch: &mut Vec<Header>,
    ) -> Result<bool, ChainInterrupt> {
        let head = self.source.head();
        let is_far = |head: Head| position.stack.is_far(head.block.number, &self.limits);
        let finalized = match head.filter(|head| branch.is_empty() && is_far(*head)) {
            Some(_) => Some(self.final_block.number().await?),
            None => None,
        };
        let view = View { head: head.map(|head| head.block), finalized, branch };
        match position.stack.step(&view, &self.limits)? {
            Step::Wait => Ok(false),
            Step::Link(block) => {
                let header = self.linked_header(block, branch.last()).await?;
                branch.push(header);
                Ok(true)
            }
            Step::Extend(Target::Head) => match head {
                Some(head) => self.extend(position, head, branch).await,
                None => Ok(false),
            },
            Step::Extend(Target::Branch) => {
                let blocks = std::mem::take(branch);
                self.extend_by(position, &blocks).await
            }
            Step::Retract(retraction) => self.retract(position, &retraction, branch).await,
            Step::Jump { finalized } => {
                self.jumper.jump(position, finalized).await?;
                Ok(true)
            }
        }
    }

    /// The header of a block that is known by number and hash.
    async fn linked_header(
        &self,
        block: BlockRef,
        child: Option<&Header>,
    ) -> Result<Header, ChainInterrupt> {
        let id = BlockId::Ref(block);
        let header = self.source.header(id).await?;
        let header =
            header.ok_or_else(|| Unavailable::unknown(format!("no endpoint has block {id}")))?;
        match child {
            Some(child) if header.number != block.number => Err(ChainInterrupt::replan(format!(
                "parent of block {} has number {}",
                child.number, header.number
            ))),
            _ => Ok(header),
        }
    }

    /// Publishes the blocks between top and head, and those that come meanwhile. `true` when
    /// anything was done; a block that is not built on the top begins a branch.
    async fn extend(
        &self,
        position: &mut Position,
        head: Head,
        branch: &mut Vec<Header>,
    ) -> Result<bool, ChainInterrupt> {
        let Some(first) = position.stack.next_number() else {
            return Err(ChainInterrupt::replan("nothing is known to build on"));
        };
        let mut ahead = Ahead::default();
        let mut changes = self.source.head_changes();
        let mut target = head;
        let mut progressed = false;
        let mut held = None;
        loop {
            target = self.newer_head(target);
            ahead.fill(&self.fetcher, first, target);
            let mut waiting = match held.take() {
                Some(fetched) => Some(fetched),
                None => match ahead.next().await {
                    Some(Ok(Some(fetched))) => Some(fetched),
                    // A number without a block: the block above it proves that by its parent.
                    Some(Ok(None)) => continue,
                    Some(Err(error)) => return Err(error.into()),
                    None => return Ok(progressed),
                },
            };
            let mut group = Group::default();
            while let Some(fetched) = waiting.take() {
                let header = fetched.prepared.header;
                if group.expected_parent(&position.stack) != Some(header.parent.hash) {
                    branch.push(header);
                    break;
                }
                if !group.has_room_for(&fetched, self.batch_limit.get()) {
                    held = Some(fetched);
                    break;
                }
                self.assembler.add(&position.stack, &mut group, fetched);
                if group.messages.len() < SHARED_BATCH {
                    waiting = ahead.ready();
                }
            }
            // The next ones are on their way while these are published.
            let published = {
                let mut publishing = std::pin::pin!(self.publisher.publish(position, group));
                loop {
                    ahead.fill(&self.fetcher, first, target);
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
            if !branch.is_empty() {
                return Ok(true);
            }
        }
    }

    /// The head, if it is above the target.
    fn newer_head(&self, target: Head) -> Head {
        let head = self.source.head();
        head.filter(|head| head.block.number > target.block.number).unwrap_or(target)
    }

    /// Publishes the blocks of a branch that is built on the top, oldest first.
    async fn extend_by(
        &self,
        position: &mut Position,
        branch: &[Header],
    ) -> Result<bool, ChainInterrupt> {
        let first = position.stack.first_of_branch(branch);
        for header in branch.iter().rev().filter(|header| header.number >= first) {
            let id = BlockId::Ref(header.block());
            let fetched = self.fetcher.fetch(id, now_us(), false).await?;
            let fetched = fetched
                .ok_or_else(|| Unavailable::unknown(format!("no endpoint has block {id}")))?;
            let mut group = Group::default();
            self.assembler.add(&position.stack, &mut group, fetched);
            self.publisher.publish(position, group).await?;
        }
        Ok(true)
    }

    /// Retracts what a branch leaves out, once the branch is confirmed. `false` when the heads moved on.
    async fn retract(
        &self,
        position: &mut Position,
        retraction: &Retraction,
        branch: &mut Vec<Header>,
    ) -> Result<bool, ChainInterrupt> {
        let Some(tip) = branch.first().copied() else { return Ok(false) };
        if !self.confirmer.confirmed(position, &tip).await {
            branch.clear();
            return Ok(false);
        }
        tracing::info!(
            chain = self.lane.chain,
            depth = retraction.entries.len(),
            ancestor = retraction.ancestor.number,
            tip = tip.number,
            "reorganisation"
        );
        self.retractor.retract(position, &retraction.entries).await?;
        Ok(true)
    }
}
