//! The labels of one source as one value: lines of text under zstd, which any client reads by `zstd -d`. The columns are
//! those of the files that are shipped: chain, address, category, name, detail, confidence.

use std::io;

use crate::label::{Label, parse_chain};

/// Fast, and a tenth larger than the best.
const LEVEL: i32 = 3;
/// More than this is no list of labels.
const MAX_BYTES: usize = 1 << 30;

/// A value holds no labels.
#[derive(Debug, thiserror::Error)]
pub enum PackError {
    /// It cannot be compressed or decompressed.
    #[error("labels are no zstd frame of at most {MAX_BYTES} bytes")]
    Compression(#[source] io::Error),
    /// It is no text.
    #[error("labels are no UTF-8")]
    Text(#[source] std::str::Utf8Error),
    /// A line is no label.
    #[error("line {line} is no label: {reason}")]
    Line {
        /// Which, from 1.
        line: usize,
        /// Why.
        reason: String,
    },
}

/// Writes labels as one value.
///
/// # Errors
/// When memory is short.
pub fn pack(labels: &[Label]) -> Result<Vec<u8>, PackError> {
    let mut text = String::with_capacity(labels.len() * 80);
    for label in labels {
        let confidence = label.confidence.map(|percent| percent.to_string()).unwrap_or_default();
        let chain = label.chain.name();
        let address = label.address.to_string();
        let columns = [chain, &address, &label.category, &label.name, &label.detail, &confidence];
        for (index, column) in columns.into_iter().enumerate() {
            if index > 0 {
                text.push('\t');
            }
            // A tab in a text would be a column more.
            text.extend(column.chars().map(|one| if one.is_control() { ' ' } else { one }));
        }
        text.push('\n');
    }
    let packed = zstd::bulk::compress(text.as_bytes(), LEVEL);
    packed.map_err(PackError::Compression)
}

/// Reads what [`pack`] wrote.
///
/// # Errors
/// When it is damaged.
pub fn unpack(packed: &[u8]) -> Result<Vec<Label>, PackError> {
    let mut labels = Vec::new();
    unpack_each(packed, |label| labels.push(label))?;
    Ok(labels)
}

/// Reads what [`pack`] wrote, one after the other.
///
/// # Errors
/// When it is damaged; what came before has been handed out.
pub fn unpack_each(packed: &[u8], mut take: impl FnMut(Label)) -> Result<(), PackError> {
    let size = zstd::zstd_safe::get_frame_content_size(packed).ok().flatten();
    let room = size.map_or(MAX_BYTES, |size| usize::try_from(size).unwrap_or(usize::MAX));
    if room > MAX_BYTES {
        return Err(PackError::Compression(io::ErrorKind::FileTooLarge.into()));
    }
    let bytes = zstd::bulk::decompress(packed, room).map_err(PackError::Compression)?;
    let text = std::str::from_utf8(&bytes).map_err(PackError::Text)?;
    for (index, line) in text.lines().enumerate() {
        take(read(line).map_err(|reason| PackError::Line { line: index + 1, reason })?);
    }
    Ok(())
}

fn read(line: &str) -> Result<Label, String> {
    let mut columns = line.split('\t');
    let mut column = || columns.next().unwrap_or_default();
    let (chain, address, category) = (column(), column(), column());
    let (name, detail, confidence) = (column(), column(), column());
    Ok(Label {
        chain: parse_chain(chain)?,
        address: address.parse()?,
        category: category.to_owned(),
        name: name.to_owned(),
        detail: detail.to_owned(),
        confidence: confidence.parse().ok(),
    })
}
