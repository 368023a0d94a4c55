//! What all chains of a process hold of blocks that were fetched ahead.

use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering},
};

/// Events of blocks that wait to be published: some 60 MB. Above that, chains fetch one block after the other.
const MAX_EVENTS: usize = 30_000;

/// Counts the events of fetched blocks, of all chains of a process together: while a machine cannot keep up with many chains,
/// each would fetch as far ahead as if it were alone.
#[derive(Debug, Clone, Default)]
pub struct AheadBudget {
    held: Arc<AtomicUsize>,
}

/// Events that count until this is dropped.
#[derive(Debug)]
pub(crate) struct HeldEvents {
    budget: AheadBudget,
    events: usize,
}

impl AheadBudget {
    /// Counts events that are held from now on.
    pub(crate) fn hold(&self, events: usize) -> HeldEvents {
        self.held.fetch_add(events, Ordering::Relaxed);
        HeldEvents { budget: self.clone(), events }
    }

    /// Whether no more should be fetched ahead.
    pub(crate) fn is_spent(&self) -> bool {
        self.held.load(Ordering::Relaxed) >= MAX_EVENTS
    }
}

impl Drop for HeldEvents {
    fn drop(&mut self) {
        self.budget.held.fetch_sub(self.events, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_dropped_no_longer_counts() {
        let budget = AheadBudget::default();
        let other_chain = budget.clone();
        let held = [budget.hold(MAX_EVENTS / 2), other_chain.hold(MAX_EVENTS / 2)];
        assert!(budget.is_spent() && other_chain.is_spent());
        drop(held);
        assert!(!budget.is_spent());
    }
}
