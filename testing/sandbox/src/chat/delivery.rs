//! What becomes of a message that passed the checks of its service.

use std::time::{Duration, Instant};

use axum::response::Response;

use super::limits::Window;
use super::state::{ChatFault, ChatService, ChatState};
use super::{Outcome, server_error};

/// How a service counts, refuses and accepts.
pub(super) struct Service<'a> {
    pub(super) service: ChatService,
    /// Names what is counted together.
    pub(super) key: String,
    pub(super) windows: Vec<Window>,
    /// Its answer to a client that is too fast, and has to wait this many seconds.
    pub(super) too_many: &'a dyn Fn(f64) -> Response,
}

impl Service<'_> {
    /// Counts the message, or refuses it, or lets it meet the fault that waits for it.
    pub(super) fn conclude(
        &self,
        state: &mut ChatState,
        accept: impl FnOnce(&mut ChatState) -> Response,
    ) -> Outcome {
        let now = Instant::now();
        if let Some(rest) = state.still_closed(self.service, &self.key) {
            return self.refuse(state, rest);
        }
        if let Some(wait) = state.pace.wait_for(&self.key, &self.windows, now) {
            let wait = wait.as_secs_f64();
            state.violation(self.service, "rate", format!("{}: {wait:.1} s too fast", self.key));
            return self.refuse(state, wait);
        }
        state.pace.use_now(&self.key, &self.windows, now);
        match state.take_fault(self.service) {
            Some(
                ChatFault::TooManyRequests { retry_after }
                | ChatFault::GlobalTooManyRequests { retry_after },
            ) => self.refuse(state, retry_after.into()),
            Some(ChatFault::ResetBeforeAccept) => Outcome::Cut,
            Some(ChatFault::ServerError) => Outcome::Answer(server_error()),
            Some(ChatFault::ResetAfterAccept) => {
                accept(state);
                Outcome::Cut
            }
            Some(ChatFault::ServerErrorAfterAccept) => {
                accept(state);
                Outcome::Answer(server_error())
            }
            None => Outcome::Answer(accept(state)),
        }
    }

    fn refuse(&self, state: &mut ChatState, seconds: f64) -> Outcome {
        let seconds = seconds.ceil().max(1.0);
        if state.pace.closed_for(&self.key, Instant::now()).is_none() {
            state.pace.close(&self.key, Instant::now() + Duration::from_secs_f64(seconds));
        }
        state.count_invalid(self.service);
        Outcome::Answer((self.too_many)(seconds))
    }
}
