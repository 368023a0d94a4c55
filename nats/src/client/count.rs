use std::collections::HashMap;

use serde::Deserialize;
use serde_json::json;

use crate::client::api::Nats;
use crate::error::NatsError;

#[derive(Deserialize)]
struct Answer {
    #[serde(default)]
    total: u64,
    state: Subjects,
}

#[derive(Deserialize)]
struct Subjects {
    #[serde(default)]
    subjects: Option<HashMap<String, u64>>,
}

impl Nats {
    /// How many messages a stream holds on subjects that match a filter. Costs the server a look at each
    /// such subject: for screens, not for hot paths.
    ///
    /// # Errors
    /// Fails when the stream does not exist or does not answer.
    pub async fn count(&self, stream: &str, filter: &str) -> Result<u64, NatsError> {
        let (mut messages, mut seen) = (0, 0);
        loop {
            let body = json!({ "subjects_filter": filter, "offset": seen });
            let answer: Answer = self.api(&format!("STREAM.INFO.{stream}"), &body).await?;
            let page = answer.state.subjects.unwrap_or_default();
            seen += page.len() as u64;
            messages += page.values().sum::<u64>();
            if page.is_empty() || seen >= answer.total {
                return Ok(messages);
            }
        }
    }
}
