#![doc = include_str!("../README.md")]

mod client;
mod error;
mod kv;
mod leader;
mod message;
mod publish;
mod reader;
mod replay;
mod role;
mod snapshot;
mod topology;

pub use async_nats;
pub use client::api::Nats;
pub use client::config::NatsConfig;
pub use client::connect::connect;
pub use client::obstacle::Obstacle;
pub use error::{ConnectError, KvError, NatsError, PublishError, ReaderError};
pub use kv::{Bucket, Entry, Kv, KvChange, KvWatch, LargeHead, escape_key, unescape_key};
pub use leader::lease::{LEASE_SECONDS, Lease, LeaseHolder};
pub use leader::{Leadership, Term, TermEnd};
pub use message::{
    Batch, BatchAck, CONTENT_TYPE, CONTENT_TYPE_HEADER, Fence, OutMessage, Position, PublishAck,
    SCHEMA_HEADER, StreamMessage, StreamState,
};
pub use publish::audit::write_audit;
pub use publish::dead_letter::{
    DeadLetter, dead_letter, list_dead_letters, remove_dead_letter, show_dead_letter,
};
pub use publish::once::PublishedOnce;
pub use publish::windowed_publisher::WindowedPublisher;
pub use reader::consumers::ConsumerState;
pub use reader::range::{RangeError, RangeRequest, StreamRange};
pub use reader::work_queue::{Work, WorkQueue, WorkQueueOptions};
pub use reader::{
    Notice, RangeOptions, RangeReader, ReadBatch, ReaderOptions, ReaderTrouble, Start, StreamReader,
};
pub use replay::{
    ORIGINAL_REMAINING_HEADER, ORIGINAL_SEQUENCE_HEADER, ORIGINAL_STREAM_HEADER,
    ORIGINAL_TIME_HEADER, ReplayError, ReplayStream, ReplayTarget,
};
pub use role::{BucketSpec, Grant, Permissions, PortSpec, QueueSpec, RoleSpec, SecretSpec};
pub use snapshot::{ArchiveForm, SnapshotError, StreamSnapshot, check_snapshot};
pub use topology::{
    Change, Difference, ObjectKind, StreamOverride, StreamStatus, Topology, TopologyConfig,
    TopologyError,
};
