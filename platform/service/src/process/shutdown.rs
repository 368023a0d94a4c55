use tokio::signal::unix::{SignalKind, signal};
use tokio_util::sync::CancellationToken;

/// Cancels `shutdown` at the first SIGTERM or SIGINT and ends the process at the second.
///
/// # Errors
/// When the signal handlers cannot be installed.
pub async fn wait_for_signal(shutdown: CancellationToken) -> std::io::Result<()> {
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    for round in 0..2 {
        let name = tokio::select! {
            _ = terminate.recv() => "SIGTERM",
            _ = interrupt.recv() => "SIGINT",
        };
        if round == 0 {
            tracing::info!(signal = name, "stopping; a second signal stops at once");
            shutdown.cancel();
        } else {
            tracing::warn!(
                signal = name,
                "stopped at once; work under way is repeated at the next start"
            );
            std::process::exit(1);
        }
    }
    Ok(())
}
