//! What lists answer.

use std::collections::BTreeMap;

use axum::{
    Json,
    http::{HeaderMap, HeaderValue, header},
    response::{IntoResponse, Response},
};
use crypto_intel_schemas::{Event, Kind};
use crypto_intel_service::now_us;
use crypto_intel_store::{ChainHead, PageRequest, RowPage, Towards};
use serde::{Serialize, de::DeserializeOwned};
use serde_json::value::RawValue;
use utoipa::{
    PartialSchema, ToSchema,
    openapi::{Ref, RefOr, Schema},
};

use crate::{
    cursor::{Cursor, Direction, ListId},
    parameters::values::{CursorText, Limit, Moment},
    problem::Problem,
};

const DAY_US: i64 = 86_400_000_000;
/// How far a list by time goes back unless it is told.
const DEFAULT_WINDOW_US: i64 = 7 * DAY_US;

/// A page of a list.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Page<T> {
    /// The items, newest first unless the list says otherwise.
    pub(crate) items: Vec<T>,
    /// `cursor` of the page after this one; null at the end.
    pub(crate) next: Option<String>,
    /// `cursor` of the page before this one, and of what is newer than the first page; null where there is nothing to begin
    /// at.
    pub(crate) prev: Option<String>,
    /// The time that was looked at, for lists by time.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) window: Option<Window>,
    /// How far the tables had read each stream that the list is made of.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub(crate) as_of: BTreeMap<String, u64>,
    /// Why the page may lack something.
    pub(crate) warnings: Vec<String>,
}

/// Steps of one answer.
pub(crate) const MAX_STEPS: u32 = 5_000;

impl<T> Page<T> {
    /// Steps of a time, at most [`MAX_STEPS`], the newest of it.
    pub(crate) fn of_steps(items: Vec<T>, window: Window, as_of: BTreeMap<String, u64>) -> Self {
        let mut page = Self { window: Some(window), as_of, ..Self::whole(items) };
        if page.items.len() >= MAX_STEPS as usize {
            page.warnings.push(format!(
                "only the newest {MAX_STEPS} steps are here: ask for a shorter time or a wider step"
            ));
        }
        page
    }

    /// A list that is short enough for one page.
    pub(crate) fn whole(items: Vec<T>) -> Self {
        Self {
            items,
            next: None,
            prev: None,
            window: None,
            as_of: BTreeMap::new(),
            warnings: Vec::new(),
        }
    }

    /// For the header `Link`.
    pub(crate) fn header_links(&self) -> Links {
        Links { next: self.next.clone(), prev: self.prev.clone() }
    }
}

impl<T: Serialize> IntoResponse for Page<T> {
    fn into_response(self) -> Response {
        let links = self.header_links();
        let mut response = Json(self).into_response();
        response.extensions_mut().insert(links);
        response
    }
}

/// The cursors of a page for its header `Link`, which only who knows the request can write.
#[derive(Debug, Clone)]
pub(crate) struct Links {
    next: Option<String>,
    prev: Option<String>,
}

impl Links {
    /// Relative to the request, whose other parameters stay: a client follows them as they are.
    pub(crate) fn put(&self, query: &str, headers: &mut HeaderMap) {
        let others =
            query.split('&').filter(|pair| !pair.is_empty() && !pair.starts_with("cursor="));
        let others: String = others.map(|pair| format!("{pair}&")).collect();
        let links = [("next", &self.next), ("prev", &self.prev)];
        let links: Vec<String> = links
            .into_iter()
            .filter_map(|(name, cursor)| Some((name, cursor.as_ref()?)))
            .map(|(name, cursor)| format!("<?{others}cursor={cursor}>; rel=\"{name}\""))
            .collect();
        if !links.is_empty()
            && let Ok(value) = HeaderValue::from_str(&links.join(", "))
        {
            headers.insert(header::LINK, value);
        }
    }
}

/// Where the pages beside one begin.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Turns<K> {
    next: Option<K>,
    prev: Option<K>,
}

impl<K: Clone> Turns<K> {
    fn new<T>(found: &RowPage<T>, request: &PageRequest<K>, key: impl Fn(&T) -> K) -> Self {
        let (first, last) = (found.rows.first().map(&key), found.rows.last().map(&key));
        let from = request.beside.as_ref();
        // A page that is empty leads back to where it was asked from.
        let back = || from.map(|(key, _)| key.clone());
        match from {
            Some((_, Towards::Newer)) => Self { next: last, prev: first.or_else(back) },
            _ => Self { next: last.filter(|_| found.more), prev: first.or_else(back) },
        }
    }
}

