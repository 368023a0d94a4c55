//! A provider and its endpoints, checked and ready to be polled.

use std::{num::NonZeroU32, sync::Arc, time::Duration};

use crypto_intel_schemas::Kind;
use crypto_intel_service::Secret;
use reqwest::{
    Url,
    header::{HeaderMap, HeaderName},
};

use crate::mapping::filter::{Filter, Variables};

/// A provider, checked and ready.
#[derive(Debug)]
pub(crate) struct Provider {
    pub(crate) name: String,
    /// Absent without a key.
    pub(crate) key: Option<(KeyPlace, Secret)>,
    pub(crate) headers: HeaderMap,
    pub(crate) per_minute: NonZeroU32,
    pub(crate) burst: NonZeroU32,
    pub(crate) endpoints: Vec<Arc<Endpoint>>,
}

/// Where a key is sent.
#[derive(Debug, Clone)]
pub(crate) enum KeyPlace {
    Header(HeaderName),
    Query(String),
}

/// One request that is made periodically.
#[derive(Debug)]
pub(crate) struct Endpoint {
    pub(crate) provider: String,
    pub(crate) name: String,
    /// Everything but the key.
    pub(crate) url: Url,
    pub(crate) kind: Kind,
    pub(crate) every: Duration,
    pub(crate) timeout: Duration,
    pub(crate) max_body_bytes: usize,
    pub(crate) weight: NonZeroU32,
    /// Without a valid answer for this long, the endpoint is unhealthy.
    pub(crate) stale_after: Duration,
    /// Answers whose newest event is older than this make it unhealthy as well.
    pub(crate) max_data_age: Option<Duration>,
    /// Whether an answer without events is valid.
    pub(crate) may_be_empty: bool,
    /// What should come back, by [`Event::key`](crypto_intel_schemas::Event::key).
    pub(crate) expected: Vec<String>,
    pub(crate) events: Filter,
    pub(crate) fault: Option<Filter>,
    pub(crate) variables: Variables,
}

impl Endpoint {
    /// `<provider>.<endpoint>`.
    pub(crate) fn label(&self) -> String {
        format!("{}.{}", self.provider, self.name)
    }
}

impl Provider {
    /// Removes the key from a text of the provider.
    pub(crate) fn redact(&self, text: &str) -> String {
        match &self.key {
            Some((_, key)) => text.replace(key.expose(), "***"),
            None => text.to_owned(),
        }
    }
}
