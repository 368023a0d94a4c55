use std::path::Path;

use crypto_intel_schemas::patterns::overlaps;
use serde_json::{Map, Value, json};

use super::TopologyConfig;
use crate::error::NatsError;
use crate::role::RoleSpec;

/// Definitions cannot be read or applied.
#[derive(Debug, thiserror::Error)]
pub enum TopologyError {
    /// A file cannot be read.
    #[error("cannot read {path}")]
    Read {
        /// The file or folder.
        path: String,
        /// Why.
        source: std::io::Error,
    },
    /// A file is not what `nats stream add --config` takes.
    #[error("{path} is no definition: {reason}")]
    Invalid {
        /// The file.
        path: String,
        /// What is wrong.
        reason: String,
    },
    /// The configuration names a stream that is not defined.
    #[error("streams.streams.{name} is not one of our streams, known are: {known}")]
    UnknownStream {
        /// The configured name.
        name: String,
        /// The defined names.
        known: String,
    },
    /// Another stream has subjects that one of our streams needs.
    #[error(
        "{object} needs subject {subject}, which stream {other} takes: remove that stream, or change its subjects"
    )]
    Overlap {
        /// The stream that cannot be made.
        object: String,
        /// The subject of it.
        subject: String,
        /// The stream that has it.
        other: String,
    },
    /// The server refuses.
    #[error("{object}{}", hint(source))]
    Nats {
        /// The stream or consumer.
        object: String,
        /// Why.
        source: NatsError,
    },
}

/// What the server's refusal asks for.
fn hint(error: &NatsError) -> &'static str {
    match error {
        NatsError::Api { code: 10_047 | 10_023, .. } => {
            ": the server has too little room, lower max_bytes of the streams in the configuration or raise max_file in server.conf"
        }
        _ => "",
    }
}

#[derive(Debug, Clone)]
pub(super) struct StreamDefinition {
    pub(super) name: String,
    pub(super) config: Map<String, Value>,
}

impl StreamDefinition {
    fn subjects(&self) -> Vec<&str> {
        let subjects = self.config.get("subjects").and_then(Value::as_array);
        subjects.into_iter().flatten().filter_map(Value::as_str).collect()
    }

    /// What people call the copy of a stream.
    pub(super) fn name_of_copy(&self) -> String {
        format!("OUTSIDE/{}", self.name)
    }

    /// Whether it holds some subject of a pattern.
    fn holds(&self, pattern: &str) -> bool {
        self.subjects().iter().any(|subject| overlaps(subject, pattern))
    }
}

#[derive(Debug, Clone)]
pub(super) struct ConsumerDefinition {
    pub(super) stream: String,
    pub(super) name: String,
    pub(super) config: Map<String, Value>,
}

/// The streams, key-value buckets and durable consumers that this project needs.
#[derive(Debug, Clone)]
pub struct Topology {
    pub(super) streams: Vec<StreamDefinition>,
    /// Copies in the account of outside teams, where the server has one.
    pub(super) copies: Vec<StreamDefinition>,
    pub(super) consumers: Vec<ConsumerDefinition>,
}

macro_rules! embedded {
    ($($path:literal),* $(,)?) => {
        [$(($path, include_str!(concat!("../../", $path)))),*]
    };
}

const FILES: [(&str, &str); 38] = embedded![
    "streams/ALERT.json",
    "streams/AUDIT.json",
    "streams/DLQ.json",
    "streams/EVM.json",
    "streams/HISTORY.json",
    "streams/MARKET.json",
    "streams/NOTIFY.json",
    "streams/OUTBOX.json",
    "streams/SIGNALS.json",
    "streams/STATUS.json",
    "kv/api_keys.json",
    "kv/contracts.json",
    "kv/cursors.json",
    "kv/deliveries.json",
    "kv/facts.json",
    "kv/gaps.json",
    "kv/holdings.json",
    "kv/idempotency.json",
    "kv/labels.json",
    "kv/leases.json",
    "kv/names.json",
    "kv/pasts.json",
    "kv/prices.json",
    "kv/providers.json",
    "kv/routing.json",
    "kv/rule_state.json",
    "kv/sessions.json",
    "kv/silences.json",
    "kv/subscriptions.json",
    "kv/tokens.json",
    "kv/watchlist.json",
    "consumers/ALERT.notify.json",
    "outside/ALERT.json",
    "outside/EVM.json",
    "outside/HISTORY.json",
    "outside/MARKET.json",
    "outside/SIGNALS.json",
    "outside/STATUS.json",
];

impl Topology {
    /// The definitions this program was built with.
    ///
    /// # Errors
    /// Never for a released program: a test reads them.
    pub fn embedded() -> Result<Self, TopologyError> {
        let files = FILES.map(|(path, text)| (path.to_owned(), text.to_owned()));
        Self::from_files(files)
    }

    /// The definitions in the folders `streams`, `kv`, `consumers` and `outside` of `folder`.
    ///
    /// # Errors
    /// Fails when a file cannot be read or is no definition.
    pub fn load_dir(folder: &Path) -> Result<Self, TopologyError> {
        let mut files = Vec::new();
        for kind in ["streams", "kv", "consumers", "outside"] {
            let path = folder.join(kind);
            if !path.is_dir() {
                continue;
            }
            let read = |source| TopologyError::Read { path: path.display().to_string(), source };
            for entry in std::fs::read_dir(&path).map_err(read)? {
                let file = entry.map_err(read)?.path();
                if file.extension().is_some_and(|extension| extension == "json") {
                    let text = std::fs::read_to_string(&file).map_err(|source| {
                        TopologyError::Read { path: file.display().to_string(), source }
                    })?;
                    let name = file.file_name().unwrap_or_default().to_string_lossy();
                    files.push((format!("{kind}/{name}"), text));
                }
            }
        }
        files.sort();
        Self::from_files(files)
    }

