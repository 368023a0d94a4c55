use serde::{Deserialize, Serialize};
use serde_json::json;

use crate::client::api::Nats;
use crate::error::NatsError;

/// How far a consumer is in its stream.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ConsumerState {
    /// Its name; that of a reader begins with the role and the instance.
    pub name: String,
    /// Messages that it was not given yet.
    #[serde(rename(deserialize = "num_pending"))]
    pub pending: u64,
    /// Messages that it was given and did not acknowledge.
    #[serde(rename(deserialize = "num_ack_pending"), default)]
    pub unacknowledged: u64,
}

#[derive(Debug, Deserialize)]
struct Page {
    #[serde(default)]
    consumers: Option<Vec<ConsumerState>>,
    #[serde(default)]
    total: usize,
}

impl Nats {
    /// The consumers of a stream at present: durable ones, and readers that are connected.
    ///
    /// # Errors
    /// Fails when the stream does not exist, or the server does not answer this user.
    pub async fn consumers_of(&self, stream: &str) -> Result<Vec<ConsumerState>, NatsError> {
        let mut all = Vec::new();
        loop {
            let page: Page = self
                .api(&format!("CONSUMER.LIST.{stream}"), &json!({ "offset": all.len() }))
                .await?;
            let consumers = page.consumers.unwrap_or_default();
            let last = consumers.is_empty();
            all.extend(consumers);
            if last || all.len() >= page.total {
                return Ok(all);
            }
        }
    }
}
