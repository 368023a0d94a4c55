use std::future::Future;

use tokio_util::sync::CancellationToken;

/// The process, or this part of it, must stop. Returned with `?` by work that notices the signal itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("stopped")]
pub struct Stopped;

impl Stopped {
    /// Whether an error is this one, or was caused by it.
    #[must_use]
    pub fn caused(error: &anyhow::Error) -> bool {
        error.chain().any(|cause| cause.is::<Self>())
    }
}

/// Does `work` unless `stop` fires first. The work is then dropped: it must be cancel-safe.
///
/// # Errors
/// [`Stopped`] when `stop` fired first, also when both are ready.
pub async fn unless_stopped<T>(
    stop: &CancellationToken,
    work: impl Future<Output = T>,
) -> Result<T, Stopped> {
    tokio::select! {
        biased;
        () = stop.cancelled() => Err(Stopped),
        output = work => Ok(output),
    }
}
