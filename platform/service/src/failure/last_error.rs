use std::sync::Arc;

use parking_lot::Mutex;

/// The newest failure of a retried operation, for probes; empty after a success. Clones share it.
#[derive(Debug, Clone, Default)]
pub struct LastError(Arc<Mutex<Option<String>>>);

impl LastError {
    /// It failed.
    pub fn set(&self, reason: impl Into<String>) {
        *self.0.lock() = Some(reason.into());
    }

    /// It works.
    pub fn clear(&self) {
        *self.0.lock() = None;
    }

    /// Why it fails; `None` while it works.
    #[must_use]
    pub fn get(&self) -> Option<String> {
        self.0.lock().clone()
    }

    /// `: ` and the reason, or nothing: the end of a sentence about what waits.
    #[must_use]
    pub fn suffix(&self) -> String {
        self.get().map_or_else(String::new, |reason| format!(": {reason}"))
    }
}
