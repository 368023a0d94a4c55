//! Where a page begins: opaque to clients, bound to its list, over the whole key of a row.

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use serde::{Deserialize, Serialize, de::DeserializeOwned};
use sha2::{Digest as _, Sha256};

use crate::{
    parameters::values::CursorText,
    problem::{Problem, ProblemKind},
};

/// Raised when what a cursor holds changes its meaning.
const VERSION: u8 = 1;

/// Which way a page goes from its cursor.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Direction {
    /// On through the list: older, further down.
    Next,
    /// Back: newer.
    Prev,
}

/// What a list is: its route and what it is filtered by.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct ListId(u64);

impl ListId {
    pub(crate) fn new(route: &str, filters: &str) -> Self {
        let digest = Sha256::digest(format!("{route}?{filters}"));
        Self(u64::from_be_bytes(digest.first_chunk().copied().unwrap_or_default()))
    }
}

/// A place in a list: beside which row, in which direction, in which window.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Cursor<K> {
    pub(crate) direction: Direction,
    /// Key of the row that the page is beside, without it.
    pub(crate) key: K,
    /// From when on, microseconds: a window that ends now would move between two pages.
    pub(crate) since_us: i64,
}

type Encoded<K> = (u8, Direction, u64, i64, K);

impl<K: Serialize + DeserializeOwned> Cursor<K> {
    pub(crate) fn encode(&self, list: ListId) -> String {
        let value: Encoded<&K> = (VERSION, self.direction, list.0, self.since_us, &self.key);
        // Keys are numbers and short texts: they can always be written.
        URL_SAFE_NO_PAD.encode(rmp_serde::to_vec(&value).unwrap_or_default())
    }

    /// Reads what a client sent back.
    ///
    /// # Errors
    /// When it is no cursor, or one of another list.
    pub(crate) fn decode(text: &CursorText, list: ListId) -> Result<Self, Problem> {
        let foreign =
            || Problem::parameter("cursor", "it is no cursor: take `next` or `prev` of an answer");
        let bytes = URL_SAFE_NO_PAD.decode(&text.0).map_err(|_| foreign())?;
        let (version, direction, of, since_us, key): Encoded<K> =
            rmp_serde::from_slice(&bytes).map_err(|_| foreign())?;
        if version != VERSION {
            return Err(foreign());
        }
        if of != list.0 {
            let detail = "the cursor was made with other parameters: repeat those of its answer, or leave it out";
            return Err(Problem::new(ProblemKind::CursorMismatch, detail));
        }
        Ok(Self { direction, key, since_us })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    type Key = (i64, String);

    #[test]
    fn a_cursor_is_read_back_by_its_own_list_only() {
        let list = ListId::new("/transactions", "chain=base");
        let cursor = Cursor::<Key> {
            direction: Direction::Next,
            key: (1_700_000_000_123_456, "base".into()),
            since_us: 7,
        };
        let text = CursorText(cursor.encode(list));
        assert_eq!(Cursor::<Key>::decode(&text, list).unwrap(), cursor);
        assert!(text.0.len() <= 512, "{}", text.0.len());
        for other in
            [ListId::new("/transactions", "chain=ethereum"), ListId::new("/alerts", "chain=base")]
        {
            let problem = Cursor::<Key>::decode(&text, other).unwrap_err();
            assert_eq!(problem.type_uri, "/problems/cursor-mismatch");
        }
    }

    #[test]
    fn what_is_no_cursor_is_refused() {
        let list = ListId::new("/x", "");
        for text in ["A", "AAAA", "lgE", "____", "k5MBAgM"] {
            assert!(Cursor::<Key>::decode(&CursorText(text.into()), list).is_err(), "{text}");
        }
    }
}
