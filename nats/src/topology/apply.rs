use serde::Serialize;
use serde_json::{Map, Value, json};

use super::definition::{ConsumerDefinition, StreamDefinition};
use super::diff::{IMMUTABLE, found_consumer, found_stream};
use super::{Difference, ObjectKind, Topology, TopologyError};
use crate::client::api::Nats;
use crate::error::NatsError;
use crate::message::StreamState;

/// `subjects overlap with an existing stream`
const SUBJECTS_OVERLAP: u64 = 10_065;

/// What was done to one object.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub enum Change {
    /// It was missing and was made.
    Created {
        /// Its name.
        object: String,
    },
    /// These fields were changed.
    Updated {
        /// Its name.
        object: String,
        /// The fields.
        fields: Vec<String>,
    },
    /// It was deleted with its content and recreated, because these fields cannot be changed.
    Recreated {
        /// Its name.
        object: String,
        /// The fields.
        fields: Vec<String>,
    },
    /// Left as it is: these changes delete messages, and that was not allowed.
    Refused {
        /// Its name.
        object: String,
        /// The fields.
        fields: Vec<String>,
    },
}

/// One of our streams, or a copy of one, and its content.
#[derive(Debug, Clone, Serialize)]
pub struct StreamStatus {
    /// Its name.
    pub name: String,
    /// What it holds; `None` when it is missing.
    pub state: Option<StreamState>,
    /// Fill level by bytes, 0 to 1; `None` when it has no limit.
    pub fill_ratio: Option<f64>,
}

impl StreamStatus {
    /// The status of a stream; `None` for one that is missing.
    #[must_use]
    pub fn new(name: String, state: Option<StreamState>) -> Self {
        let fill_ratio = state
            .as_ref()
            .and_then(|state| state.max_bytes.map(|limit| state.bytes as f64 / limit as f64));
        Self { name, state, fill_ratio }
    }
}

impl Topology {
    /// Makes and changes what is defined. What else the server has stays. A change that deletes messages is refused
    /// unless `allow_destructive`; the object's other changes are made all the same.
    ///
    /// # Errors
    /// Fails when the server refuses or does not answer; what was done before stays done.
    pub async fn apply(
        &self,
        nats: &Nats,
        allow_destructive: bool,
    ) -> Result<Vec<Change>, TopologyError> {
        let differences = self.diff(nats).await?;
        let mut changes = Vec::new();
        for stream in &self.streams {
            let own = of(&differences, ObjectKind::Stream, &stream.name);
            if own.is_empty() {
                continue;
            }
            match apply_stream(nats, stream, &own, allow_destructive).await {
                Ok(applied) => changes.extend(applied),
                Err(source) => return Err(why_refused(nats, stream, source).await),
            }
        }
        for consumer in &self.consumers {
            let object = format!("{}/{}", consumer.stream, consumer.name);
            let own = of(&differences, ObjectKind::Consumer, &object);
            // Deleted with its stream, if that was recreated.
            let missing = found_consumer(nats, &consumer.stream, &consumer.name).await?.is_none();
            if own.is_empty() && !missing {
                continue;
            }
            apply_consumer(nats, consumer)
                .await
                .map_err(|source| TopologyError::Nats { object: object.clone(), source })?;
            changes.push(if missing {
                Change::Created { object }
            } else {
                Change::Updated { object, fields: names(&own, |_| true) }
            });
        }
        for copy in &self.copies {
            let object = copy.name_of_copy();
            let own = of(&differences, ObjectKind::Copy, &object);
            if own.is_empty() {
                continue;
            }
            let applied = Self::apply_copy(nats, copy, &own).await;
            changes.push(applied.map_err(|source| TopologyError::Nats { object, source })?);
        }
        Ok(changes)
    }

    /// What keeps streams that are missing from being made: subjects that other streams take.
    ///
    /// # Errors
    /// Fails when the server does not answer, or not this user.
    pub async fn overlaps(
        &self,
        nats: &Nats,
        differences: &[Difference],
    ) -> Result<Vec<TopologyError>, NatsError> {
        let mut found = Vec::new();
        for stream in &self.streams {
            let own = of(differences, ObjectKind::Stream, &stream.name);
            if own.iter().any(|difference| difference.is_missing()) {
                found.extend(overlap(nats, stream).await?);
            }
        }
        Ok(found)
    }

