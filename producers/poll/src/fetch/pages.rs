//! An answer of several pages.

use std::collections::{BTreeMap, HashSet};

use crypto_intel_schemas::Event;
use jaq_json::Val;

use super::{error::FetchError, interpret::Interpreted};
use crate::catalogue::{Endpoint, MAX_EVENTS, Provider};

/// Query parameters of one page; empty for the first.
pub(crate) type Page = BTreeMap<String, String>;

/// An answer page by page. The pages are one answer: one that fails is a failure of all.
#[derive(Debug)]
pub(crate) struct Pages {
    limit: usize,
    asked: Vec<Page>,
    next: Option<Page>,
    read: Option<Interpreted>,
}

impl Pages {
    pub(crate) fn of(endpoint: &Endpoint) -> Self {
        Self {
            limit: endpoint.page_limit as usize,
            asked: Vec::new(),
            next: Some(Page::new()),
            read: None,
        }
    }

    /// The page to be requested now; `None` at the end.
    pub(crate) fn next(&mut self) -> Option<Page> {
        // A page that was asked before would go round in a circle.
        let asked = &self.asked;
        let next =
            self.next.take().filter(|page| asked.len() < self.limit && !asked.contains(page))?;
        self.asked.push(next.clone());
        Some(next)
    }

    /// Takes the page that was requested last.
    pub(crate) fn add(&mut self, page: Result<Interpreted, FetchError>) -> Result<(), FetchError> {
        match (&mut self.read, page) {
            (None, page) => {
                let mut first = page?;
                self.next = first.next_page.take();
                self.read = Some(first);
            }
            (Some(all), Ok(mut page)) => {
                self.next = page.next_page.take();
                all.append(page)?;
            }
            // A list that ends on the edge of a page.
            (Some(_), Err(FetchError::Empty { .. })) => {}
            (Some(_), Err(error)) => return Err(error),
        }
        Ok(())
    }

    /// The whole answer.
    pub(crate) fn finish(self) -> Interpreted {
        self.read.unwrap_or_default()
    }
}

impl Interpreted {
    fn append(&mut self, next: Self) -> Result<(), FetchError> {
        let known: HashSet<String> =
            self.events.iter().map(|event| event.id().to_owned()).collect();
        // Lists move while they are read: the end of one page is often the beginning of the next.
        let new = next.events.into_iter().filter(|event| !known.contains(event.id()));
        self.events.extend(new);
        if self.events.len() > MAX_EVENTS {
            let problem = format!(
                "its pages give more than {MAX_EVENTS} events: lower pages.limit of the endpoint"
            );
            return Err(FetchError::Shape { problem });
        }
        self.problems.extend(next.problems);
        let came: HashSet<String> = self.events.iter().map(Event::key).collect();
        self.missing.retain(|key| !came.contains(key));
        Ok(())
    }
}

/// Applies `pages.next_jq` to an answer: an object of query parameters, or null at the end.
pub(super) fn next_page(
    provider: &Provider,
    endpoint: &Endpoint,
    value: &Val,
) -> Result<Option<Page>, FetchError> {
    let Some(filter) = &endpoint.filters.next_page else { return Ok(None) };
    let wrong = |problem: String| {
        let problem = provider.redact(&problem);
        FetchError::Shape { problem: format!("pages.next_jq: {problem}") }
    };
    let outputs = filter.run(value.clone(), &endpoint.variables).map_err(wrong)?;
    let map = match outputs.as_slice() {
        [] | [Val::Null | Val::Bool(false)] => return Ok(None),
        [Val::Obj(map)] => map,
        [other, ..] => {
            return Err(wrong(format!("must give an object or null; produced: {other}")));
        }
    };
    let mut page = Page::new();
    for (name, value) in map.iter() {
        let text = |value: &Val| match value {
            Val::TStr(bytes) => Some(String::from_utf8_lossy(bytes).into_owned()),
            Val::Num(number) => Some(number.to_string()),
            _ => None,
        };
        let (Some(name), Some(value)) = (text(name), text(value)) else {
            return Err(wrong(format!(
                "gives {name} as {value}, which is neither a text nor a number"
            )));
        };
        page.insert(name, value);
    }
    Ok((!page.is_empty()).then_some(page))
}