    fn from_files(
        files: impl IntoIterator<Item = (String, String)>,
    ) -> Result<Self, TopologyError> {
        let mut topology = Self { streams: Vec::new(), copies: Vec::new(), consumers: Vec::new() };
        for (path, text) in files {
            let config: Map<String, Value> = serde_json::from_str(&text).map_err(|error| {
                TopologyError::Invalid { path: path.clone(), reason: error.to_string() }
            })?;
            let missing = |key: &str| TopologyError::Invalid {
                path: path.clone(),
                reason: format!("it has no {key:?}"),
            };
            let text_of =
                |key: &str| config.get(key).and_then(Value::as_str).map(ToOwned::to_owned);
            if let Some(file) = path.strip_prefix("consumers/") {
                // The stream is not part of a consumer's configuration: `<stream>.<consumer>.json`.
                let stream = file.split('.').next().unwrap_or_default().to_owned();
                let name = text_of("durable_name").ok_or_else(|| missing("durable_name"))?;
                topology.consumers.push(ConsumerDefinition { stream, name, config });
            } else {
                let name = text_of("name").ok_or_else(|| missing("name"))?;
                let is_copy = path.starts_with("outside/");
                let streams = if is_copy { &mut topology.copies } else { &mut topology.streams };
                streams.push(StreamDefinition { name, config });
            }
        }
        Ok(topology)
    }

    /// The same with a deployment's own limits.
    ///
    /// # Errors
    /// Fails when the configuration names a stream that is not defined.
    pub fn with_config(mut self, config: &TopologyConfig) -> Result<Self, TopologyError> {
        let copies = self.copies.iter().map(StreamDefinition::name_of_copy);
        let known: Vec<String> =
            self.streams.iter().map(|stream| stream.name.clone()).chain(copies).collect();
        if let Some(name) = config
            .streams
            .keys()
            .find(|name| !known.iter().any(|known| known.eq_ignore_ascii_case(name)))
        {
            return Err(TopologyError::UnknownStream {
                name: name.clone(),
                known: known.join(", "),
            });
        }
        let streams = self.streams.iter_mut().map(|stream| (stream.name.clone(), stream));
        let copies = self.copies.iter_mut().map(|copy| (copy.name_of_copy(), copy));
        for (known, stream) in streams.chain(copies) {
            // The environment has no lower case.
            let own = config.streams.iter().find(|(name, _)| known.eq_ignore_ascii_case(name));
            let own = own.map(|(_, own)| own.clone()).unwrap_or_default();
            if let Some(replicas) = own.replicas.or(config.replicas) {
                stream.config.insert("num_replicas".to_owned(), json!(replicas));
                if replicas > 1 {
                    // A mode of single servers.
                    stream.config.remove("persist_mode");
                }
            }
            if let Some(max_bytes) = own.max_bytes {
                stream.config.insert("max_bytes".to_owned(), json!(max_bytes));
            }
            if let Some(hours) = own.max_age_hours {
                let nanos = hours.saturating_mul(3_600_000_000_000);
                stream.config.insert("max_age".to_owned(), json!(nanos));
            }
        }
        Ok(self)
    }

    /// The stream that holds some subject of a pattern.
    #[must_use]
    pub fn stream_with(&self, pattern: &str) -> Option<&str> {
        self.streams_with(pattern).first().copied()
    }

    /// The streams that hold some subject of a pattern, those behind buckets included.
    #[must_use]
    pub fn streams_with(&self, pattern: &str) -> Vec<&str> {
        let all = self.streams.iter().filter(|stream| stream.holds(pattern));
        all.map(|stream| stream.name.as_str()).collect()
    }

    /// What some roles need: the streams that they publish to, read or work off, their buckets and consumers.
    #[must_use]
    pub fn of_roles(mut self, roles: &[&RoleSpec]) -> Self {
        let published = roles.iter().flat_map(|role| role.publishes);
        let mut needed: Vec<String> = published
            .flat_map(|subject| self.streams_with(subject))
            .map(ToOwned::to_owned)
            .collect();
        for role in roles {
            let queues = role.queues.iter().map(|queue| queue.stream);
            let streams = role.reads.iter().chain(role.looks_up).copied().chain(queues);
            needed.extend(streams.map(|stream| stream.name().to_owned()));
            needed.extend(role.buckets.iter().map(|bucket| bucket.bucket.stream()));
        }
        let is_own = |consumer: &ConsumerDefinition| {
            let mut queues = roles.iter().flat_map(|role| role.queues);
            queues.any(|queue| {
                queue.stream.name() == consumer.stream && queue.consumer == consumer.name
            })
        };
        self.streams.retain(|stream| needed.contains(&stream.name));
        self.consumers.retain(is_own);
        self.copies.clear();
        self
    }

    /// The streams that outside teams have copies of, with their subjects.
    #[must_use]
    pub fn copied(&self) -> Vec<(&str, Vec<&str>)> {
        let copies = self.copies.iter();
        let origin = |name: &str| self.streams.iter().find(|stream| stream.name == name);
        copies
            .map(|copy| {
                let subjects = origin(&copy.name).map(StreamDefinition::subjects);
                (copy.name.as_str(), subjects.unwrap_or_default())
            })
            .collect()
    }

    /// Names of the streams, buckets (`KV_…`) included.
    #[must_use]
    pub fn stream_names(&self) -> Vec<&str> {
        self.streams.iter().map(|stream| stream.name.as_str()).collect()
    }
}
