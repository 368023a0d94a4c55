use std::collections::VecDeque;

/// Messages that were read and are not applied yet, with their store times, and how many the stream held after them.
#[derive(Debug, Default)]
pub(crate) struct Backlog {
    /// Store times, microseconds, oldest first.
    read: VecDeque<i64>,
    /// Store time of the last message read.
    last_read_us: i64,
    /// Messages that the stream held after the last one read.
    pending: u64,
}

impl Backlog {
    /// Adds messages that were read, and how many the stream held after them.
    pub(crate) fn add(&mut self, stored_at_us: impl Iterator<Item = i64>, pending: u64) {
        for time_us in stored_at_us {
            self.read.push_back(time_us);
            self.last_read_us = time_us;
        }
        self.pending = pending;
    }

    /// Removes the oldest messages, which are applied.
    pub(crate) fn remove(&mut self, messages: u64) {
        let messages = usize::try_from(messages).unwrap_or(usize::MAX);
        self.read.drain(..messages.min(self.read.len()));
    }

    pub(crate) fn count(&self) -> u64 {
        self.pending + self.read.len() as u64
    }

    /// Store time of the oldest waiting message, microseconds; `None` when none waits. Unread messages are no older than the
    /// last one read.
    pub(crate) fn since_us(&self) -> Option<i64> {
        let unread = (self.pending > 0 && self.last_read_us > 0).then_some(self.last_read_us);
        self.read.front().copied().or(unread)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stream_that_was_idle_is_as_late_as_its_oldest_waiting_message() {
        let mut backlog = Backlog::default();
        assert_eq!((backlog.count(), backlog.since_us()), (0, None));
        backlog.add([1_000].into_iter(), 0);
        backlog.remove(1);
        assert_eq!((backlog.count(), backlog.since_us()), (0, None), "idle");
        backlog.add([118_000, 118_500].into_iter(), 7);
        assert_eq!((backlog.count(), backlog.since_us()), (9, Some(118_000)));
        backlog.remove(1);
        assert_eq!(backlog.since_us(), Some(118_500));
        backlog.remove(1);
        assert_eq!((backlog.count(), backlog.since_us()), (7, Some(118_500)), "not read yet");
        backlog.add([120_000].into_iter(), 0);
        backlog.remove(u64::MAX);
        assert_eq!((backlog.count(), backlog.since_us()), (0, None));
    }
}
