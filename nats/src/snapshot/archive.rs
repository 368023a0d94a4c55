//! What is inside a snapshot, read from its first byte to its last.
//!
//! Both forms are one S2 stream, whose frames carry checksums. From 2.15 on it begins with `NATSARC1` and holds entries:
//! the stream's state, its consumers, its messages in order, and an empty one at the end. Before, it is a tar file of the
//! server's own files.

use std::io::{self, BufReader, Read};

use serde::{Deserialize, Serialize};

const MAGIC: &[u8; 8] = b"NATSARC1";
/// Longer names than subjects can be are damage, and would be read into memory.
const MAX_NAME_BYTES: u64 = 1 << 20;
const TAR_BLOCK: usize = 512;

/// How the server wrote a snapshot.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ArchiveForm {
    /// Message by message: nats-server 2.15 and newer.
    Messages,
    /// As the server's own files: before 2.15.
    Files,
}

/// What a snapshot holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Contents {
    pub(super) form: ArchiveForm,
    /// Messages; unknown to us where they are the server's own files.
    pub(super) messages: Option<u64>,
    /// First and last sequence of the messages; `None` when there are none or it is unknown.
    pub(super) sequences: Option<(u64, u64)>,
    /// Bytes as the stream counts them. Of files also what was deleted and not yet tidied away.
    pub(super) bytes: u64,
}

/// Reads a whole snapshot.
pub(super) fn inspect(file: impl Read) -> io::Result<Contents> {
    let mut archive = BufReader::with_capacity(64 * 1024, minlz::Reader::new(file));
    let mut start = [0; 8];
    archive.read_exact(&mut start)?;
    if &start == MAGIC {
        inspect_messages(archive)
    } else {
        inspect_files((&start[..]).chain(archive))
    }
}

fn damaged(reason: impl Into<String>) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, reason.into())
}

/// The fields before an entry's name and body.
struct EntryHead {
    name_length: u64,
    timestamp: u64,
    sequence: u64,
    header_size: u64,
    payload_size: u64,
}

impl EntryHead {
    fn read(archive: &mut impl Read) -> io::Result<Self> {
        let mut next = || uvarint(archive);
        Ok(Self {
            name_length: next()?,
            // Signed in zigzag form: only whether it is 0 is of interest.
            timestamp: next()?,
            sequence: next()?,
            header_size: next()?,
            payload_size: next()?,
        })
    }

    fn is_end(&self) -> bool {
        [self.name_length, self.timestamp, self.sequence, self.header_size, self.payload_size]
            == [0; 5]
    }

    /// What the message takes in the stream: see `fileStoreMsgSize` of the server.
    fn stored_bytes(&self) -> u64 {
        let headers = if self.header_size == 0 { 0 } else { 4 + self.header_size };
        22 + self.name_length + headers + self.payload_size + 8
    }
}

fn inspect_messages(mut archive: impl Read) -> io::Result<Contents> {
    let mut contents =
        Contents { form: ArchiveForm::Messages, messages: Some(0), sequences: None, bytes: 0 };
    let mut messages = 0;
    let mut has_state = false;
    loop {
        let head = EntryHead::read(&mut archive)?;
        if head.is_end() {
            break;
        }
        if head.name_length > MAX_NAME_BYTES {
            return Err(damaged("an entry's name is too long"));
        }
        let mut name = vec![0; usize::try_from(head.name_length).unwrap_or_default()];
        archive.read_exact(&mut name)?;
        skip(&mut archive, head.header_size.saturating_add(head.payload_size))?;
        if head.sequence == 0 {
            has_state |= name == b"state.json";
            continue;
        }
        let (first, last) = contents.sequences.unwrap_or((head.sequence, 0));
        if head.sequence <= last {
            return Err(damaged(format!("message {} stands after {last}", head.sequence)));
        }
        contents.sequences = Some((first, head.sequence));
        contents.bytes += head.stored_bytes();
        messages += 1;
    }
    if !has_state {
        return Err(damaged("it has no state.json"));
    }
    ensure_end(&mut archive)?;
    contents.messages = Some(messages);
    Ok(contents)
}

fn inspect_files(mut archive: impl Read) -> io::Result<Contents> {
    let mut contents =
        Contents { form: ArchiveForm::Files, messages: None, sequences: None, bytes: 0 };
    let mut has_meta = false;
    loop {
        let mut header = [0; TAR_BLOCK];
        archive.read_exact(&mut header)?;
        if header == [0; TAR_BLOCK] {
            break;
        }
        let (name, size) = tar_header(&header)?;
        has_meta |= name == "meta.inf";
        let mut body = (&mut archive).take(size.next_multiple_of(TAR_BLOCK as u64));
        if name.ends_with(".blk") {
            let mut start = [0; 14];
            let start_length = usize::try_from(size.min(14)).unwrap_or_default();
            body.read_exact(&mut start[..start_length])?;
            contents.bytes += block_bytes(&start[..start_length], size);
        }
        let wanted = body.limit();
        skip(&mut body, wanted)?;
    }
    if !has_meta {
        return Err(damaged("it has no meta.inf"));
    }
    Ok(contents)
}

