//! One stream in a folder.

use std::fs::File;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::SnapshotError;
use super::archive::{ArchiveForm, Contents, inspect};

/// The file of configuration and state, as natscli calls it.
pub(super) const META_FILE: &str = "backup.json";

/// A stream in a folder: what the server said of it, and what is really there.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct StreamSnapshot {
    /// The stream.
    pub stream: String,
    /// How the server wrote it.
    pub form: ArchiveForm,
    /// Messages, as the server said when it began.
    pub messages: u64,
    /// Bytes that they take in the stream, as the server said.
    pub bytes: u64,
    /// First sequence; one after the last in an empty stream.
    pub first_sequence: u64,
    /// Last sequence; 0 = nothing was ever published.
    pub last_sequence: u64,
    /// Messages that left the stream while it was copied, and are not here.
    pub left_meanwhile: u64,
}

/// `backup.json`, which is also the body of the request to restore.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct Meta {
    pub(super) config: Value,
    pub(super) state: Value,
}

impl Meta {
    pub(super) fn read(folder: &Path) -> Result<Self, SnapshotError> {
        let path = folder.join(META_FILE);
        let text = std::fs::read(&path).map_err(SnapshotError::file(&path))?;
        serde_json::from_slice(&text)
            .map_err(|error| SnapshotError::Broken { path, reason: error.to_string() })
    }

    pub(super) fn stream(&self) -> &str {
        self.config.get("name").and_then(Value::as_str).unwrap_or_default()
    }

    fn number(&self, key: &str) -> u64 {
        self.state.get(key).and_then(Value::as_u64).unwrap_or_default()
    }

    /// What the server said, compared with what is there. `removed` is how many messages left the stream meanwhile.
    pub(super) fn compare(
        &self,
        contents: &Contents,
        removed: u64,
    ) -> Result<StreamSnapshot, String> {
        let messages = self.number("messages");
        let snapshot = StreamSnapshot {
            stream: self.stream().to_owned(),
            form: contents.form,
            messages,
            bytes: self.number("bytes"),
            first_sequence: match messages {
                0 => self.number("last_seq") + 1,
                _ => self.number("first_seq"),
            },
            last_sequence: self.number("last_seq"),
            left_meanwhile: messages.saturating_sub(contents.messages.unwrap_or(messages)),
        };
        if snapshot.left_meanwhile > removed {
            return Err(format!(
                "the server said {messages} messages, {} are missing and {removed} left the stream meanwhile",
                snapshot.left_meanwhile
            ));
        }
        let allowed = snapshot.first_sequence..=snapshot.last_sequence;
        if let Some((first, last)) = contents.sequences
            && !(allowed.contains(&first) && allowed.contains(&last))
        {
            return Err(format!(
                "the server said messages {} to {}, it has {first} to {last}",
                snapshot.first_sequence, snapshot.last_sequence
            ));
        }
        let bytes_differ = match contents.form {
            ArchiveForm::Messages => {
                contents.messages == Some(messages) && contents.bytes != snapshot.bytes
            }
            // More is what was deleted and is not yet tidied away.
            ArchiveForm::Files => removed == 0 && contents.bytes < snapshot.bytes,
        };
        if bytes_differ {
            return Err(format!(
                "the server said {} bytes of messages, it has {}",
                snapshot.bytes, contents.bytes
            ));
        }
        Ok(snapshot)
    }
}

impl ArchiveForm {
    /// The file's name, as natscli calls it.
    pub(super) const fn file(self) -> &'static str {
        match self {
            Self::Messages => "stream.arc.s2",
            Self::Files => "stream.tar.s2",
        }
    }
}

/// The file of messages in a folder.
pub(super) fn archive_file(folder: &Path) -> PathBuf {
    let newer = folder.join(ArchiveForm::Messages.file());
    if newer.exists() { newer } else { folder.join(ArchiveForm::Files.file()) }
}

/// Reads all of a file of messages. Blocks.
pub(super) fn contents(path: &Path) -> Result<Contents, SnapshotError> {
    let file = File::open(path).map_err(SnapshotError::file(path))?;
    inspect(file)
        .map_err(|error| SnapshotError::Broken { path: path.to_owned(), reason: error.to_string() })
}

/// Reads a whole snapshot, from its first byte to its last, and says what it holds. Blocks the thread for as long as
/// reading takes.
///
/// # Errors
/// When a file is missing, damaged or cut off, or holds something else than `backup.json` says. Messages that left the
/// stream while it was copied cannot be told from missing ones here: see [`StreamSnapshot::left_meanwhile`].
pub fn check_snapshot(folder: &Path) -> Result<StreamSnapshot, SnapshotError> {
    let path = archive_file(folder);
    let contents = contents(&path)?;
    Meta::read(folder)?
        .compare(&contents, u64::MAX)
        .map_err(|reason| SnapshotError::Broken { path, reason })
}
