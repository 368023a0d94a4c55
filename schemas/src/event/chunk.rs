//! Many events in one message, as the history lane carries them.
//!
//! The body is one [zstd](https://www.rfc-editor.org/rfc/rfc8878) frame. Decompressed it is a sequence of MessagePack
//! values, two for each event: the end of its subject as a str, such as `transfer.erc20`, and its body as a bin.

use std::{io, ops::Range};

use rmp::{decode, encode};

/// The `Schema` header of a message that holds many events.
pub const CHUNK_SCHEMA: &str = "chunk/1";
/// The last token of its subject.
pub(crate) const CHUNK_TOKEN: &str = "chunk";
/// Maximum size of a chunk once it is decompressed; a larger one is refused unread.
pub const MAX_CHUNK_BYTES: usize = 16 << 20;
/// Of zstd.
const LEVEL: i32 = 1;

/// A message is no chunk that can be read.
#[derive(Debug, thiserror::Error)]
pub enum ChunkError {
    /// It is no zstd frame, it is damaged, or it is too large.
    #[error("chunk is no zstd frame of at most {MAX_CHUNK_BYTES} bytes")]
    Compression(#[source] io::Error),
    /// What was compressed is no sequence of pairs.
    #[error("chunk is damaged at byte {at} of {bytes}: expected a str and a bin")]
    Damaged {
        /// Where, in the decompressed bytes.
        at: usize,
        /// How many there are.
        bytes: usize,
    },
}

/// Collects the events of a chunk.
#[derive(Debug, Default)]
pub struct ChunkWriter {
    buffer: Vec<u8>,
    events: usize,
}

impl ChunkWriter {
    /// Adds an event: the end of its subject and its body.
    pub fn push(&mut self, tail: &str, body: &[u8]) {
        // Writing into memory cannot fail.
        let _ = encode::write_str(&mut self.buffer, tail);
        let _ = encode::write_bin(&mut self.buffer, body);
        self.events += 1;
    }

    /// How many events it holds.
    #[must_use]
    pub fn events(&self) -> usize {
        self.events
    }

    /// Its size in bytes before compression.
    #[must_use]
    pub fn bytes(&self) -> usize {
        self.buffer.len()
    }

    /// The body of the message; the writer is empty afterwards.
    ///
    /// # Errors
    /// When memory is short.
    pub fn finish(&mut self) -> io::Result<Vec<u8>> {
        let body = zstd::bulk::compress(&self.buffer, LEVEL)?;
        self.buffer.clear();
        self.events = 0;
        Ok(body)
    }
}

/// Events of a chunk.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Chunk {
    /// The decompressed body, which the ranges point into.
    pub bytes: Vec<u8>,
    /// Of each event the end of its subject and its body.
    pub events: Vec<(Range<usize>, Range<usize>)>,
}

impl Chunk {
    /// Reads the body of a message; any program may have written it.
    ///
    /// # Errors
    /// When it is no chunk.
    pub fn read(body: &[u8]) -> Result<Self, ChunkError> {
        let bytes = decompress(body).map_err(ChunkError::Compression)?;
        let mut events = Vec::new();
        let mut at = 0;
        while at < bytes.len() {
            let damaged = ChunkError::Damaged { at, bytes: bytes.len() };
            let Some((tail, body)) = pair(&bytes, at) else { return Err(damaged) };
            at = body.end;
            events.push((tail, body));
        }
        Ok(Self { bytes, events })
    }

    /// The end of an event's subject.
    #[must_use]
    pub fn tail(&self, event: usize) -> &str {
        let range = self.events.get(event).map(|(tail, _)| tail.clone());
        let bytes = range.and_then(|range| self.bytes.get(range)).unwrap_or_default();
        // Checked when it was read.
        std::str::from_utf8(bytes).unwrap_or_default()
    }
}

fn decompress(body: &[u8]) -> io::Result<Vec<u8>> {
    let size = zstd::zstd_safe::get_frame_content_size(body).ok().flatten();
    let room =
        size.and_then(|size| usize::try_from(size).ok()).filter(|size| *size <= MAX_CHUNK_BYTES);
    let room =
        room.ok_or_else(|| io::Error::other("the frame does not say its size, or is too large"))?;
    zstd::bulk::decompress(body, room)
}

/// Where the tail and the body of the event at a place are.
fn pair(bytes: &[u8], at: usize) -> Option<(Range<usize>, Range<usize>)> {
    let tail = sized(bytes, at, |rest| decode::read_str_len(rest).ok())?;
    std::str::from_utf8(&bytes[tail.clone()]).ok()?;
    let body = sized(bytes, tail.end, |rest| decode::read_bin_len(rest).ok())?;
    Some((tail, body))
}

/// The contents of the value at a place, whose length `read_length` takes off.
fn sized(
    bytes: &[u8],
    at: usize,
    read_length: impl FnOnce(&mut &[u8]) -> Option<u32>,
) -> Option<Range<usize>> {
    let mut rest = bytes.get(at..)?;
    let length = read_length(&mut rest)? as usize;
    let start = bytes.len() - rest.len();
    (length <= rest.len()).then(|| start..start + length)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    fn chunk(events: &[(&str, &[u8])]) -> Vec<u8> {
        let mut writer = ChunkWriter::default();
        events.iter().for_each(|(tail, body)| writer.push(tail, body));
        assert_eq!(writer.events(), events.len());
        writer.finish().unwrap()
    }

    #[test]
    fn events_are_read_back_in_their_order() {
        let large = vec![7; 70_000];
        let events: [(&str, &[u8]); 3] =
            [("log", b"one"), ("event.answer", &large), ("block", b"")];
        let read = Chunk::read(&chunk(&events)).unwrap();
        for (place, (tail, body)) in events.into_iter().enumerate() {
            assert_eq!(read.tail(place), tail);
            assert_eq!(&read.bytes[read.events[place].1.clone()], body);
        }
        assert_eq!(read.events.len(), 3);
        assert_eq!(Chunk::read(&chunk(&[])).unwrap().events, []);
    }

    #[test]
    fn foreign_and_damaged_bodies_are_refused() {
        let packed = |bytes: &[u8]| zstd::bulk::compress(bytes, LEVEL).unwrap();
        for bytes in
            [&b"\xa3log"[..], b"\xa3log\xc4\x05abcd", b"\xa1\xff\xc4\x00", b"\x05", b"\xa3log\xa1x"]
        {
            let error = Chunk::read(&packed(bytes)).unwrap_err();
            assert!(matches!(error, ChunkError::Damaged { at: 0, .. }), "{bytes:?}: {error}");
        }
        let whole = chunk(&[("log", &[1; 1_000])]);
        for body in [
            &b""[..],
            b"no frame",
            &whole[..whole.len() / 2],
            &packed(&vec![0; MAX_CHUNK_BYTES + 1]),
        ] {
            assert!(matches!(Chunk::read(body), Err(ChunkError::Compression(_))), "{}", body.len());
        }
    }
}
