//! The newest errors of a connection, for probes and logs that explain why nothing progresses.

use std::sync::Arc;
use std::time::{Duration, Instant};

use async_nats::{ClientError, Event, ServerError};
use parking_lot::{Mutex, MutexGuard};

/// The same text is logged again after this: a rejected client retries twice a second.
const REPEAT_INTERVAL: Duration = Duration::from_secs(60);

/// Shared by the connection's event callback and its users.
#[derive(Debug, Clone, Default)]
pub(crate) struct Complaints {
    state: Arc<Mutex<State>>,
}

#[derive(Debug, Default)]
struct State {
    /// Why there is no connection.
    disconnected: Option<String>,
    /// The newest refusal by the server while connected.
    refusal: Option<(Instant, String)>,
    logged: Option<(Instant, String)>,
}

impl Complaints {
    /// Records an event.
    pub(crate) fn note(&self, event: &Event) {
        let mut state = self.lock();
        match event {
            Event::Connected => {
                state.disconnected = None;
                state.logged = None;
            }
            Event::Disconnected => {
                state.disconnected.get_or_insert_with(|| "the connection was lost".to_owned());
            }
            Event::ServerError(ServerError::AuthorizationViolation) => {
                state.disconnected = Some(unauthorized());
            }
            Event::ServerError(ServerError::Other(text)) if is_refusal(text) => {
                state.refusal = Some((Instant::now(), text.clone()));
            }
            // `authentication revoked`, `authentication expired`: the server closes the connection with it.
            Event::ServerError(ServerError::Other(text))
                if text.to_lowercase().contains("authentication") =>
            {
                state.disconnected = Some(format!("{text}; {}", unauthorized()));
            }
            Event::ClientError(ClientError::Other(text)) => {
                let text = text.to_lowercase();
                let unauthorized_now =
                    text.contains("authorization") || text.contains("authentication");
                state.disconnected = Some(if unauthorized_now { unauthorized() } else { text });
            }
            _ => {}
        }
    }

    /// Why there is no connection, as far as known.
    pub(crate) fn disconnected(&self) -> String {
        self.lock().disconnected.clone().unwrap_or_else(|| "connecting".to_owned())
    }

    /// The newest refusal of a request since `instant`.
    pub(crate) fn refusal_since(&self, instant: Instant) -> Option<String> {
        let state = self.lock();
        state.refusal.as_ref().filter(|(at, _)| *at >= instant).map(|(_, text)| text.clone())
    }

    /// Whether a text should be logged: not repeatedly.
    pub(crate) fn is_news(&self, text: &str) -> bool {
        let mut state = self.lock();
        let known = state
            .logged
            .as_ref()
            .is_some_and(|(at, known)| known == text && at.elapsed() < REPEAT_INTERVAL);
        if !known {
            state.logged = Some((Instant::now(), text.to_owned()));
        }
        !known
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock()
    }
}

/// Whether the server refuses a subject to a known user.
pub(crate) fn is_refusal(text: &str) -> bool {
    text.to_lowercase().contains("permissions violation")
}

/// Reason and hint when user or password are wrong.
pub(crate) fn unauthorized() -> String {
    "nats refuses user and password: correct nats.user and nats.password (or their file), or server.conf"
        .to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rejected_user_is_logged_once_and_with_a_hint() {
        let complaints = Complaints::default();
        let refused = Event::ClientError(ClientError::Other("authorization violation".to_owned()));
        complaints.note(&Event::Disconnected);
        complaints.note(&refused);
        assert!(complaints.disconnected().contains("nats.password"));
        assert!(complaints.is_news("refused"));
        assert!(!complaints.is_news("refused"), "not twice a second");
        complaints.note(&Event::Connected);
        assert!(complaints.is_news("refused"), "another outage is");
    }

    #[test]
    fn a_refusal_counts_from_when_it_was_asked() {
        let complaints = Complaints::default();
        let before = Instant::now();
        let text = "Permissions Violation for Publish to \"$KV.leases.x\"";
        complaints.note(&Event::ServerError(ServerError::Other(text.to_owned())));
        assert_eq!(complaints.refusal_since(before).as_deref(), Some(text));
        assert_eq!(complaints.refusal_since(Instant::now() + Duration::from_secs(1)), None);
    }
}
