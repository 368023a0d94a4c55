//! From the server into a folder.

use std::path::Path;
use std::time::Duration;

use async_nats::{Message, StatusCode, Subscriber};
use bytes::Bytes;
use futures::StreamExt as _;
use serde_json::{Value, json};
use tokio::io::AsyncWriteExt as _;

use super::folder::{META_FILE, Meta, StreamSnapshot, contents};
use super::{ArchiveForm, SnapshotError};
use crate::client::api::Nats;
use crate::error::NatsError;

/// What the server sends at once; it waits for acknowledgements of 8 MiB at most.
const CHUNK_BYTES: u64 = 128 * 1024;
/// The server gives up after 5 s without an acknowledgement.
const CHUNK_TIMEOUT: Duration = Duration::from_secs(60);
/// Before 2.15 the server reads the whole stream before it answers.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(600);

impl Nats {
    /// Writes a stream with its configuration and durable consumers into `folder`, which is made, and compares what came
    /// with what the server said. `progress` is told how many bytes have come. Others go on publishing meanwhile: what
    /// comes after the first moment need not be part of it, and it may end inside an atomic batch.
    ///
    /// # Errors
    /// When the server refuses or falls silent, the folder cannot be written, or what came does not hold.
    pub async fn snapshot(
        &self,
        stream: &str,
        folder: &Path,
        progress: &(dyn Fn(u64) + Send + Sync),
    ) -> Result<StreamSnapshot, SnapshotError> {
        tokio::fs::create_dir_all(folder).await.map_err(SnapshotError::file(folder))?;
        let nats_error =
            |source| SnapshotError::Nats { doing: "snapshot", stream: stream.to_owned(), source };
        let inbox = self.client().new_inbox();
        let mut chunks = self
            .client()
            .subscribe(inbox.clone())
            .await
            .map_err(|_| nats_error(NatsError::Closed))?;
        let body = json!({ "deliver_subject": inbox, "jsck": true, "chunk_size": CHUNK_BYTES });
        let subject = format!("STREAM.SNAPSHOT.{stream}");
        let meta: Meta =
            self.api_within(&subject, &body, ANSWER_TIMEOUT).await.map_err(nats_error)?;

        let unnamed = folder.join("stream.s2");
        self.receive(stream, &mut chunks, &unnamed, progress).await?;
        let path = unnamed.clone();
        let contents = tokio::task::spawn_blocking(move || contents(&path))
            .await
            .map_err(|panic| SnapshotError::file(&unnamed)(panic.into()))??;
        let path = folder.join(contents.form.file());
        tokio::fs::rename(&unnamed, &path).await.map_err(SnapshotError::file(&path))?;

        let now = self.stream_info::<Value>(stream).await.map_err(nats_error)?;
        let snapshot = meta
            .compare(&contents, removed_since(&meta.state, &now["state"]))
            .map_err(|reason| SnapshotError::Broken { path, reason })?;
        write_meta(folder, &meta).await?;
        Ok(snapshot)
    }

    /// Writes what comes until the server says that it was all.
    async fn receive(
        &self,
        stream: &str,
        chunks: &mut Subscriber,
        path: &Path,
        progress: &(dyn Fn(u64) + Send + Sync),
    ) -> Result<(), SnapshotError> {
        let write_error = || SnapshotError::file(path);
        let mut file = tokio::fs::File::create(path).await.map_err(write_error())?;
        let mut received = 0;
        loop {
            let chunk = tokio::time::timeout(CHUNK_TIMEOUT, chunks.next()).await.map_err(|_| {
                SnapshotError::Silent {
                    stream: stream.to_owned(),
                    seconds: CHUNK_TIMEOUT.as_secs(),
                }
            })?;
            let Some(chunk) = chunk else {
                return Err(ended(stream, "the connection was closed"));
            };
            if chunk.payload.is_empty() {
                check_end(stream, &chunk)?;
                break;
            }
            file.write_all(&chunk.payload).await.map_err(write_error())?;
            received += chunk.payload.len() as u64;
            progress(received);
            // Only now: what is not written holds the server back.
            if let Some(reply) = chunk.reply {
                let acknowledged = self.client().publish(reply, Bytes::new()).await;
                acknowledged.map_err(|_| ended(stream, "the connection was closed"))?;
            }
        }
        file.sync_all().await.map_err(write_error())
    }
}

/// A small snapshot may end without a status.
fn check_end(stream: &str, end: &Message) -> Result<(), SnapshotError> {
    match end.status {
        None | Some(StatusCode::OK) => Ok(()),
        Some(status) if status.as_u16() == 204 => Ok(()),
        Some(status) => {
            let text = end.description.clone().unwrap_or_default();
            Err(ended(stream, format!("{text} ({status})")))
        }
    }
}

fn ended(stream: &str, reason: impl Into<String>) -> SnapshotError {
    SnapshotError::Ended { stream: stream.to_owned(), reason: reason.into() }
}

/// How many messages were deleted or expired between two states of a stream.
fn removed_since(before: &Value, now: &Value) -> u64 {
    let number = |state: &Value, key: &str| state.get(key).and_then(Value::as_u64).unwrap_or(0);
    let added = number(now, "last_seq").saturating_sub(number(before, "last_seq"));
    (number(before, "messages") + added).saturating_sub(number(now, "messages"))
}

async fn write_meta(folder: &Path, meta: &Meta) -> Result<(), SnapshotError> {
    let path = folder.join(META_FILE);
    let text = serde_json::to_vec_pretty(meta)
        .map_err(|error| SnapshotError::file(&path)(error.into()))?;
    let mut file = tokio::fs::File::create(&path).await.map_err(SnapshotError::file(&path))?;
    file.write_all(&text).await.map_err(SnapshotError::file(&path))?;
    file.sync_all().await.map_err(SnapshotError::file(&path))
}

impl ArchiveForm {
    /// Whether a server of this version takes it, e.g. `2.12.8`.
    #[must_use]
    pub fn is_taken_by(self, server_version: &str) -> bool {
        let mut numbers = server_version.split(['.', '-']).map(|part| part.parse().unwrap_or(0));
        let version: (u32, u32) = (numbers.next().unwrap_or(0), numbers.next().unwrap_or(0));
        self == Self::Files || version >= (2, 15)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_published_meanwhile_is_not_taken_for_kept() {
        let before = json!({ "messages": 100, "last_seq": 500 });
        assert_eq!(removed_since(&before, &json!({ "messages": 100, "last_seq": 500 })), 0);
        assert_eq!(removed_since(&before, &json!({ "messages": 110, "last_seq": 510 })), 0);
        assert_eq!(removed_since(&before, &json!({ "messages": 100, "last_seq": 507 })), 7);
    }

    #[test]
    fn older_servers_take_files_only() {
        assert!(ArchiveForm::Files.is_taken_by("2.12.0"));
        assert!(!ArchiveForm::Messages.is_taken_by("2.14.6"));
        assert!(ArchiveForm::Messages.is_taken_by("2.15.1"));
        assert!(ArchiveForm::Messages.is_taken_by("3.0.0-beta"));
    }
}
