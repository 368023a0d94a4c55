use alloy::pubsub::RawSubscription;
use crypto_intel_schemas::{Address, B256};
use crypto_intel_service::now_us;
use serde::Deserialize;
use tokio::sync::broadcast::error::RecvError;

use super::{client::WebSocketClient, error::EndpointError};
use crate::{endpoint::heights::Head, hex::Hex, verify::read_header};

/// The subscriptions of an endpoint's websocket. Everything that it pushes is a hint that there is something to fetch:
/// heads, and logs of a few contracts. Logs reveal a block even if its head is not announced, and removed logs are the
/// only sign of a block that left the chain before another one came.
#[derive(Debug)]
pub(crate) struct Hints {
    heads: RawSubscription,
    logs: Option<RawSubscription>,
    /// The block of the last removed log that was reported: its other logs say the same.
    removed: Option<B256>,
}

/// A pushed hint.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Hint {
    /// A block that is newer than those before.
    Head(Head),
    /// Something changed: ask the endpoint for its head.
    Ask(&'static str),
}

/// The fields of a log that are read.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct LogPlace {
    block_number: Hex<u64>,
    block_hash: Hex<B256>,
    #[serde(default)]
    removed: bool,
}

impl Hints {
    /// Subscribes. An endpoint that refuses logs is used without them.
    ///
    /// # Errors
    /// When it does not push heads.
    pub(crate) async fn open(
        client: &WebSocketClient,
        label: &str,
        contracts: &[Address],
    ) -> Result<Self, EndpointError> {
        let heads = client.subscribe_heads(label).await?;
        let logs = match contracts {
            [] => None,
            contracts => match client.subscribe_logs(label, contracts).await {
                Ok(logs) => Some(logs),
                Err(
                    error @ (EndpointError::Refused { .. } | EndpointError::Unsupported { .. }),
                ) => {
                    tracing::debug!(endpoint = label, %error, "no logs are pushed, heads are enough");
                    None
                }
                Err(error) => return Err(error),
            },
        };
        Ok(Self { heads, logs, removed: None })
    }

    /// The next hint; `None` when the connection is gone.
    pub(crate) async fn next(&mut self, newest: u64) -> Option<Hint> {
        loop {
            let logs = async {
                match &mut self.logs {
                    Some(logs) => logs.recv().await,
                    None => std::future::pending().await,
                }
            };
            let (received, is_head) = tokio::select! {
                head = self.heads.recv() => (head, true),
                log = logs => (log, false),
            };
            let hint = match received {
                Ok(raw) if is_head => Some(of_head(raw.get())),
                Ok(raw) => of_log(raw.get(), newest, &mut self.removed),
                Err(RecvError::Lagged(_)) => None,
                Err(RecvError::Closed) => return None,
            };
            if hint.is_some() {
                return hint;
            }
        }
    }
}

fn of_head(text: &str) -> Hint {
    match read_header(text) {
        Ok(Some(header)) => {
            Hint::Head(Head { number: header.number, hash: header.hash, seen_at_us: now_us() })
        }
        // It cannot be read, but something happened.
        _ => Hint::Ask("head"),
    }
}

fn of_log(text: &str, newest: u64, removed: &mut Option<B256>) -> Option<Hint> {
    let Ok(place) = serde_json::from_str::<LogPlace>(text) else { return Some(Hint::Ask("log")) };
    let (number, hash) = (place.block_number.0, place.block_hash.0);
    if place.removed {
        let is_news = removed.replace(hash) != Some(hash);
        return is_news.then_some(Hint::Ask("removed"));
    }
    (number > newest).then(|| Hint::Head(Head { number, hash, seen_at_us: now_us() }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn logs_hint_once_at_a_removed_block_and_at_newer_ones() {
        let log = |number: u64, byte: u8, removed: bool| {
            let hash = B256::repeat_byte(byte);
            format!(r#"{{"blockNumber":"{number:#x}","blockHash":"{hash}","removed":{removed}}}"#)
        };
        let mut removed = None;
        let mut of = |text: &str| of_log(text, 10, &mut removed);
        assert_eq!(of(&log(10, 1, false)), None, "its head is known");
        assert!(matches!(of(&log(11, 2, false)), Some(Hint::Head(head)) if head.number == 11));
        assert_eq!(of(&log(10, 1, true)), Some(Hint::Ask("removed")));
        assert_eq!(of(&log(10, 1, true)), None, "once for each block");
        assert_eq!(of(&log(9, 3, true)), Some(Hint::Ask("removed")));
        assert_eq!(of(r#"{"removed":true}"#), Some(Hint::Ask("log")));
    }
}
