//! Which scopes a chain had, and which blocks were published for each: a value of the bucket `cursors`. Pure.

use serde::{Deserialize, Serialize};

use super::Scope;

/// Ranges of one version that are kept apart; above that the two nearest become one. A range that is too wide is only
/// published again in vain.
const MAX_RANGES: usize = 64;
/// Versions that are kept although nothing of them is left to do: an audit may have verified blocks for them.
const MAX_SETTLED: usize = 8;

/// Blocks from one number to another, both included.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub(crate) struct Range {
    pub(crate) from: u64,
    pub(crate) to: u64,
}

/// The scopes of a chain, the newest last. A chain that always had everything has none.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct ScopeRecord {
    versions: Vec<Version>,
}

/// One scope and what was published for it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Version {
    version: u32,
    digest: String,
    scope: Scope,
    /// When it came into force, microseconds UTC.
    since_us: i64,
    /// First block of the live lane under it; absent until there is one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    live_from: Option<u64>,
    /// What else is complete for it and for nothing wider: its part of the live lane once it is over, and ranges of the past.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    ranges: Vec<Range>,
}

impl ScopeRecord {
    /// Version of the scope in force; `None` while everything is published.
    pub(crate) fn version(&self) -> Option<u32> {
        self.versions.last().filter(|last| !last.scope.is_everything()).map(|last| last.version)
    }

    /// Version of the newest scope, also if that is everything; `None` without a record.
    pub(crate) fn newest_version(&self) -> Option<u32> {
        self.versions.last().map(|last| last.version)
    }

    /// Puts a scope in force. Returns whether that changes the record.
    pub(crate) fn put_in_force(&mut self, scope: &Scope, now_us: i64) -> bool {
        let digest = scope.digest();
        let is_known = match self.versions.last() {
            // Without a record everything was published so far.
            None => scope.is_everything(),
            Some(last) => last.digest == digest,
        };
        if is_known {
            return false;
        }
        let version = self.versions.last().map_or(1, |last| last.version.saturating_add(1));
        self.versions.push(Version {
            version,
            digest,
            scope: scope.clone(),
            since_us: now_us,
            live_from: None,
            ranges: Vec::new(),
        });
        self.forget_settled();
        true
    }

    /// Drops the oldest versions of which nothing could have to be published again.
    fn forget_settled(&mut self) {
        let mut surplus = self.versions.len().saturating_sub(MAX_SETTLED);
        self.versions.retain(|version| {
            let is_settled = version.ranges.is_empty() && version.live_from.is_none();
            let is_dropped = surplus > 0 && is_settled;
            surplus -= usize::from(is_dropped);
            !is_dropped
        });
    }

    /// Whether the live lane has not published anything under the scope in force.
    pub(crate) fn awaits_live(&self) -> bool {
        self.versions.last().is_some_and(|last| last.live_from.is_none())
    }

    /// The live lane begins under the scope in force, at a block. Returns the ranges that were published before it, and are not
    /// complete for it: they are to be published again.
    pub(crate) fn begin_live(&mut self, first: u64) -> Vec<Range> {
        let Some((last, earlier)) = self.versions.split_last_mut() else { return Vec::new() };
        last.live_from = Some(first);
        let mut missing = Vec::new();
        for version in earlier {
            if let Some(from) = version.live_from.take() {
                version.ranges.push(Range { from, to: first.saturating_sub(1).max(from) });
            }
            if !version.scope.covers(&last.scope) {
                missing.append(&mut version.ranges);
            }
        }
        last.ranges.append(&mut missing.clone());
        normalise(&mut last.ranges);
        normalise(&mut missing);
        missing
    }

    /// A range of the past is about to be published under the scope in force. Returns whether that changes the record.
    pub(crate) fn add_past(&mut self, range: Range) -> bool {
        let Some(last) = self.versions.last_mut().filter(|last| !last.scope.is_everything()) else {
            return false;
        };
        if last.ranges.iter().any(|known| known.from <= range.from && range.to <= known.to) {
            return false;
        }
        last.ranges.push(range);
        normalise(&mut last.ranges);
        true
    }

    /// The scope in force with this digest or an earlier one, newest first.
    pub(crate) fn scope_of(&self, digest: &str) -> Option<&Scope> {
        self.versions
            .iter()
            .rev()
            .find(|version| version.digest == digest)
            .map(|found| &found.scope)
    }
}

/// In order, without overlaps, and not too many.
fn normalise(ranges: &mut Vec<Range>) {
    ranges.sort_unstable();
    let mut joined: Vec<Range> = Vec::with_capacity(ranges.len());
    for range in ranges.drain(..) {
        match joined.last_mut() {
            Some(last) if range.from <= last.to.saturating_add(1) => {
                last.to = last.to.max(range.to)
            }
            _ => joined.push(range),
        }
    }
    while joined.len() > MAX_RANGES {
        let gaps = joined.windows(2).map(|pair| pair[1].from - pair[0].to);
        let Some((nearest, _)) = gaps.enumerate().min_by_key(|(_, gap)| *gap) else { break };
        joined[nearest].to = joined.remove(nearest + 1).to;
    }
    *ranges = joined;
}
