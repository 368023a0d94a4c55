use std::time::Duration;

use async_nats::{HeaderMap, HeaderName, HeaderValue, header};
use bytes::Bytes;
use serde::Deserialize;

use crate::client::api::Nats;
use crate::error::ApiError;
use crate::error::{NatsError, PublishError};
use crate::message::{Batch, BatchAck, Fence, OutMessage, PublishAck};
use crate::message::{CONTENT_TYPE, CONTENT_TYPE_HEADER, SCHEMA_HEADER};

// The client has no constant of its own for this one.
const FENCE_SUBJECT: HeaderName =
    HeaderName::from_static("Nats-Expected-Last-Subject-Sequence-Subject");
const SCHEMA: HeaderName = HeaderName::from_static(SCHEMA_HEADER);
const CONTENT: HeaderName = HeaderName::from_static(CONTENT_TYPE_HEADER);

/// What batch and fence headers may add to a message.
const OWN_HEADERS_BYTES: usize = 400;

/// How much of a batch is sent before the server is asked whether it arrived.
const UNCONFIRMED_BYTES: usize = 1 << 20;

impl Nats {
    /// Publishes one message and waits until it is on disk.
    ///
    /// # Errors
    /// See [`PublishError`]; after `UnknownOutcome` only a message id or a fence prevents a second copy.
    pub async fn publish(&self, message: OutMessage) -> Result<PublishAck, PublishError> {
        self.publish_one(message, None).await
    }

    /// Stores all messages of the batch or none, in order and without a foreign message between them, and waits until
    /// they are on disk. A batch of one is a plain publish under the same fence.
    ///
    /// Messages should carry no id unless a repeated batch is to be refused as a whole (`DuplicateId`).
    ///
    /// # Errors
    /// See [`PublishError`].
    pub async fn publish_batch(&self, batch: Batch) -> Result<BatchAck, PublishError> {
        self.publish_together(&batch.messages, batch.fence.as_ref()).await
    }

    /// As [`publish_batch`](Self::publish_batch), for messages that the caller keeps, e.g. to send them again.
    ///
    /// # Errors
    /// See [`PublishError`].
    pub async fn publish_together(
        &self,
        messages: &[OutMessage],
        fence: Option<&Fence>,
    ) -> Result<BatchAck, PublishError> {
        let count = messages.len();
        let Some((last, middle)) = messages.split_last() else {
            return Err(PublishError::Empty);
        };
        if middle.is_empty() {
            let ack = self.publish_one(last.clone(), fence.cloned()).await?;
            // A batch of several with a known id is refused; a batch of one must not differ.
            if ack.duplicate {
                return Err(PublishError::DuplicateId);
            }
            return Ok(BatchAck { stream: ack.stream, last_sequence: ack.sequence, messages: 1 });
        }
        let limit = self.client().max_payload();
        for message in messages {
            check_size(message, limit)?;
        }
        self.wait_connected().await?;
        let batch_id = unique_id(self);
        let mut refused = self.refused(None);
        // Nothing is stored before the commit, so that an interrupted part has a certain outcome.
        self.send_middle(middle, &batch_id, fence).await?;
        let bytes = last.payload.len();
        let (subject, mut headers, payload) = split(last.clone());
        headers.insert(header::NATS_BATCH_ID, batch_id.as_str());
        headers.insert(header::NATS_BATCH_SEQUENCE, HeaderValue::from(count as u64));
        headers.insert(header::NATS_BATCH_COMMIT, header::NATS_BATCH_COMMIT_FINAL);
        let answer = self.request(&subject, Some(headers), payload).await;
        let body = match parse_answer(answer, &subject, bytes, count) {
            // Of a batch with a refused message the server knows only that one is missing.
            Err(error @ PublishError::Incomplete { .. }) => {
                let mut refusals = refused.so_far().into_iter();
                let own = refusals
                    .find(|subject| middle.iter().any(|message| message.subject == *subject));
                return Err(own.map_or(error, |subject| self.publish_forbidden(subject)));
            }
            other => other?,
        };
        Ok(BatchAck { stream: body.stream, last_sequence: body.seq, messages: count as u64 })
    }

    /// Sends what comes before the commit. Now and then the server is asked whether it has what was sent so far: so much
    /// has to arrive within the request's timeout, however long the whole takes, and a refusal is heard early.
    async fn send_middle(
        &self,
        messages: &[OutMessage],
        batch_id: &str,
        fence: Option<&Fence>,
    ) -> Result<(), PublishError> {
        let id = HeaderValue::from(batch_id);
        let mut fence = fence.cloned();
        let mut unconfirmed = 0;
        for (index, message) in messages.iter().enumerate() {
            let bytes = message.payload.len();
            let (subject, mut headers, payload) = split(message.clone());
            headers.insert(header::NATS_BATCH_ID, id.clone());
            headers.insert(header::NATS_BATCH_SEQUENCE, HeaderValue::from(index as u64 + 1));
            if let Some(fence) = fence.take() {
                insert_fence(&mut headers, fence);
            }
            unconfirmed += bytes + OWN_HEADERS_BYTES;
            if unconfirmed >= UNCONFIRMED_BYTES {
                let answer = self.request(&subject, Some(headers), payload).await;
                let answer = answer.map_err(|error| match error {
                    NatsError::NoResponders { .. } => {
                        PublishError::NoStream { subject: subject.clone() }
                    }
                    _ => PublishError::Disconnected,
                })?;
                // An empty answer says that it is there.
                if !answer.payload.is_empty() {
                    parse_ack(&answer, &subject, bytes, index + 1)?;
                }
                unconfirmed = 0;
                continue;
            }
            let send = self.client().publish_with_headers(subject, headers, payload);
            tokio::time::timeout(self.request_timeout(), send)
                .await
                .map_err(|_| PublishError::Disconnected)?
                .map_err(|_| PublishError::Disconnected)?;
        }
        Ok(())
    }

