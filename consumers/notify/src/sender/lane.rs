//! Two queues of one destination: what is critical does not wait behind what is not.

use crypto_intel_nats::WorkQueueOptions;
use crypto_intel_schemas::subjects;

use super::ACK_WAIT;

/// A queue of one destination. Each keeps its order.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Lane {
    /// Everything below critical, and what waited before there were two.
    Normal,
    /// Critical alone.
    Critical,
}

impl Lane {
    /// Both.
    pub(crate) const ALL: [Self; 2] = [Self::Normal, Self::Critical];

    /// Subject of its messages.
    pub(crate) fn subject(self, destination: &str) -> String {
        match self {
            Self::Normal => subjects::notify_out(destination),
            Self::Critical => subjects::notify_out_critical(destination),
        }
    }

    /// Name of its consumer. No name of a destination makes the two alike.
    pub(crate) fn queue_name(self, destination: &str) -> String {
        let name = subjects::token(destination);
        match self {
            Self::Normal => format!("notify-{name}"),
            Self::Critical => format!("notify_critical-{name}"),
        }
    }

    pub(crate) fn queue_options(self, destination: &str) -> WorkQueueOptions {
        // One message under way at a time is what keeps the order over restarts, too.
        WorkQueueOptions {
            filter: self.subject(destination),
            ack_wait: ACK_WAIT,
            max_ack_pending: 1,
            prefetch: 1,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn no_destination_has_the_queue_of_another() {
        let names = ["ops", "ops-critical", "critical-ops", "_critical-ops", "ops.critical"];
        let queues: BTreeSet<String> =
            names.iter().flat_map(|name| Lane::ALL.map(|lane| lane.queue_name(name))).collect();
        assert_eq!(queues.len(), 2 * names.len());
        let subjects: BTreeSet<String> =
            names.iter().flat_map(|name| Lane::ALL.map(|lane| lane.subject(name))).collect();
        assert_eq!(subjects.len(), 2 * names.len());
    }
}
