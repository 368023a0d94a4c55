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
        let refuse = |state: &mut ChatState, asked: Asked| self.refusal(state, asked.seconds);
        meet_fault(state, self.service, refuse, accept)
    }

    fn refuse(&self, state: &mut ChatState, seconds: f64) -> Outcome {
        Outcome::Answer(self.refusal(state, seconds))
    }

    fn refusal(&self, state: &mut ChatState, seconds: f64) -> Response {
        let seconds = seconds.ceil().max(1.0);
        if state.pace.closed_for(&self.key, Instant::now()).is_none() {
            state.pace.close(&self.key, Instant::now() + Duration::from_secs_f64(seconds));
        }
        state.count_invalid(self.service);
        (self.too_many)(seconds)
    }
}

/// For how long a fault asks to wait.
pub(super) struct Asked {
    pub(super) seconds: f64,
    /// Everything that the address sends to the service.
    pub(super) is_global: bool,
}

/// Accepts a message, or lets it meet the fault that waits for its service.
pub(super) fn meet_fault(
    state: &mut ChatState,
    service: ChatService,
    refuse: impl FnOnce(&mut ChatState, Asked) -> Response,
    accept: impl FnOnce(&mut ChatState) -> Response,
) -> Outcome {
    let asked = |seconds: u32, is_global| Asked { seconds: seconds.into(), is_global };
    match state.take_fault(service) {
        Some(ChatFault::TooManyRequests { retry_after }) => {
            Outcome::Answer(refuse(state, asked(retry_after, false)))
        }
        Some(ChatFault::GlobalTooManyRequests { retry_after }) => {
            Outcome::Answer(refuse(state, asked(retry_after, true)))
        }
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
