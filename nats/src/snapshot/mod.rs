//! A stream as files: taken from and given back to the server by JetStream's own snapshots.
//!
//! A folder holds one stream in the form of natscli (`nats stream backup`, `nats stream restore`): `backup.json` with the
//! configuration and state that the server told, and what it sent. That is opaque to restore but not to [`check_snapshot`]:
//! servers from 2.15 on send messages one by one (`stream.arc.s2`), older ones their files (`stream.tar.s2`). A new server
//! takes both, an old one only its own.

mod archive;
mod error;
mod folder;
mod restore;
mod take;

pub use archive::ArchiveForm;
pub use error::SnapshotError;
pub use folder::{StreamSnapshot, check_snapshot};
