use crypto_intel_schemas::Stream;

use super::RoleSpec;
use crate::topology::Topology;

/// What the NATS user of a role may do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Permissions {
    /// What it may publish, by reason.
    pub publish: Vec<Grant>,
    /// What of that it may not: durable consumers of other roles.
    pub deny: Vec<String>,
    /// What it may subscribe to.
    pub subscribe: Vec<String>,
}

/// Subjects and the reason why a user may publish them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Grant {
    /// In a few words.
    pub reason: String,
    /// The subjects.
    pub subjects: Vec<String>,
}

impl RoleSpec {
    /// What its NATS user may do, and no more; `all` are the roles whose consumers it must leave alone.
    #[must_use]
    pub fn permissions(&self, topology: &Topology, all: &[&Self]) -> Permissions {
        let mut publish = vec![Grant {
            reason: "what it publishes".to_owned(),
            subjects: self.publishes.iter().map(ToString::to_string).collect(),
        }];
        let known = self.streams_published(topology);
        publish.push(Grant {
            reason: "are the streams there, and as this version needs them?".to_owned(),
            subjects: known.iter().map(|stream| info(stream)).collect(),
        });
        for stream in self.reads.iter().map(|stream| stream.name()) {
            let mut subjects = reading(stream);
            if !known.iter().any(|known| known == stream) {
                subjects.insert(0, info(stream));
            }
            publish.push(Grant { reason: format!("reads {stream}"), subjects });
        }
        publish.extend(self.looked_up(&known));
        publish.push(Grant {
            reason: "asks the leader of streams".to_owned(),
            subjects: self
                .asks_leader
                .iter()
                .map(|stream| format!("$JS.API.STREAM.MSG.GET.{stream}"))
                .collect(),
        });
        publish.push(Grant {
            reason: "deletes single messages".to_owned(),
            subjects: self
                .deletes
                .iter()
                .map(|stream| format!("$JS.API.STREAM.MSG.DELETE.{stream}"))
                .collect(),
        });
        for queue in self.queues {
            publish.push(self.work(queue.stream, queue.consumer, &known));
        }
        for bucket in self.buckets {
            let stream = bucket.bucket.stream();
            let name = bucket.bucket.name();
            let writes = bucket.writes.iter().map(|keys| format!("$KV.{name}.{keys}"));
            let mut subjects: Vec<String> = writes.collect();
            let verb = if subjects.is_empty() { "reads" } else { "reads and writes" };
            subjects.push(info(&stream));
            if bucket.watches {
                subjects.extend(reading(&stream));
            } else {
                subjects.push(point_read(&stream));
            }
            publish.push(Grant { reason: format!("{verb} the bucket {name}"), subjects });
        }
        let publish = publish.into_iter().filter(|grant| !grant.subjects.is_empty()).collect();
        Permissions {
            publish,
            deny: self.denied(all),
            subscribe: vec![format!("_INBOX_{}.>", self.name)],
        }
    }

    /// The streams that hold what it publishes, sorted; not those behind buckets.
    fn streams_published(&self, topology: &Topology) -> Vec<String> {
        let mut streams: Vec<String> = self
            .publishes
            .iter()
            .flat_map(|subject| topology.streams_with(subject))
            .map(ToOwned::to_owned)
            .collect();
        streams.sort();
        streams.dedup();
        streams
    }

    fn looked_up(&self, known: &[String]) -> Option<Grant> {
        let names = || self.looks_up.iter().map(|stream| stream.name());
        let subjects = names().flat_map(|stream| {
            let unknown = !known.iter().any(|known| known == stream);
            unknown.then(|| info(stream)).into_iter().chain([point_read(stream)])
        });
        let subjects: Vec<String> = subjects.collect();
        (!subjects.is_empty()).then(|| Grant {
            reason: format!(
                "looks single messages up in {}",
                names().collect::<Vec<_>>().join(", ")
            ),
            subjects,
        })
    }

    fn work(&self, of: Stream, consumer: &str, known: &[String]) -> Grant {
        let stream = of.name();
        let mut subjects = Vec::new();
        if !known.iter().any(|known| known == stream) && !self.reads.contains(&of) {
            subjects.push(info(stream));
        }
        subjects.extend([
            format!("$JS.API.CONSUMER.INFO.{stream}.{consumer}"),
            format!("$JS.API.CONSUMER.CREATE.{stream}.{consumer}"),
            format!("$JS.API.CONSUMER.CREATE.{stream}.{consumer}.>"),
            format!("$JS.API.CONSUMER.MSG.NEXT.{stream}.{consumer}"),
            format!("$JS.ACK.{stream}.{consumer}.>"),
        ]);
        Grant { reason: format!("works off its durable consumer of {stream}"), subjects }
    }

    /// Reading a stream takes consumers of any name: those of other roles are excepted by theirs. Where the
    /// configuration names them (`*`) nothing can be excepted.
    fn denied(&self, all: &[&Self]) -> Vec<String> {
        let others = all.iter().filter(|other| other.name != self.name);
        let queues = others.flat_map(|other| other.queues);
        queues
            .filter(|queue| self.reads.contains(&queue.stream) && queue.consumer != "*")
            .flat_map(|queue| {
                let (stream, consumer) = (queue.stream, queue.consumer);
                ["CREATE", "DELETE", "MSG.NEXT"]
                    .map(|what| format!("$JS.API.CONSUMER.{what}.{stream}.{consumer}"))
                    .into_iter()
                    .chain([format!("$JS.API.CONSUMER.CREATE.{stream}.{consumer}.>")])
            })
            .collect()
    }
}

fn info(stream: &str) -> String {
    format!("$JS.API.STREAM.INFO.{stream}")
}

fn point_read(stream: &str) -> String {
    format!("$JS.API.DIRECT.GET.{stream}")
}

/// Point reads, and consumers that are made, asked and deleted. No acknowledgements: such a reader keeps its own
/// position.
fn reading(stream: &str) -> Vec<String> {
    vec![
        point_read(stream),
        format!("$JS.API.CONSUMER.CREATE.{stream}.>"),
        format!("$JS.API.CONSUMER.MSG.NEXT.{stream}.*"),
        format!("$JS.API.CONSUMER.DELETE.{stream}.*"),
    ]
}
