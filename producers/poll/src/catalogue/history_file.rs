//! `[endpoints.history]` of a provider file: how to ask for the past of an endpoint.

use std::{collections::BTreeMap, num::NonZeroU32};

use serde::Deserialize;

use super::file::{EndpointFile, FiltersFile, Format, Method};

/// How to ask for a range of time. Address, method, format, limits and `each` are those of the endpoint unless they are
/// said here; query, body and filters are its own.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct HistoryFile {
    #[serde(default)]
    pub(crate) base_url: Option<String>,
    #[serde(default)]
    pub(crate) method: Option<Method>,
    #[serde(default)]
    pub(crate) path: Option<String>,
    #[serde(default)]
    pub(crate) path_jq: Option<String>,
    #[serde(default)]
    pub(crate) query: BTreeMap<String, String>,
    #[serde(default)]
    pub(crate) query_jq: BTreeMap<String, String>,
    #[serde(default)]
    pub(crate) body: Option<String>,
    #[serde(default)]
    pub(crate) body_jq: Option<String>,
    #[serde(default)]
    pub(crate) each: Option<String>,
    #[serde(default)]
    pub(crate) format: Option<Format>,
    #[serde(default)]
    pub(crate) timeout_ms: Option<u32>,
    #[serde(default)]
    pub(crate) max_body_bytes: Option<usize>,
    #[serde(default)]
    pub(crate) weight: Option<NonZeroU32>,
    /// From one point to the next.
    pub(crate) step_seconds: NonZeroU32,
    /// Most points of one answer.
    pub(crate) max_points: NonZeroU32,
    /// How far back it goes; absent: without an end.
    #[serde(default)]
    pub(crate) max_days: Option<NonZeroU32>,
    /// How long after its time a point may still change.
    #[serde(default = "two_minutes")]
    pub(crate) settle_seconds: u32,
    #[serde(default)]
    pub(crate) order: Order,
    pub(crate) jq: HistoryFiltersFile,
}

/// At which end of a range an answer begins: where it holds less than the range, the other end is missing.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Order {
    #[default]
    Newest,
    Oldest,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct HistoryFiltersFile {
    pub(crate) events: String,
    #[serde(default)]
    pub(crate) fault: Option<String>,
    pub(crate) example: String,
}

impl HistoryFile {
    /// The same as an endpoint, so that it is checked and asked as one.
    pub(super) fn as_endpoint(&self, live: &EndpointFile) -> EndpointFile {
        let has_path = self.path.is_some() || self.path_jq.is_some();
        let (path, path_jq) = match has_path {
            true => (self.path.clone(), self.path_jq.clone()),
            false => (live.path.clone(), live.path_jq.clone()),
        };
        EndpointFile {
            base_url: self.base_url.clone().or_else(|| live.base_url.clone()),
            method: self.method.unwrap_or(live.method),
            path,
            path_jq,
            query: self.query.clone(),
            query_jq: self.query_jq.clone(),
            body: self.body.clone(),
            body_jq: self.body_jq.clone(),
            each: self.each.clone().or_else(|| live.each.clone()),
            format: self.format.unwrap_or(live.format),
            timeout_ms: self.timeout_ms.unwrap_or(live.timeout_ms),
            max_body_bytes: self.max_body_bytes.unwrap_or(live.max_body_bytes),
            weight: self.weight.unwrap_or(live.weight),
            pages: None,
            history: None,
            jq: FiltersFile {
                events: self.jq.events.clone(),
                expects: None,
                fault: self.jq.fault.clone(),
                cost: None,
                example: self.jq.example.clone(),
            },
            ..live.clone()
        }
    }
}

const fn two_minutes() -> u32 {
    120
}
