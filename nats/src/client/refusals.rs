use std::collections::HashMap;
use std::sync::Arc;

use parking_lot::{Mutex, MutexGuard};
use tokio::sync::mpsc;

/// Requests that wait for an answer, by subject. The server reports a refused publish only to the connection: without
/// this the request would time out.
#[derive(Debug, Default)]
pub(crate) struct Refusals {
    waiting: Mutex<Waiting>,
}

#[derive(Debug, Default)]
struct Waiting {
    next_id: u64,
    by_id: HashMap<u64, Waiter>,
    /// No answer can come on this connection.
    refused_inbox: Option<String>,
}

#[derive(Debug)]
struct Waiter {
    /// `None` = all refusals.
    subject: Option<String>,
    tell: mpsc::UnboundedSender<String>,
}

/// Waits for a refusal until dropped.
#[derive(Debug)]
pub(crate) struct Refused {
    id: u64,
    refusals: Arc<Refusals>,
    told: mpsc::UnboundedReceiver<String>,
}

impl Refusals {
    /// To be made before the message is sent; `None` = for every subject.
    pub(crate) fn wait(self: &Arc<Self>, subject: Option<&str>) -> Refused {
        let (tell, told) = mpsc::unbounded_channel();
        let mut waiting = self.lock();
        if let Some(inbox) = &waiting.refused_inbox {
            // The receiver is here: it cannot fail.
            let _ = tell.send(inbox.clone());
        }
        let id = waiting.next_id;
        waiting.next_id += 1;
        waiting.by_id.insert(id, Waiter { subject: subject.map(ToOwned::to_owned), tell });
        drop(waiting);
        Refused { id, refusals: Arc::clone(self), told }
    }

    /// Passes a refusal to the requests that it concerns; `false` when it is none, or no request waits for it.
    pub(crate) fn tell(&self, text: &str) -> bool {
        let Some(refusal) = Refusal::read(text) else { return false };
        let mut waiting = self.lock();
        let is_inbox = !refusal.is_publish && refusal.subject.starts_with("_INBOX");
        if is_inbox {
            waiting.refused_inbox = Some(refusal.subject.to_owned());
        }
        let mut has_heard = false;
        for waiter in waiting.by_id.values() {
            let is_own = waiter.subject.as_deref() == Some(refusal.subject);
            if is_own || is_inbox || waiter.subject.is_none() {
                let is_told = waiter.tell.send(refusal.subject.to_owned()).is_ok();
                has_heard |= is_told && waiter.subject.is_some();
            }
        }
        has_heard
    }

    /// A new connection, perhaps with other permissions.
    pub(crate) fn forget(&self) {
        self.lock().refused_inbox = None;
    }

    fn lock(&self) -> MutexGuard<'_, Waiting> {
        self.waiting.lock()
    }
}

impl Refused {
    /// The refused subject, as soon as one is. Cancel-safe.
    pub(crate) async fn next(&mut self) -> String {
        match self.told.recv().await {
            Some(subject) => subject,
            // The sender is kept until this is dropped.
            None => std::future::pending().await,
        }
    }

    /// What was refused so far.
    pub(crate) fn so_far(&mut self) -> Vec<String> {
        std::iter::from_fn(|| self.told.try_recv().ok()).collect()
    }
}

impl Drop for Refused {
    fn drop(&mut self) {
        self.refusals.lock().by_id.remove(&self.id);
    }
}

/// `Permissions Violation for Publish to "evm.x"`
struct Refusal<'a> {
    is_publish: bool,
    subject: &'a str,
}

impl<'a> Refusal<'a> {
    fn read(text: &'a str) -> Option<Self> {
        let lower = text.to_ascii_lowercase();
        if !lower.contains("permissions violation") {
            return None;
        }
        let mut parts = text.split('"');
        let subject = parts.nth(1)?;
        Some(Self { is_publish: lower.contains("for publish"), subject })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const REFUSED: &str = r#"Permissions Violation for Publish to "$JS.API.INFO""#;

    #[tokio::test]
    async fn a_refusal_reaches_those_who_wait_for_it_and_nobody_else() {
        let refusals = Arc::new(Refusals::default());
        assert!(!refusals.tell(REFUSED), "no request waits");
        let mut own = refusals.wait(Some("$JS.API.INFO"));
        let mut other = refusals.wait(Some("$JS.API.STREAM.NAMES"));
        let mut all = refusals.wait(None);
        assert!(refusals.tell(REFUSED));
        assert_eq!(own.next().await, "$JS.API.INFO");
        assert_eq!(all.so_far(), ["$JS.API.INFO"]);
        assert!(other.so_far().is_empty());
        drop(own);
        assert!(!refusals.tell(REFUSED), "a listener for all refusals does not count as a request");
        assert!(!refusals.tell("Maximum Payload Violation"));
    }

    #[tokio::test]
    async fn without_an_inbox_every_request_is_refused_until_the_next_connection() {
        let refusals = Arc::new(Refusals::default());
        let mut early = refusals.wait(Some("a"));
        assert!(refusals.tell(r#"Permissions Violation for Subscription to "_INBOX_x.1.*""#));
        assert_eq!(early.next().await, "_INBOX_x.1.*");
        assert_eq!(refusals.wait(Some("b")).next().await, "_INBOX_x.1.*");
        refusals.forget();
        assert!(refusals.wait(Some("b")).so_far().is_empty());
    }
}
