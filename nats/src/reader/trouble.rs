use std::sync::Arc;

use parking_lot::Mutex;

/// Why a reader cannot read at present, for probes: the reader itself waits until it can.
#[derive(Debug, Clone, Default)]
pub struct ReaderTrouble(Arc<Mutex<Option<String>>>);

impl ReaderTrouble {
    /// What is wrong; `None` while the reader reads, or waits for messages that are to come.
    #[must_use]
    pub fn get(&self) -> Option<String> {
        self.0.lock().clone()
    }

    pub(super) fn set(&self, reason: Option<String>) {
        *self.0.lock() = reason;
    }
}
