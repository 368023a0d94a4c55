//! Sequences: is there, in the order of the stream, an event of each step, the first at most so long before the last? Of
//! each step only the latest start of the steps up to it is kept: an earlier one can complete nothing that it cannot.

use bytes::Bytes;
use serde::{Deserialize, Serialize};

/// An event that is of a step.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Hit {
    #[serde(rename = "k")]
    pub(super) step: usize,
    #[serde(rename = "t")]
    pub(super) at_us: i64,
    /// The event's body, of the first step.
    #[serde(rename = "o", default, skip_serializing_if = "Bytes::is_empty", with = "body")]
    pub(super) body: Bytes,
}

/// The first event of the steps up to here.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Start {
    #[serde(rename = "t")]
    pub(super) at_us: i64,
    #[serde(rename = "o", with = "body")]
    pub(super) body: Bytes,
}

/// By step, without the last: its latest start.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Starts(Vec<Option<Start>>);

impl Starts {
    pub(super) fn apply(&mut self, hit: &Hit, within_us: i64) {
        let found = match hit.step {
            0 => Some(Start { at_us: hit.at_us, body: hit.body.clone() }),
            step => self.before(step, hit.at_us, within_us).cloned(),
        };
        let Some(found) = found else { return };
        if self.0.len() <= hit.step {
            self.0.resize(hit.step + 1, None);
        }
        let known = &mut self.0[hit.step];
        if known.as_ref().is_none_or(|known| known.at_us <= found.at_us) {
            *known = Some(found);
        }
    }

    /// The start of the steps before this one, if it is recent enough.
    pub(super) fn before(&self, step: usize, at_us: i64, within_us: i64) -> Option<&Start> {
        let start = self.0.get(step.checked_sub(1)?)?.as_ref()?;
        (at_us.saturating_sub(start.at_us) <= within_us).then_some(start)
    }

    /// When the last of them is too old; `None` without any.
    pub(super) fn end_us(&self, within_us: i64) -> Option<i64> {
        let newest = self.0.iter().flatten().map(|start| start.at_us).max()?;
        Some(newest.saturating_add(within_us))
    }
}

/// Bytes as such, and not as a list of numbers.
mod body {
    use bytes::Bytes;
    use serde::{Deserializer, Serializer, de};

    pub(super) fn serialize<S: Serializer>(body: &Bytes, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_bytes(body)
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(
        deserializer: D,
    ) -> Result<Bytes, D::Error> {
        struct Visitor;

        impl de::Visitor<'_> for Visitor {
            type Value = Bytes;

            fn expecting(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                formatter.write_str("bytes")
            }

            fn visit_bytes<E: de::Error>(self, bytes: &[u8]) -> Result<Bytes, E> {
                Ok(Bytes::copy_from_slice(bytes))
            }
        }

        deserializer.deserialize_byte_buf(Visitor)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hit(step: usize, at_us: i64) -> Hit {
        Hit { step, at_us, body: Bytes::new() }
    }

    #[test]
    fn the_latest_start_counts_and_steps_keep_their_order() {
        let mut starts = Starts::default();
        starts.apply(&hit(1, 5), 10);
        assert_eq!(starts.before(2, 6, 10), None, "the second step came first");
        starts.apply(&hit(0, 10), 10);
        starts.apply(&hit(0, 14), 10);
        assert_eq!(starts.before(1, 24, 10).map(|start| start.at_us), Some(14));
        assert_eq!(starts.before(1, 25, 10), None, "too late");
        starts.apply(&hit(1, 15), 10);
        assert_eq!(starts.before(2, 20, 10).map(|start| start.at_us), Some(14));
        assert_eq!(starts.end_us(10), Some(24));
    }
}