    pub(crate) async fn publish_one(
        &self,
        message: OutMessage,
        fence: Option<Fence>,
    ) -> Result<PublishAck, PublishError> {
        check_size(&message, self.client().max_payload())?;
        self.wait_connected().await?;
        let bytes = message.payload.len();
        let (subject, mut headers, payload) = split(message);
        if let Some(fence) = fence {
            insert_fence(&mut headers, fence);
        }
        let answer = self.request(&subject, Some(headers), payload).await;
        let body = parse_answer(answer, &subject, bytes, 1)?;
        Ok(PublishAck { stream: body.stream, sequence: body.seq, duplicate: body.duplicate })
    }

    pub(crate) fn publish_forbidden(&self, subject: String) -> PublishError {
        PublishError::Forbidden { user: self.user().to_owned(), subject }
    }

    /// What is queued while disconnected may be stored later without anybody waiting for it: rather wait first.
    pub(crate) async fn wait_connected(&self) -> Result<(), PublishError> {
        if self.is_connected() {
            return Ok(());
        }
        let mut epoch = self.connected();
        epoch.borrow_and_update();
        let deadline = tokio::time::Instant::now() + self.request_timeout();
        while !self.is_connected() {
            if tokio::time::Instant::now() >= deadline {
                return Err(PublishError::Disconnected);
            }
            // The event may have come between the two looks: look again from time to time.
            let _ = tokio::time::timeout(Duration::from_millis(50), epoch.changed()).await;
        }
        Ok(())
    }
}

pub(crate) fn unique_id(nats: &Nats) -> String {
    let inbox = nats.client().new_inbox();
    inbox.rsplit('.').next().unwrap_or(&inbox).to_owned()
}

pub(crate) fn check_size(message: &OutMessage, limit: usize) -> Result<(), PublishError> {
    let extra: usize =
        message.headers.iter().map(|(name, value)| name.len() + value.len() + 4).sum();
    let ids = message.message_id.as_ref().map_or(0, String::len);
    let bytes = message.payload.len() + extra + ids + OWN_HEADERS_BYTES;
    if bytes > limit {
        return Err(PublishError::TooLarge { subject: message.subject.clone(), bytes, limit });
    }
    Ok(())
}

pub(crate) fn split(message: OutMessage) -> (String, HeaderMap, Bytes) {
    let mut headers = HeaderMap::new();
    headers.insert(CONTENT, CONTENT_TYPE);
    if let Some(schema) = &message.schema {
        headers.insert(SCHEMA, &**schema);
    }
    if let Some(message_id) = message.message_id {
        headers.insert(header::NATS_MESSAGE_ID, message_id);
    }
    for (name, value) in message.headers {
        // The client would panic on a name that is none; a line break would end the header.
        match name.parse::<HeaderName>() {
            Ok(name) => headers.insert(name, value.replace(['\r', '\n'], " ")),
            Err(_) => {
                tracing::warn!(header = %name, subject = %message.subject, "header has no valid name, not sent")
            }
        }
    }
    (message.subject, headers, message.payload)
}

pub(crate) fn insert_fence(headers: &mut HeaderMap, fence: Fence) {
    headers.insert(
        header::NATS_EXPECTED_LAST_SUBJECT_SEQUENCE,
        HeaderValue::from(fence.last_sequence),
    );
    headers.insert(FENCE_SUBJECT, fence.filter);
}

#[derive(Debug, Deserialize)]
pub(crate) struct AckBody {
    #[serde(default)]
    error: Option<ApiError>,
    #[serde(default)]
    pub(crate) stream: String,
    #[serde(default)]
    pub(crate) seq: u64,
    #[serde(default)]
    pub(crate) duplicate: bool,
}

pub(crate) fn parse_answer(
    answer: Result<async_nats::Message, NatsError>,
    subject: &str,
    bytes: usize,
    messages: usize,
) -> Result<AckBody, PublishError> {
    let answer = answer.map_err(|error| match error {
        NatsError::NoResponders { .. } => PublishError::NoStream { subject: subject.to_owned() },
        // A server whose disk is full answers nothing at all.
        timed_out @ NatsError::TimedOut { .. } => PublishError::UnknownOutcome {
            reason: format!("{timed_out}; if that goes on, is the disk of NATS full?"),
        },
        NatsError::Forbidden { user, what } => PublishError::Forbidden { user, subject: what },
        other => PublishError::UnknownOutcome { reason: other.to_string() },
    })?;
    parse_ack(&answer, subject, bytes, messages)
}

pub(crate) fn parse_ack(
    answer: &async_nats::Message,
    subject: &str,
    bytes: usize,
    messages: usize,
) -> Result<AckBody, PublishError> {
    if answer.status == Some(async_nats::StatusCode::NO_RESPONDERS) {
        return Err(PublishError::NoStream { subject: subject.to_owned() });
    }
    let body: AckBody = serde_json::from_slice(&answer.payload).map_err(|error| {
        PublishError::UnknownOutcome { reason: format!("acknowledgement is no JSON: {error}") }
    })?;
    match body.error {
        Some(error) => Err(PublishError::from_api(error, subject, bytes, messages)),
        None => Ok(body),
    }
}