/// Which page of a list is asked for: by its parameters, or by the cursor of another page.
#[derive(Debug)]
pub(crate) struct Turn<K> {
    list: ListId,
    /// The time that it is about; that of the first page, whenever a further one is asked for.
    pub(crate) window: Window,
    /// The question to the tables.
    pub(crate) request: PageRequest<K>,
}

impl<K: Clone + Serialize + DeserializeOwned> Turn<K> {
    /// Of a list by time.
    ///
    /// # Errors
    /// When the cursor is none of this list.
    pub(crate) fn new(
        list: ListId,
        cursor: Option<&CursorText>,
        mut window: Window,
        limit: Option<Limit>,
    ) -> Result<Self, Problem> {
        let cursor: Option<Cursor<K>> =
            cursor.map(|text| Cursor::decode(text, list)).transpose()?;
        if let Some(cursor) = &cursor {
            window.since_us = cursor.since_us;
        }
        let beside = cursor.map(|cursor| {
            let towards = match cursor.direction {
                Direction::Next => Towards::Older,
                Direction::Prev => Towards::Newer,
            };
            (cursor.key, towards)
        });
        let request = PageRequest { limit: Limit::or_default(limit), beside };
        Ok(Self { list, window, request })
    }

    /// `next` and `prev` of the answer.
    pub(crate) fn links<T>(
        &self,
        found: &RowPage<T>,
        key: impl Fn(&T) -> K,
    ) -> (Option<String>, Option<String>) {
        let Turns { next, prev } = Turns::new(found, &self.request, key);
        let text = |direction, key: Option<K>| key.map(|key| self.cursor(direction, key));
        (text(Direction::Next, next), text(Direction::Prev, prev))
    }

    /// `next` of an answer that ends at a place which is no row.
    pub(crate) fn go_on(&self, from: K) -> String {
        self.cursor(Direction::Next, from)
    }

    fn cursor(&self, direction: Direction, key: K) -> String {
        Cursor { direction, key, since_us: self.window.since_us }.encode(self.list)
    }
}

/// From when until when, microseconds UTC; both included.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, ToSchema)]
pub(crate) struct Window {
    /// From then on.
    pub(crate) since_us: i64,
    /// Up to then.
    pub(crate) until_us: i64,
}

impl Window {
    /// The time with the whole of the step in which it begins, microseconds UTC.
    pub(crate) fn in_steps(self, step_us: i64) -> (i64, i64) {
        (self.since_us.div_euclid(step_us) * step_us, self.until_us)
    }

    /// Of a list that is not by time.
    pub(crate) const NONE: Self = Self { since_us: 0, until_us: 0 };

    /// What was asked for; without a word the last seven days.
    ///
    /// # Errors
    /// When it ends before it begins.
    pub(crate) fn new(since: Option<Moment>, until: Option<Moment>) -> Result<Self, Problem> {
        let until_us = until.map_or_else(now_us, |until| until.0);
        let since_us = since.map_or(until_us - DEFAULT_WINDOW_US, |since| since.0).max(0);
        if since_us > until_us {
            return Err(Problem::parameter("since", "it is after `until`"));
        }
        Ok(Self { since_us, until_us })
    }
}

/// How sure a block is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Finality {
    /// It may leave the chain.
    Latest,
    /// It will hardly leave the chain.
    Safe,
    /// It cannot leave the chain.
    Final,
}

impl Finality {
    /// Of a block, by the newest one of its chain.
    pub(crate) fn of(number: u64, head: Option<&ChainHead>) -> Self {
        match head {
            Some(head) if number <= head.finalized_number => Self::Final,
            Some(head) if head.safe_number.is_some_and(|safe| number <= safe) => Self::Safe,
            _ => Self::Latest,
        }
    }

    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            Self::Latest => "latest",
            Self::Safe => "safe",
            Self::Final => "final",
        }
    }
}

/// Room for the text of most events.
const EVENT_BYTES: usize = 1_536;

