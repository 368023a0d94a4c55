//! The form of a record: entries one after the other, each a key and a value or a deletion, with their lengths in front.

use bytes::{Bytes, BytesMut};

/// An entry's key, and its new value; `None` deletes it.
pub(crate) type Change = (String, Option<Bytes>);

/// Stands for the length of a value that is deleted.
const DELETED: u32 = u32::MAX;

/// Bytes that a change takes in a record.
pub(super) fn size(key: &str, value: Option<&Bytes>) -> usize {
    8 + key.len() + value.map_or(0, Bytes::len)
}

pub(super) fn write<'c>(
    changes: impl IntoIterator<Item = (&'c String, Option<&'c Bytes>)>,
) -> Vec<u8> {
    let length = |bytes: usize| u32::try_from(bytes).unwrap_or(DELETED - 1).to_be_bytes();
    let mut body = Vec::new();
    for (key, value) in changes {
        body.extend_from_slice(&length(key.len()));
        body.extend_from_slice(key.as_bytes());
        match value {
            Some(value) => {
                body.extend_from_slice(&length(value.len()));
                body.extend_from_slice(value);
            }
            None => body.extend_from_slice(&DELETED.to_be_bytes()),
        }
    }
    body
}

/// The changes of a record; `None` when it is damaged.
pub(super) fn read(body: &Bytes) -> Option<Vec<Change>> {
    let mut rest = body.clone();
    let mut changes = Vec::new();
    while !rest.is_empty() {
        let key_length = take_length(&mut rest)?;
        let key = String::from_utf8(take(&mut rest, key_length)?.to_vec()).ok()?;
        let value = match take_length(&mut rest)? {
            DELETED => None,
            // A copy of its own: a slice would keep the whole record in memory.
            length => Some(BytesMut::from(&take(&mut rest, length)?[..]).freeze()),
        };
        changes.push((key, value));
    }
    Some(changes)
}

fn take(rest: &mut Bytes, length: u32) -> Option<Bytes> {
    let length = usize::try_from(length).ok()?;
    (rest.len() >= length).then(|| rest.split_to(length))
}

fn take_length(rest: &mut Bytes) -> Option<u32> {
    let bytes = take(rest, 4)?;
    Some(u32::from_be_bytes(bytes[..].try_into().ok()?))
}
