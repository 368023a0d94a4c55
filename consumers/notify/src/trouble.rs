use std::sync::{Arc, Mutex, PoisonError};

/// What went wrong last, for probes; empty once it goes on. Clones share it.
#[derive(Debug, Clone, Default)]
pub(crate) struct Trouble(Arc<Mutex<Option<String>>>);

impl Trouble {
    pub(crate) fn note(&self, why: impl Into<String>) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(why.into());
    }

    pub(crate) fn clear(&self) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = None;
    }

    /// `: ` and the reason, or nothing.
    pub(crate) fn suffix(&self) -> String {
        let why = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        why.as_ref().map_or_else(String::new, |why| format!(": {why}"))
    }
}
