use serde::Serialize;
use serde_json::{Map, Value};

use super::{Topology, TopologyError};
use crate::client::api::Nats;
use crate::error::NatsError;

/// What an object is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum ObjectKind {
    /// A stream, also one behind a key-value bucket.
    Stream,
    /// A durable consumer.
    Consumer,
    /// The copy of a stream in the account of outside teams.
    Copy,
}

/// One field in which the server differs from the definitions.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Difference {
    /// Stream or consumer.
    pub kind: ObjectKind,
    /// `EVM`, `KV_prices`; `ALERT/notify` for a consumer, `OUTSIDE/EVM` for a copy.
    pub object: String,
    /// The field, e.g. `max_bytes`; empty when the whole object is missing.
    pub field: String,
    /// What is defined.
    pub wanted: Value,
    /// What the server has; null when it has nothing.
    pub found: Value,
    /// Whether to apply it deletes messages, or may.
    pub destructive: bool,
}

impl Difference {
    /// Whether the object is not there at all.
    #[must_use]
    pub fn is_missing(&self) -> bool {
        self.field.is_empty()
    }

    /// The objects that are missing, of several differences.
    #[must_use]
    pub fn missing(differences: &[Self]) -> Vec<&str> {
        let missing = differences.iter().filter(|difference| difference.is_missing());
        missing.map(|difference| difference.object.as_str()).collect()
    }
}

/// Changes of these require the stream to be deleted and recreated.
pub(super) const IMMUTABLE: [&str; 3] = ["storage", "retention", "allow_msg_ttl"];
/// A smaller value of these deletes messages. 0 and below mean unlimited.
const LIMITS: [&str; 4] = ["max_bytes", "max_age", "max_msgs", "max_msgs_per_subject"];

impl Topology {
    /// How the server differs from the definitions. What is not defined here is not looked at.
    ///
    /// # Errors
    /// Fails when the server does not answer.
    pub async fn diff(&self, nats: &Nats) -> Result<Vec<Difference>, TopologyError> {
        let mut differences = Vec::new();
        for stream in &self.streams {
            let found = found_stream(nats, &stream.name).await?;
            compare(ObjectKind::Stream, &stream.name, &stream.config, found, &mut differences);
        }
        for consumer in &self.consumers {
            let object = format!("{}/{}", consumer.stream, consumer.name);
            let found = found_consumer(nats, &consumer.stream, &consumer.name).await?;
            compare(ObjectKind::Consumer, &object, &consumer.config, found, &mut differences);
        }
        self.diff_copies(nats, &mut differences).await?;
        Ok(differences)
    }
}

pub(super) async fn found_stream(
    nats: &Nats,
    name: &str,
) -> Result<Option<Map<String, Value>>, TopologyError> {
    match nats.stream_info::<Value>(name).await {
        Ok(mut info) => Ok(Some(take_config(&mut info))),
        Err(NatsError::NoStream { .. }) => Ok(None),
        Err(source) => Err(TopologyError::Nats { object: name.to_owned(), source }),
    }
}

pub(super) async fn found_consumer(
    nats: &Nats,
    stream: &str,
    name: &str,
) -> Result<Option<Map<String, Value>>, TopologyError> {
    let subject = format!("CONSUMER.INFO.{stream}.{name}");
    match nats.api::<Value>(&subject, &Value::Null).await {
        Ok(mut info) => Ok(Some(take_config(&mut info))),
        // No such consumer, no such stream.
        Err(NatsError::Api { code: 10_014 | 10_059, .. }) => Ok(None),
        Err(source) => Err(TopologyError::Nats { object: format!("{stream}/{name}"), source }),
    }
}

fn take_config(info: &mut Value) -> Map<String, Value> {
    match info.get_mut("config").map(Value::take) {
        Some(Value::Object(config)) => config,
        _ => Map::new(),
    }
}

pub(super) fn compare(
    kind: ObjectKind,
    object: &str,
    wanted: &Map<String, Value>,
    found: Option<Map<String, Value>>,
    differences: &mut Vec<Difference>,
) {
    let Some(found) = found else {
        differences.push(Difference {
            kind,
            object: object.to_owned(),
            field: String::new(),
            wanted: Value::Object(wanted.clone()),
            found: Value::Null,
            destructive: false,
        });
        return;
    };
    for (field, wanted) in wanted {
        let found = found.get(field).cloned().unwrap_or(Value::Null);
        if same(wanted, &found) {
            continue;
        }
        let destructive = kind == ObjectKind::Stream && is_destructive(field, wanted, &found);
        differences.push(Difference {
            kind,
            object: object.to_owned(),
            field: field.clone(),
            wanted: wanted.clone(),
            found,
            destructive,
        });
    }
}

/// The server leaves out what is empty, false or zero, and keeps lists in order.
fn same(wanted: &Value, found: &Value) -> bool {
    wanted == found || (found.is_null() && is_empty(wanted))
}

fn is_empty(value: &Value) -> bool {
    match value {
        Value::Null => true,
        Value::Bool(value) => !value,
        Value::Number(value) => value.as_i64() == Some(0),
        Value::String(value) => value.is_empty() || value == "none",
        Value::Array(value) => value.is_empty(),
        Value::Object(value) => value.is_empty(),
    }
}

fn is_destructive(field: &str, wanted: &Value, found: &Value) -> bool {
    if LIMITS.contains(&field) {
        let limit = |value: &Value| value.as_i64().filter(|limit| *limit > 0).unwrap_or(i64::MAX);
        return limit(wanted) < limit(found);
    }
    if field == "subjects" {
        let list = |value: &Value| value.as_array().cloned().unwrap_or_default();
        let wanted = list(wanted);
        return list(found).iter().any(|subject| !wanted.contains(subject));
    }
    IMMUTABLE.contains(&field) && !(field == "allow_msg_ttl" && wanted == &Value::Bool(true))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn only_what_deletes_is_destructive() {
        assert!(is_destructive("max_bytes", &json!(5), &json!(10)));
        assert!(is_destructive("max_bytes", &json!(5), &json!(-1)));
        assert!(!is_destructive("max_bytes", &json!(10), &json!(5)));
        assert!(!is_destructive("max_age", &json!(0), &json!(5)));
        assert!(is_destructive("subjects", &json!(["a"]), &json!(["a", "b"])));
        assert!(!is_destructive("subjects", &json!(["a", "b"]), &json!(["a"])));
        assert!(is_destructive("storage", &json!("memory"), &json!("file")));
        assert!(!is_destructive("allow_msg_ttl", &json!(true), &Value::Null));
        assert!(!is_destructive("compression", &json!("s2"), &json!("none")));
    }
}
