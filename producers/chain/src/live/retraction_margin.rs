//! How far the stream reaches back beyond the oldest block that may still leave the chain: its events are read
//! back from there when it does.

use std::time::Duration;

use crypto_intel_nats::Nats;
use tokio::sync::watch;

use crate::metrics::ChainMetrics;

const LOOK_INTERVAL: Duration = Duration::from_secs(15);

/// Shows the distance as a metric, as long as the leader sends where that block begins.
pub(crate) async fn show(
    nats: Nats,
    stream: &'static str,
    metrics: ChainMetrics,
    mut oldest: watch::Receiver<Option<u64>>,
) {
    loop {
        let begin = *oldest.borrow_and_update();
        let Some(begin) = begin else {
            metrics.no_retraction_margin();
            if oldest.changed().await.is_err() {
                return;
            }
            continue;
        };
        match nats.stream_state(stream).await {
            Ok(state) => metrics.retraction_margin(begin, state.first_sequence),
            Err(error) => tracing::debug!(%error, "stream state unavailable"),
        }
        tokio::time::sleep(LOOK_INTERVAL).await;
    }
}