    /// What the streams hold.
    ///
    /// # Errors
    /// Fails when the server does not answer.
    pub async fn status(&self, nats: &Nats) -> Result<Vec<StreamStatus>, TopologyError> {
        let mut all = Vec::new();
        for stream in &self.streams {
            let state = match nats.stream_state(&stream.name).await {
                Ok(state) => Some(state),
                Err(NatsError::NoStream { .. }) => None,
                Err(source) => {
                    return Err(TopologyError::Nats { object: stream.name.clone(), source });
                }
            };
            all.push(StreamStatus::new(stream.name.clone(), state));
        }
        all.extend(self.status_of_copies(nats).await?);
        Ok(all)
    }
}

/// The refusal with the other stream's name, where that is the reason.
async fn why_refused(nats: &Nats, stream: &StreamDefinition, source: NatsError) -> TopologyError {
    if matches!(source, NatsError::Api { code: SUBJECTS_OVERLAP, .. })
        && let Ok(Some(overlap)) = overlap(nats, stream).await
    {
        return overlap;
    }
    TopologyError::Nats { object: stream.name.clone(), source }
}

/// The first subject of a stream that another one takes.
async fn overlap(
    nats: &Nats,
    stream: &StreamDefinition,
) -> Result<Option<TopologyError>, NatsError> {
    let subjects = stream.config.get("subjects").and_then(Value::as_array);
    for subject in subjects.into_iter().flatten().filter_map(Value::as_str) {
        let others = nats.all_streams_with(subject).await?;
        if let Some(other) = others.into_iter().find(|name| *name != stream.name) {
            let (object, subject) = (stream.name.clone(), subject.to_owned());
            return Ok(Some(TopologyError::Overlap { object, subject, other }));
        }
    }
    Ok(None)
}

fn of<'a>(differences: &'a [Difference], kind: ObjectKind, object: &str) -> Vec<&'a Difference> {
    differences
        .iter()
        .filter(|difference| difference.kind == kind && difference.object == object)
        .collect()
}

fn names(differences: &[&Difference], wanted: impl Fn(&Difference) -> bool) -> Vec<String> {
    differences
        .iter()
        .filter(|difference| wanted(difference))
        .map(|difference| difference.field.clone())
        .collect()
}

async fn apply_stream(
    nats: &Nats,
    stream: &StreamDefinition,
    differences: &[&Difference],
    allow_destructive: bool,
) -> Result<Vec<Change>, NatsError> {
    let object = stream.name.clone();
    if differences.iter().any(|difference| difference.is_missing()) {
        create(nats, stream).await?;
        return Ok(vec![Change::Created { object }]);
    }
    let immutable = names(differences, |difference| {
        difference.destructive && IMMUTABLE.contains(&difference.field.as_str())
    });
    if allow_destructive && !immutable.is_empty() {
        nats.api::<Value>(&format!("STREAM.DELETE.{object}"), &Value::Null).await?;
        create(nats, stream).await?;
        return Ok(vec![Change::Recreated { object, fields: immutable }]);
    }
    let mut changes = Vec::new();
    let refused = names(differences, |difference| difference.destructive && !allow_destructive);
    let allowed = names(differences, |difference| !difference.destructive || allow_destructive);
    if !refused.is_empty() {
        changes.push(Change::Refused { object: object.clone(), fields: refused });
    }
    if !allowed.is_empty() {
        // What the server has and we do not name stays as it is.
        let found = found_stream(nats, &object).await;
        let mut config: Map<String, Value> = found.ok().flatten().unwrap_or_default();
        for field in &allowed {
            config.insert(field.clone(), stream.config.get(field).cloned().unwrap_or_default());
        }
        nats.api::<Value>(&format!("STREAM.UPDATE.{object}"), &Value::Object(config)).await?;
        changes.push(Change::Updated { object, fields: allowed });
    }
    Ok(changes)
}

async fn create(nats: &Nats, stream: &StreamDefinition) -> Result<(), NatsError> {
    let body = Value::Object(stream.config.clone());
    nats.api::<Value>(&format!("STREAM.CREATE.{}", stream.name), &body).await.map(|_| ())
}

async fn apply_consumer(nats: &Nats, consumer: &ConsumerDefinition) -> Result<(), NatsError> {
    let ConsumerDefinition { stream, name, config } = consumer;
    let mut subject = format!("CONSUMER.CREATE.{stream}.{name}");
    if let Some(filter) = config.get("filter_subject").and_then(Value::as_str) {
        subject = format!("{subject}.{filter}");
    }
    let body = json!({ "stream_name": stream, "config": config });
    nats.api::<Value>(&subject, &body).await.map(|_| ())
}
