#![doc = include_str!("../README.md")]

mod api;
mod complaint;
mod config;
mod connect;
mod consumers;
mod count;
mod dead_letter;
mod error;
mod kv;
mod leader;
mod lease;
mod message;
mod obstacle;
mod point_read;
mod publish;
mod range;
mod reader;
mod refusals;
mod replay;
mod role;
mod snapshot;
mod topology;
mod windowed_publisher;
mod work_queue;

pub use api::Nats;
pub use async_nats;
pub use config::NatsConfig;
pub use connect::connect;
pub use consumers::ConsumerState;
pub use dead_letter::{
    DeadLetter, dead_letter, list_dead_letters, remove_dead_letter, show_dead_letter,
};
pub use error::{ConnectError, KvError, NatsError, PublishError, ReaderError};
pub use kv::{Bucket, Entry, Kv, KvChange, KvWatch, escape_key, unescape_key};
pub use leader::{Leadership, Term, TermEnd};
pub use lease::{LEASE_SECONDS, Lease, LeaseHolder};
pub use message::{
    Batch, BatchAck, CONTENT_TYPE, CONTENT_TYPE_HEADER, Fence, OutMessage, Position, PublishAck,
    SCHEMA_HEADER, StreamMessage, StreamState,
};
pub use obstacle::Obstacle;
pub use range::{RangeError, RangeRequest, StreamRange};
pub use reader::{
    Notice, RangeOptions, RangeReader, ReadBatch, ReaderOptions, ReaderTrouble, Start, StreamReader,
};
pub use replay::{
    ORIGINAL_SEQUENCE_HEADER, ORIGINAL_STREAM_HEADER, ORIGINAL_TIME_HEADER, ReplayError,
    ReplayStream, ReplayTarget,
};
pub use role::{BucketSpec, Grant, Permissions, QueueSpec, RoleSpec, SecretSpec};
pub use snapshot::{ArchiveForm, SnapshotError, StreamSnapshot, check_snapshot};
pub use topology::{
    Change, Difference, ObjectKind, StreamOverride, StreamStatus, Topology, TopologyConfig,
    TopologyError,
};
pub use windowed_publisher::WindowedPublisher;
pub use work_queue::{Work, WorkQueue, WorkQueueOptions};
