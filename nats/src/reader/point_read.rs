//! Reading single messages of a stream.

use async_nats::StatusCode;
use bytes::Bytes;
use serde::Deserialize;
use serde_json::{Value, json};

use crate::client::api::NO_SUCH_STREAM;
use crate::client::api::Nats;
use crate::error::NatsError;
use crate::message::StreamMessage;
use crate::message::{SCHEMA_HEADER, parse_time_us};

/// `no message found`
const NO_SUCH_MESSAGE: u64 = 10_037;

impl Nats {
    /// The newest message on a subject (a wildcard is allowed: the newest of all that match).
    ///
    /// Any replica of the stream answers, so that in a cluster the newest may be missing: see
    /// [`last_from_leader`](Self::last_from_leader) for where that matters.
    ///
    /// # Errors
    /// Fails when the stream does not exist or does not answer.
    pub async fn last_on_subject(
        &self,
        stream: &str,
        subject: &str,
    ) -> Result<Option<StreamMessage>, NatsError> {
        self.direct_get(stream, json!({ "last_by_subj": subject })).await
    }

    /// As [`last_on_subject`](Self::last_on_subject), from the stream's leader: it holds all that was acknowledged. For
    /// where an absence, or the difference of two reads, decides something. Its user needs `$JS.API.STREAM.MSG.GET`.
    ///
    /// # Errors
    /// Fails when the stream does not exist or has no leader that answers.
    pub async fn last_from_leader(
        &self,
        stream: &str,
        subject: &str,
    ) -> Result<Option<StreamMessage>, NatsError> {
        self.leader_get(stream, &json!({ "last_by_subj": subject })).await
    }

    /// As [`get`](Self::get), from the stream's leader: `None` only when it is gone or was never there.
    ///
    /// # Errors
    /// Fails when the stream does not exist or has no leader that answers.
    pub async fn get_from_leader(
        &self,
        stream: &str,
        sequence: u64,
    ) -> Result<Option<StreamMessage>, NatsError> {
        self.leader_get(stream, &json!({ "seq": sequence })).await
    }

    /// The message with a sequence; `None` when it is gone or not there yet, or, in a cluster, not yet on the replica
    /// that answers.
    ///
    /// # Errors
    /// Fails when the stream does not exist or does not answer.
    pub async fn get(
        &self,
        stream: &str,
        sequence: u64,
    ) -> Result<Option<StreamMessage>, NatsError> {
        self.direct_get(stream, json!({ "seq": sequence })).await
    }

    /// The first message at or after a sequence whose subject matches the filter.
    ///
    /// # Errors
    /// Fails when the stream does not exist or does not answer.
    pub async fn next_matching(
        &self,
        stream: &str,
        sequence: u64,
        filter: &str,
    ) -> Result<Option<StreamMessage>, NatsError> {
        self.direct_get(stream, json!({ "seq": sequence, "next_by_subj": filter })).await
    }

    /// Sequence of the newest message whose subject matches the filter, 0 = none: what a [`Fence`](crate::Fence) needs.
    ///
    /// # Errors
    /// Fails when the stream does not exist or does not answer.
    pub async fn last_sequence_matching(
        &self,
        stream: &str,
        filter: &str,
    ) -> Result<u64, NatsError> {
        Ok(self.last_on_subject(stream, filter).await?.map_or(0, |message| message.sequence))
    }

    async fn leader_get(
        &self,
        stream: &str,
        body: &Value,
    ) -> Result<Option<StreamMessage>, NatsError> {
        let subject = format!("STREAM.MSG.GET.{stream}");
        let answer: RawAnswer = match self.api(&subject, body).await {
            Err(NatsError::Api { code: NO_SUCH_MESSAGE, .. }) => return Ok(None),
            Err(NatsError::Api { code: NO_SUCH_STREAM, .. }) => {
                return Err(NatsError::NoStream { stream: stream.to_owned() });
            }
            answer => answer?,
        };
        let message = raw_message(answer.message);
        message.map(Some).ok_or_else(|| NatsError::Answer {
            what: format!("$JS.API.{subject}"),
            text: "message cannot be decoded".to_owned(),
        })
    }

    async fn direct_get(
        &self,
        stream: &str,
        body: Value,
    ) -> Result<Option<StreamMessage>, NatsError> {
        let subject = format!("$JS.API.DIRECT.GET.{stream}");
        let answer = self.request(&subject, None, Bytes::from(body.to_string())).await;
        let answer = match answer {
            Ok(answer) => answer,
            // No stream, a stream without direct reads, or a server that still recovers its streams.
            Err(NatsError::NoResponders { what }) => {
                self.stream_info::<Value>(stream).await?;
                return Err(NatsError::NoResponders { what });
            }
            Err(error) => return Err(error),
        };
        match answer.status {
            None | Some(StatusCode::OK) => {}
            Some(StatusCode::NOT_FOUND) => return Ok(None),
            Some(status) => {
                let text = answer.description.unwrap_or_default();
                return Err(NatsError::Api {
                    what: subject,
                    code: 0,
                    text,
                    status: status.as_u16().into(),
                });
            }
        }
        direct_message(answer).map(Some).ok_or_else(|| NatsError::Answer {
            what: subject,
            text: "no sequence or time in headers".to_owned(),
        })
    }
}

fn direct_message(answer: async_nats::Message) -> Option<StreamMessage> {
    use async_nats::header;
    let headers = answer.headers?;
    let text = |name| headers.get(name).map(async_nats::HeaderValue::as_str);
    let subject = text(header::NATS_SUBJECT)?.to_owned();
    let sequence = text(header::NATS_SEQUENCE)?.parse().ok()?;
    let stored_at_us = parse_time_us(text(header::NATS_TIME_STAMP)?)?;
    let schema = headers.get(SCHEMA_HEADER).map(|schema| schema.as_str().to_owned());
    Some(StreamMessage {
        subject,
        schema,
        headers: Some(headers),
        payload: answer.payload,
        sequence,
        stored_at_us,
        remaining: 0,
    })
}

/// `STREAM.MSG.GET`.
#[derive(Debug, Deserialize)]
struct RawAnswer {
    message: async_nats::jetstream::stream::RawMessage,
}

fn raw_message(raw: async_nats::jetstream::stream::RawMessage) -> Option<StreamMessage> {
    let message = async_nats::jetstream::message::StreamMessage::try_from(raw).ok()?;
    let stored_at_us = i64::try_from(message.time.unix_timestamp_nanos() / 1_000).ok()?;
    let schema = message.headers.get(SCHEMA_HEADER).map(|schema| schema.as_str().to_owned());
    Some(StreamMessage {
        subject: message.subject.into_string(),
        schema,
        headers: Some(message.headers),
        payload: message.payload,
        sequence: message.sequence,
        stored_at_us,
        remaining: 0,
    })
}
