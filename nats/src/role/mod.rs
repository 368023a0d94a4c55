//! Who needs what of NATS, and of everything else: the one place that says so.

mod permissions;

pub use permissions::{Grant, Permissions};

use crypto_intel_schemas::{Bucket, Stream};

/// What a role needs; each role's crate has one of these. The users of `nats/server.conf`, the secrets, services and
/// targets of a deployment, and the tables of `docs/operations.md` are made of it.
#[derive(Debug, Clone, Copy)]
pub struct RoleSpec {
    /// Its name: on the command line, in logs, and of its NATS user.
    pub name: &'static str,
    /// What it does, in a few words.
    pub summary: &'static str,
    /// The section of the configuration that is its own.
    pub section: &'static str,
    /// What gives it something to do, as an instruction.
    pub enable: &'static str,
    /// Secrets that a deployment makes for it, beside the password of its NATS user.
    pub secrets: &'static [SecretSpec],
    /// Secrets that its section may name and that come from elsewhere, as people call them.
    pub own_secrets: &'static str,
    /// Subjects that it publishes.
    pub publishes: &'static [&'static str],
    /// Streams that it reads, with consumers that live as long as it reads.
    pub reads: &'static [Stream],
    /// Streams that it looks single messages up in and makes no consumer on.
    pub looks_up: &'static [Stream],
    /// Streams of which it deletes single messages.
    pub deletes: &'static [Stream],
    /// Streams whose leader it asks, too: where an absence decides something.
    pub asks_leader: &'static [Stream],
    /// Durable consumers that are its own.
    pub queues: &'static [QueueSpec],
    /// Buckets that it reads.
    pub buckets: &'static [BucketSpec],
    /// Its user of the database, if it has one.
    pub database_user: Option<&'static str>,
    /// The port on which it is reached from outside, if it has one.
    pub port: Option<PortSpec>,
    /// The profile of compose.yaml that starts it; `None` = always.
    pub profile: Option<&'static str>,
}

impl RoleSpec {
    /// Needs nothing: what a specification begins with.
    pub const NONE: Self = Self {
        name: "",
        summary: "",
        section: "",
        enable: "",
        secrets: &[],
        own_secrets: "",
        publishes: &[],
        reads: &[],
        looks_up: &[],
        deletes: &[],
        asks_leader: &[],
        queues: &[],
        buckets: &[],
        database_user: None,
        port: None,
        profile: None,
    };

    /// The file with the password of its NATS user.
    #[must_use]
    pub fn nats_password(&self) -> String {
        format!("nats_{}_password", self.name)
    }
}

/// A secret of a deployment.
#[derive(Debug, Clone, Copy)]
pub struct SecretSpec {
    /// The key that it is the value of, e.g. `database.url`.
    pub key: &'static str,
    /// The name of its file.
    pub file: &'static str,
}

/// A port on which people and programs reach a role; a deployment publishes it on this machine only.
#[derive(Debug, Clone, Copy)]
pub struct PortSpec {
    /// The key of its address, e.g. `api.listen`.
    pub key: &'static str,
    /// The port.
    pub port: u16,
}

/// A durable consumer.
#[derive(Debug, Clone, Copy)]
pub struct QueueSpec {
    /// The stream.
    pub stream: Stream,
    /// The consumer; `*` where the configuration names them.
    pub consumer: &'static str,
}

/// A bucket that a role reads.
#[derive(Debug, Clone, Copy)]
pub struct BucketSpec {
    /// Which.
    pub bucket: Bucket,
    /// Patterns of the keys that it may write, too.
    pub writes: &'static [&'static str],
    /// Whether it watches or lists keys, which takes a consumer; else it reads single keys.
    pub watches: bool,
}

impl BucketSpec {
    /// A bucket that is only read.
    #[must_use]
    pub const fn read(bucket: Bucket) -> Self {
        Self { bucket, writes: &[], watches: false }
    }

    /// A bucket of which some keys are written, too.
    #[must_use]
    pub const fn write(bucket: Bucket, writes: &'static [&'static str]) -> Self {
        Self { bucket, writes, watches: false }
    }

    /// The same, its keys watched or listed.
    #[must_use]
    pub const fn watched(self) -> Self {
        Self { watches: true, ..self }
    }
}
