use std::time::Duration;

use crate::quota::{limits::Window, signals::Signals};

/// What the outcome of a request means for further ones.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// The provider answered, whatever the answer was worth.
    Answered(Signals),
    /// It rejects this endpoint with this key.
    Refused,
    /// It wants this key, or everybody, to wait.
    Wait { wait: Duration, everybody: bool },
    /// It says that nothing of a day or month is left, until then if it says when.
    Spent { window: Window, wait: Option<Duration> },
    /// It did not answer.
    Failed,
}