/// Name and size of a file in a tar.
fn tar_header(header: &[u8; TAR_BLOCK]) -> io::Result<(String, u64)> {
    let text = |range: std::ops::Range<usize>| {
        let field = &header[range];
        let length = field.iter().position(|byte| *byte == 0).unwrap_or(field.len());
        String::from_utf8_lossy(&field[..length]).trim().to_owned()
    };
    let size = u64::from_str_radix(&text(124..136), 8)
        .map_err(|_| damaged("it is neither of the forms that nats-server writes"))?;
    Ok((text(0..100), size))
}

/// How large a block of messages is. A compressed one begins with `cmp`, a number for the way, and its real size.
fn block_bytes(start: &[u8], size: u64) -> u64 {
    match start.strip_prefix(b"cmp") {
        Some(rest) if rest.len() > 1 => uvarint(&mut &rest[1..]).unwrap_or(size),
        _ => size,
    }
}

fn uvarint(from: &mut impl Read) -> io::Result<u64> {
    let mut value = 0_u64;
    for shift in (0..64).step_by(7) {
        let mut byte = [0];
        from.read_exact(&mut byte)?;
        value |= u64::from(byte[0] & 0x7f) << shift;
        if byte[0] < 0x80 {
            return Ok(value);
        }
    }
    Err(damaged("a number is too long"))
}

fn skip(from: &mut impl Read, count: u64) -> io::Result<()> {
    let skipped = io::copy(&mut from.take(count), &mut io::sink())?;
    if skipped == count { Ok(()) } else { Err(io::ErrorKind::UnexpectedEof.into()) }
}

fn ensure_end(archive: &mut impl Read) -> io::Result<()> {
    match archive.read(&mut [0])? {
        0 => Ok(()),
        _ => Err(damaged("something follows its end")),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use std::io::Write as _;

    use super::*;

    fn compressed(archive: &[u8]) -> Vec<u8> {
        let mut file = Vec::new();
        let mut writer = minlz::Writer::new(&mut file);
        writer.write_all(archive).unwrap();
        writer.flush().unwrap();
        drop(writer);
        file
    }

    fn entry(archive: &mut Vec<u8>, name: &str, sequence: u8, body: &[u8]) {
        archive.extend([name.len() as u8, 2, sequence, 0, body.len() as u8]);
        archive.extend(name.as_bytes());
        archive.extend(body);
    }

    fn messages(sequences: &[u8]) -> Vec<u8> {
        let mut archive = MAGIC.to_vec();
        entry(&mut archive, "state.json", 0, b"{}");
        entry(&mut archive, "consumers/one", 0, b"{}");
        for sequence in sequences {
            entry(&mut archive, "evm.x", *sequence, b"body");
        }
        archive
    }

    #[test]
    fn counts_messages_between_first_and_last() {
        let mut archive = messages(&[3, 4, 9]);
        archive.extend([0; 5]);
        let contents = inspect(&compressed(&archive)[..]).unwrap();
        let expected = Contents {
            form: ArchiveForm::Messages,
            messages: Some(3),
            sequences: Some((3, 9)),
            bytes: 3 * (22 + 5 + 4 + 8),
        };
        assert_eq!(contents, expected);
    }

    #[test]
    fn an_archive_without_its_end_is_refused() {
        let archive = messages(&[3, 4]);
        let error = inspect(&compressed(&archive)[..]).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::UnexpectedEof);
    }

    #[test]
    fn messages_out_of_order_are_refused() {
        let mut archive = messages(&[4, 3]);
        archive.extend([0; 5]);
        let error = inspect(&compressed(&archive)[..]).unwrap_err();
        assert_eq!(error.to_string(), "message 3 stands after 4");
    }

    #[test]
    fn a_changed_byte_is_noticed() {
        let mut archive = messages(&[3, 4, 9]);
        archive.extend([0; 5]);
        let mut file = compressed(&archive);
        let middle = file.len() / 2;
        file[middle] ^= 1;
        assert!(inspect(&file[..]).is_err());
    }

    #[test]
    fn sums_up_the_blocks_of_a_tar() {
        let mut archive = Vec::new();
        let mut file = |name: &str, body: &[u8]| {
            let mut header = [0; TAR_BLOCK];
            header[..name.len()].copy_from_slice(name.as_bytes());
            header[124..135].copy_from_slice(format!("{:011o}", body.len()).as_bytes());
            archive.extend(header);
            archive.extend(body);
            archive.resize(archive.len().next_multiple_of(TAR_BLOCK), 0);
        };
        file("meta.inf", b"{}");
        file("msgs/1.blk", &[7; 600]);
        file("msgs/2.blk", b"cmp\x02\xac\x02short");
        archive.extend([0; 2 * TAR_BLOCK]);
        let contents = inspect(&compressed(&archive)[..]).unwrap();
        assert_eq!((contents.form, contents.bytes), (ArchiveForm::Files, 600 + 300));
        assert!(inspect(&compressed(&archive[..1_536])[..]).is_err());
    }
}
