//! Files of labels as people bring them: tables (CSV, TSV) and JSON in the forms that public lists have, gzipped or not.

mod json;
mod row;
mod table;

use std::io::Read as _;

use flate2::read::GzDecoder;
use serde::Serialize;

use crate::label::Label;

/// Larger files are refused: no list of labels is.
const MAX_FILE_BYTES: u64 = 1 << 30;

/// The form of a file.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Format {
    /// What it looks like.
    #[default]
    Auto,
    /// Values between commas, with a line of names or `ADDRESS,NAME,CATEGORY`.
    Csv,
    /// The same between tabs.
    Tsv,
    /// A list of addresses or of objects, or an object by address.
    Json,
}

/// What holds for every line that does not say otherwise.
#[derive(Debug, Clone, Default)]
pub struct Common {
    /// Category; without one, each line has its own.
    pub category: Option<String>,
    /// Chain, `evm` for all.
    pub chain: Option<String>,
}

/// A line, or an entry of a list, that is no label.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Wrong {
    /// Which, from 1: a line of a table, an entry of JSON.
    pub line: u64,
    /// What is wrong, and how to correct it.
    pub problem: String,
}

/// What a file holds.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Read {
    /// Its labels, in its order.
    pub labels: Vec<Label>,
    /// What is none.
    pub wrong: Vec<Wrong>,
    /// Addresses of families of chains that this program does not follow: left out, and no mistake.
    pub foreign: u64,
    /// The day that the file itself says it is of, `2026-08-20`.
    pub date: Option<String>,
}

impl Read {
    fn take(&mut self, line: u64, labels: Result<Vec<Label>, String>) {
        match labels {
            Ok(labels) => self.labels.extend(labels),
            Err(problem) => self.wrong.push(Wrong { line, problem }),
        }
    }
}

/// A file cannot be read as labels at all.
#[derive(Debug, thiserror::Error)]
pub enum FileError {
    /// It is no gzip file, although it begins as one.
    #[error("not unpacked: a damaged gzip file, or more than {MAX_FILE_BYTES} bytes")]
    Gzip(#[source] std::io::Error),
    /// It is no text.
    #[error("no text: write it as UTF-8")]
    Text(#[source] std::str::Utf8Error),
    /// It is no JSON.
    #[error("no JSON")]
    Json(#[source] serde_json::Error),
    /// It has another form.
    #[error("{0}")]
    Form(String),
}

/// Reads a file.
///
/// # Errors
/// When it is no file of labels at all; single wrong lines are in what is returned.
pub fn read(bytes: &[u8], format: Format, common: &Common) -> Result<Read, FileError> {
    let mut unpacked = Vec::new();
    let bytes = if bytes.starts_with(&[0x1f, 0x8b]) {
        let mut reader = GzDecoder::new(bytes).take(MAX_FILE_BYTES + 1);
        reader.read_to_end(&mut unpacked).map_err(FileError::Gzip)?;
        if unpacked.len() as u64 > MAX_FILE_BYTES {
            return Err(FileError::Gzip(std::io::ErrorKind::FileTooLarge.into()));
        }
        &unpacked
    } else {
        bytes
    };
    let text = std::str::from_utf8(bytes).map_err(FileError::Text)?;
    let text = text.trim_start_matches('\u{feff}');
    match format {
        Format::Json => json::read(text, common),
        Format::Csv => Ok(table::read(text, b',', common)),
        Format::Tsv => Ok(table::read(text, b'\t', common)),
        Format::Auto => match text.trim_start().chars().next() {
            Some('[' | '{') => json::read(text, common),
            _ if text.lines().next().is_some_and(|line| line.contains('\t')) => {
                Ok(table::read(text, b'\t', common))
            }
            _ => Ok(table::read(text, b',', common)),
        },
    }
}

#[cfg(test)]
mod tests;