/// An event as an item: as on the wire, and how sure its block is. It is text from the beginning: a page has fifty, and a value of
/// each would be most of what the role does for it.
#[derive(Debug, Clone, Serialize)]
#[serde(transparent)]
pub(crate) struct EventItem(Box<RawValue>);

impl EventItem {
    /// Its name in the description.
    pub(crate) const NAME: &str = "Event";
    /// What lists have.
    pub(crate) const KINDS: [Kind; 15] = [
        Kind::Alert,
        Kind::Article,
        Kind::Audit,
        Kind::Transaction,
        Kind::NativeTransfer,
        Kind::InternalTransfer,
        Kind::Erc20Transfer,
        Kind::Erc721Transfer,
        Kind::Erc1155Transfer,
        Kind::Approval,
        Kind::Swap,
        Kind::Liquidity,
        Kind::ContractCreation,
        Kind::ContractEvent,
        Kind::Log,
    ];

    pub(crate) fn new(event: &Event, heads: &[ChainHead]) -> Self {
        let mut json = Vec::with_capacity(EVENT_BYTES);
        event.write_json(&mut json);
        if let Some(block) = event.block_fields() {
            let head = heads.iter().find(|head| head.chain == block.chain);
            let finality = Finality::of(block.block_number, head).as_str();
            // One field more before the end of the object.
            json.pop();
            json.extend_from_slice(format!(",\"finality\":\"{finality}\"}}").as_bytes());
        }
        let json = String::from_utf8(json).unwrap_or_default();
        Self(RawValue::from_string(json).unwrap_or_else(|_| RawValue::NULL.to_owned()))
    }
}

impl PartialSchema for EventItem {
    fn schema() -> RefOr<Schema> {
        Ref::from_schema_name(Self::NAME).into()
    }
}

impl ToSchema for EventItem {
    fn name() -> std::borrow::Cow<'static, str> {
        Self::NAME.into()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_window_is_seven_days_unless_it_is_told() {
        let window = Window::new(None, Some(Moment(8 * DAY_US))).unwrap();
        assert_eq!(window, Window { since_us: DAY_US, until_us: 8 * DAY_US });
        assert_eq!(Window::new(None, Some(Moment(5))).unwrap().since_us, 0);
        assert!(Window::new(Some(Moment(2)), Some(Moment(1))).is_err());
    }

    #[test]
    fn pages_lead_on_while_there_is_more_and_back_always() {
        let page = |rows: &[u32], more| RowPage { rows: rows.to_vec(), more };
        let request = |beside| PageRequest { limit: 2, beside };
        let turns = |found, request: PageRequest<u32>| {
            let Turns { next, prev } = Turns::new(&found, &request, |row| *row);
            (next, prev)
        };
        assert_eq!(turns(page(&[9, 8], true), request(None)), (Some(8), Some(9)));
        assert_eq!(turns(page(&[9], false), request(None)), (None, Some(9)));
        assert_eq!(turns(page(&[], false), request(None)), (None, None));
        let after = |key| request(Some((key, Towards::Older)));
        assert_eq!(turns(page(&[], false), after(7)), (None, Some(7)));
        let before = |key| request(Some((key, Towards::Newer)));
        assert_eq!(turns(page(&[9, 8], false), before(7)), (Some(8), Some(9)));
        assert_eq!(turns(page(&[], false), before(7)), (None, Some(7)), "asked again later");
    }

    #[test]
    fn an_item_is_the_event_and_its_finality() {
        for kind in EventItem::KINDS {
            let event = crypto_intel_schemas::samples::sample(kind);
            let mut expected = event.to_json();
            if event.block_fields().is_some() {
                expected["finality"] = "latest".into();
            }
            assert_eq!(serde_json::to_value(EventItem::new(&event, &[])).unwrap(), expected);
        }
    }

    #[test]
    fn finality_follows_from_the_newest_block() {
        let head =
            |safe| ChainHead { finalized_number: 10, safe_number: safe, ..ChainHead::default() };
        assert_eq!(Finality::of(10, Some(&head(Some(20)))), Finality::Final);
        assert_eq!(Finality::of(20, Some(&head(Some(20)))), Finality::Safe);
        assert_eq!(Finality::of(21, Some(&head(Some(20)))), Finality::Latest);
        assert_eq!(Finality::of(11, Some(&head(None))), Finality::Latest);
        assert_eq!(Finality::of(1, None), Finality::Latest);
    }
}
