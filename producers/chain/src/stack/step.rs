//! What to do next: decided by the marker stack alone, without a clock and without a network.
//!
//! ```text
//!          head at or below the top             head above the top
//!   Wait ◀──────────────────────────── top ────────────────────────────▶ Extend, or Jump where it is too far
//!                                       │ another block at its height, or a stranger on the way
//!                                       ▼
//!                        Link, until the branch meets what is published
//!                                       │
//!                                       ▼
//!                        Retract what the branch leaves out, then Extend by the branch
//! ```

use crypto_intel_schemas::BlockRef;

use crate::{
    source::header::Header,
    stack::limits::{Limits, Refused},
    stack::marker_stack::{MarkerStack, Relation, Retraction},
};

/// What is known beside the stack.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct View<'a> {
    /// The head of the endpoint that serves.
    pub(crate) head: Option<BlockRef>,
    /// Number of the final block; only where the head [is far](MarkerStack::is_far).
    pub(crate) finalized: Option<u64>,
    /// Headers of a branch that is not built on the top, newest first, each the child of the next.
    pub(crate) branch: &'a [Header],
}

/// What to do next.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Step {
    /// Wait for another head.
    Wait,
    /// Ask for the header of this block, and add it to the branch.
    Link(BlockRef),
    /// Publish blocks on the top.
    Extend(Target),
    /// Retract the published blocks that the branch leaves out.
    Retract(Retraction),
    /// Leave the numbers between to the history lane, and go on behind the final block.
    Jump {
        /// The final number as of now.
        finalized: u64,
    },
}

/// Which blocks to publish.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Target {
    /// Those between the top and the head.
    Head,
    /// Those of the branch, oldest first.
    Branch,
}

impl MarkerStack {
    /// The next step.
    ///
    /// # Errors
    /// When the chain must not be followed further.
    pub(crate) fn step(&self, view: &View<'_>, limits: &Limits) -> Result<Step, Refused> {
        if let [tip, ..] = view.branch {
            let oldest = view.branch.last().unwrap_or(tip);
            return self.step_of_branch(tip, oldest, view.branch.len() as u64, limits);
        }
        let Some(head) = view.head else { return Ok(Step::Wait) };
        Ok(match self.relate(head) {
            Relation::AtTop | Relation::Behind => Step::Wait,
            Relation::Beside => Step::Link(head),
            // After a jump to the head nothing is above it yet.
            Relation::Above if self.next_number().is_some_and(|next| next > head.number) => {
                Step::Wait
            }
            Relation::Above => match view.finalized {
                Some(finalized) if self.is_far(finalized, limits) => Step::Jump { finalized },
                _ => Step::Extend(Target::Head),
            },
        })
    }

    fn step_of_branch(
        &self,
        tip: &Header,
        oldest: &Header,
        length: u64,
        limits: &Limits,
    ) -> Result<Step, Refused> {
        let may_link = oldest.parent.number > self.finalized() && length <= limits.max_branch();
        if !self.meets(oldest) && may_link {
            return Ok(Step::Link(oldest.parent));
        }
        let retraction = self.retraction(limits, tip.number, oldest)?;
        Ok(match retraction.entries.as_slice() {
            [] => Step::Extend(Target::Branch),
            _ => Step::Retract(retraction),
        })
    }

    /// Lowest number that is published of a branch: one that replaces everything was linked below the chain's beginning.
    pub(crate) fn first_of_branch(&self, branch: &[Header]) -> u64 {
        match branch.last() {
            Some(oldest) if !self.meets(oldest) => self.next_number().unwrap_or(0),
            _ => 0,
        }
    }

    /// Whether a number is too far above the top to catch up in order.
    pub(crate) fn is_far(&self, number: u64, limits: &Limits) -> bool {
        let limit = limits.catch_up_blocks;
        limit > 0 && self.next_number().is_some_and(|next| number.saturating_sub(next) >= limit)
    }
}

#[cfg(test)]
#[path = "step_tests.rs"]
mod tests;
