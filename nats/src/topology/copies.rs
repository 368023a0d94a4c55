//! Copies of streams in the account of outside teams: they read there, and cannot touch ours.

use serde::Deserialize;
use serde_json::{Map, Value};

use super::definition::StreamDefinition;
use super::diff::{IMMUTABLE, compare};
use super::{Change, Difference, ObjectKind, StreamStatus, Topology, TopologyError};
use crate::client::api::Nats;
use crate::client::api::{OWN_API, StreamInfo};
use crate::error::NatsError;

/// The other account's API, as `server.conf` imports it into ours.
const OUTSIDE_API: &str = "outside.API";
/// Not a field of a definition: the original was recreated, so that the copy would wait for sequences that it has
/// passed.
const ORIGIN: &str = "(made before its origin)";

/// What tells whether a copy is one of the stream that is there now.
#[derive(Debug, Deserialize)]
struct Found {
    config: Map<String, Value>,
    created: String,
    state: Sequences,
}

#[derive(Debug, Deserialize)]
struct Sequences {
    last_seq: u64,
}

impl Topology {
    /// How the copies differ; nothing where the server has no account for outside teams.
    pub(super) async fn diff_copies(
        &self,
        nats: &Nats,
        differences: &mut Vec<Difference>,
    ) -> Result<(), TopologyError> {
        for copy in &self.copies {
            let object = copy.name_of_copy();
            let wrap = |source| TopologyError::Nats { object: object.clone(), source };
            // The copy first: the original may only grow meanwhile.
            let found = match find(nats, OUTSIDE_API, &copy.name).await {
                Err(NatsError::NoResponders { .. }) => return Ok(()),
                found => found.map_err(wrap)?,
            };
            let origin = find(nats, OWN_API, &copy.name).await.map_err(wrap)?;
            let is_stale = found.as_ref().is_some_and(|found| !is_copy_of(found, origin.as_ref()));
            if is_stale {
                differences.push(Difference {
                    kind: ObjectKind::Copy,
                    object: object.clone(),
                    field: ORIGIN.to_owned(),
                    wanted: Value::Null,
                    found: Value::Null,
                    destructive: false,
                });
            }
            let config = found.map(|found| found.config);
            compare(ObjectKind::Copy, &object, &copy.config, config, differences);
        }
        Ok(())
    }

    /// Creates or changes a copy. It has no content of its own, so it is recreated where a change requires it.
    pub(super) async fn apply_copy(
        nats: &Nats,
        copy: &StreamDefinition,
        differences: &[&Difference],
    ) -> Result<Change, NatsError> {
        let object = copy.name_of_copy();
        let fields: Vec<String> =
            differences.iter().map(|difference| difference.field.clone()).collect();
        if differences.iter().any(|difference| difference.is_missing()) {
            create(nats, copy).await?;
            return Ok(Change::Created { object });
        }
        let needs_new = |field: &str| {
            field == ORIGIN
                || field == "mirror"
                || field == "persist_mode"
                || IMMUTABLE.contains(&field)
        };
        if fields.iter().any(|field| needs_new(field)) {
            remove_copy(nats, &copy.name).await?;
            create(nats, copy).await?;
            return Ok(Change::Recreated { object, fields });
        }
        let subject = format!("STREAM.UPDATE.{}", copy.name);
        nats.api_in::<Value>(OUTSIDE_API, &subject, &Value::Object(copy.config.clone())).await?;
        Ok(Change::Updated { object, fields })
    }

    /// What the copies hold; nothing where the server has no account for outside teams.
    pub(super) async fn status_of_copies(
        &self,
        nats: &Nats,
    ) -> Result<Vec<StreamStatus>, TopologyError> {
        let mut all = Vec::new();
        for copy in &self.copies {
            let name = copy.name_of_copy();
            let state = match nats.stream_info_in::<StreamInfo>(OUTSIDE_API, &copy.name).await {
                Ok(info) => Some(info.into_state()),
                Err(NatsError::NoResponders { .. }) => return Ok(Vec::new()),
                Err(NatsError::NoStream { .. }) => None,
                Err(source) => return Err(TopologyError::Nats { object: name, source }),
            };
            all.push(StreamStatus::new(name, state));
        }
        Ok(all)
    }

    /// Deletes a stream with all that it holds, and its copy, if there is one.
    ///
    /// # Errors
    /// Fails when there is no such stream, or the server refuses or does not answer.
    pub async fn remove(&self, nats: &Nats, stream: &str) -> Result<(), NatsError> {
        nats.api::<Value>(&format!("STREAM.DELETE.{stream}"), &Value::Null).await?;
        if !self.copies.iter().any(|copy| copy.name == stream) {
            return Ok(());
        }
        match remove_copy(nats, stream).await {
            Err(NatsError::NoResponders { .. }) => Ok(()),
            other => other,
        }
    }
}

/// Made after the stream that is there, and not beyond its end.
fn is_copy_of(copy: &Found, origin: Option<&Found>) -> bool {
    let time = |text: &str| crate::message::parse_time_us(text);
    origin.is_some_and(|origin| {
        time(&copy.created) >= time(&origin.created) && copy.state.last_seq <= origin.state.last_seq
    })
}

async fn find(nats: &Nats, api: &str, stream: &str) -> Result<Option<Found>, NatsError> {
    match nats.stream_info_in(api, stream).await {
        Ok(found) => Ok(Some(found)),
        Err(NatsError::NoStream { .. }) => Ok(None),
        Err(error) => Err(error),
    }
}

async fn create(nats: &Nats, copy: &StreamDefinition) -> Result<(), NatsError> {
    let subject = format!("STREAM.CREATE.{}", copy.name);
    let body = Value::Object(copy.config.clone());
    nats.api_in::<Value>(OUTSIDE_API, &subject, &body).await.map(drop)
}

async fn remove_copy(nats: &Nats, stream: &str) -> Result<(), NatsError> {
    const NO_SUCH_STREAM: u64 = 10_059;
    let subject = format!("STREAM.DELETE.{stream}");
    match nats.api_in::<Value>(OUTSIDE_API, &subject, &Value::Null).await {
        Ok(_) | Err(NatsError::Api { code: NO_SUCH_STREAM, .. }) => Ok(()),
        Err(error) => Err(error),
    }
}
