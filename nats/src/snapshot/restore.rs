//! From a folder to the server.

use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use bytes::Bytes;
use serde::Deserialize;
use serde_json::{Value, json};

use super::folder::{Meta, archive_file};
use super::{ArchiveForm, SnapshotError};
use crate::client::api::Nats;
use crate::client::api::StreamInfo;
use crate::error::ApiError;
use crate::error::NatsError;
use crate::message::StreamState;

/// The server gives up 5 s after the last chunk that it could use.
const CHUNK_TIMEOUT: Duration = Duration::from_secs(30);
/// Before 2.15 the server only begins when it has everything.
const END_TIMEOUT: Duration = Duration::from_secs(3_600);
const SMALLEST_CHUNK: usize = 8 * 1024;
const LARGEST_CHUNK: usize = 256 * 1024;
/// Chunks grow and shrink to take about this long.
const CHUNK_TIME: Duration = Duration::from_millis(300);
/// What every S2 stream begins with.
const S2_START: &[u8] = b"\xff\x06\x00\x00S2sTwO";

impl Nats {
    /// Makes a stream of a snapshot in a folder: its configuration, messages with their sequences and times, and durable
    /// consumers. The stream must not exist. `progress` is told how many bytes of the file were taken. Its limits count
    /// from the first moment: what is older than `max_age` goes at once.
    ///
    /// # Errors
    /// When the folder cannot be read, or the server refuses. What a server from 2.15 on has taken until then stays.
    pub async fn restore_snapshot(
        &self,
        folder: &Path,
        progress: &(dyn Fn(u64) + Send + Sync),
    ) -> Result<StreamState, SnapshotError> {
        let meta = Meta::read(folder)?;
        let stream = meta.stream().to_owned();
        let nats_error =
            |source| SnapshotError::Nats { doing: "restore", stream: stream.clone(), source };
        let path = archive_file(folder);
        let mut source = Source::open(path.clone())?;
        let body = json!({ "config": meta.config, "state": meta.state });
        let answer: Value =
            self.api(&format!("STREAM.RESTORE.{stream}"), &body).await.map_err(nats_error)?;
        let Some(subject) = answer["deliver_subject"].as_str().map(ToOwned::to_owned) else {
            let what = format!("STREAM.RESTORE.{stream}");
            return Err(nats_error(NatsError::Answer { what, text: answer.to_string() }));
        };
        let mut size = SMALLEST_CHUNK;
        loop {
            let (next, chunk) = tokio::task::spawn_blocking(move || source.chunk(size))
                .await
                .map_err(|panic| SnapshotError::file(&path)(panic.into()))?;
            source = next;
            let Some(chunk) = chunk.map_err(SnapshotError::file(&path))? else { break };
            let began = Instant::now();
            let answer = self
                .request_within(&subject, chunk, CHUNK_TIMEOUT)
                .await
                .map_err(|error| given_up(&stream, error))?;
            // Nothing is good news.
            if !answer.payload.is_empty() {
                return Err(refused(&stream, &answer.payload));
            }
            let is_slow = began.elapsed() > CHUNK_TIME;
            size = if is_slow { size / 2 } else { size * 2 }.clamp(SMALLEST_CHUNK, LARGEST_CHUNK);
            progress(source.taken);
        }
        let answer = self
            .request_within(&subject, Bytes::new(), END_TIMEOUT)
            .await
            .map_err(|error| given_up(&stream, error))?;
        match serde_json::from_slice::<StreamInfo>(&answer.payload) {
            Ok(info) => Ok(info.into_state()),
            Err(_) => Err(refused(&stream, &answer.payload)),
        }
    }
}

/// No responder for the chunks: the server has ended the restore, and its log says why.
fn given_up(stream: &str, error: NatsError) -> SnapshotError {
    match error {
        NatsError::NoResponders { .. } => SnapshotError::Refused {
            stream: stream.to_owned(),
            reason: "it ended the restore, its log says why".to_owned(),
        },
        source => SnapshotError::Nats { doing: "restore", stream: stream.to_owned(), source },
    }
}

fn refused(stream: &str, answer: &[u8]) -> SnapshotError {
    #[derive(Deserialize)]
    struct Refusal {
        error: ApiError,
    }
    let reason = match serde_json::from_slice::<Refusal>(answer) {
        Ok(Refusal { error }) => format!("{} ({})", error.description, error.err_code),
        Err(_) => String::from_utf8_lossy(answer).into_owned(),
    };
    SnapshotError::Refused { stream: stream.to_owned(), reason }
}

/// A snapshot's file, chunk by chunk.
///
/// Messages are sent in frames of our own, one a chunk. The server stores the messages of a frame, each synced where
/// `sync_interval` is `always`, before it looks at the next, and gives up when that takes 5 s: its own frames of 1 MiB
/// hold thousands of small messages.
struct Source {
    reader: Box<dyn Read + Send>,
    form: ArchiveForm,
    has_begun: bool,
    /// Bytes read so far, as they are in the file or, where frames are our own, uncompressed.
    taken: u64,
}

impl Source {
    fn open(path: PathBuf) -> Result<Self, SnapshotError> {
        let file = File::open(&path).map_err(SnapshotError::file(&path))?;
        let is_messages = path.ends_with(ArchiveForm::Messages.file());
        let (reader, form): (Box<dyn Read + Send>, _) = if is_messages {
            (Box::new(minlz::Reader::new(file)), ArchiveForm::Messages)
        } else {
            (Box::new(file), ArchiveForm::Files)
        };
        Ok(Self { reader, form, has_begun: false, taken: 0 })
    }

    /// The next chunk of about this size, and the source itself, which another thread had; `None` at the end.
    fn chunk(mut self, size: usize) -> (Self, io::Result<Option<Bytes>>) {
        let chunk = self.next_chunk(size);
        (self, chunk)
    }

    fn next_chunk(&mut self, size: usize) -> io::Result<Option<Bytes>> {
        let mut data = Vec::with_capacity(size);
        (&mut self.reader).take(size as u64).read_to_end(&mut data)?;
        if data.is_empty() {
            return Ok(None);
        }
        self.taken += data.len() as u64;
        if self.form == ArchiveForm::Files {
            return Ok(Some(data.into()));
        }
        let mut chunk = Vec::with_capacity(data.len() + 32);
        if !std::mem::replace(&mut self.has_begun, true) {
            chunk.extend(S2_START);
        }
        // An uncompressed frame: its kind, its length in three bytes, its checksum.
        let length = u32::try_from(data.len() + 4).unwrap_or(u32::MAX).to_le_bytes();
        chunk.push(1);
        chunk.extend(&length[..3]);
        chunk.extend(minlz::crc::crc(&data).to_le_bytes());
        chunk.extend(data);
        Ok(Some(chunk.into()))
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn frames_of_our_own_hold_the_same_archive() {
        let archive: Vec<u8> = (0..100_000_u32).flat_map(u32::to_le_bytes).collect();
        let mut source = Source {
            reader: Box::new(io::Cursor::new(archive.clone())),
            form: ArchiveForm::Messages,
            has_begun: false,
            taken: 0,
        };
        let mut sent = Vec::new();
        while let Some(chunk) = source.next_chunk(SMALLEST_CHUNK).unwrap() {
            sent.extend(chunk);
        }
        let mut read = Vec::new();
        minlz::Reader::new(&sent[..]).read_to_end(&mut read).unwrap();
        assert_eq!(read, archive);
        assert_eq!(source.taken, archive.len() as u64);
    }
}
