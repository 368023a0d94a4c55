use anyhow::Context as _;
use crypto_intel_nats::{Nats, StreamMessage};
use crypto_intel_schemas::Stream;
use crypto_intel_service::RecordingRetry;

/// The message at a sequence of a stream. `None` only when its leader says that it is gone: any replica answers a look-up, and
/// in a cluster it may lack what was written a moment ago.
pub(crate) async fn look_up(
    nats: &Nats,
    stream: Stream,
    sequence: u64,
    what: &str,
    retry: &RecordingRetry,
) -> anyhow::Result<Option<StreamMessage>> {
    let read = async || match nats.get(stream.name(), sequence).await? {
        Some(message) => Ok(Some(message)),
        None => nats.get_from_leader(stream.name(), sequence).await,
    };
    retry.run(what, read).await?.with_context(|| what.to_owned())
}
