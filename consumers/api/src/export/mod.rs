//! Lists as files: page after page of the same list, written as they are read. What is in memory is a few pages, and between two pages
//! no connection to the database is held.

mod csv;
mod format;

use std::time::Duration;

use axum::{
    body::{Body, Bytes},
    http::{HeaderValue, header},
    response::Response,
};
use futures::StreamExt as _;
use serde::Serialize;
use serde_json::{Value, json};
use tokio::sync::mpsc;

pub(crate) use self::{
    csv::Column,
    format::{Accepted, Format},
};
use crate::{
    auth::{Caller, scopes::Scope},
    limits::cost,
    page::Page,
    parameters::values::{CursorText, Limit},
    places::{Full, Owner, Place},
    problem::{Problem, ProblemKind},
    state::ApiState,
};

/// Items of one file.
const MAX_ITEMS: u64 = 1_000_000;
/// Items that are read at once.
const PAGE: u64 = 1_000;
/// Exports of one caller, and of all, at the same time.
const MAX_OF_CALLER: usize = 1;
const MAX_AT_ONCE: usize = 2;
/// A client that takes nothing for so long is gone.
const STALL: Duration = Duration::from_secs(30);

/// What is exported.
#[derive(Debug, Clone, Copy)]
pub(crate) struct List {
    /// What the file is called.
    pub(crate) name: &'static str,
    /// What it has in CSV.
    pub(crate) columns: &'static [Column],
}

/// Answers a list as a file. `page` reads the page of a cursor, with so many items at most.
///
/// # Errors
/// When the caller may not, when there are too many exports, or when the first page cannot be read.
pub(crate) async fn export<T, F>(
    state: &ApiState,
    caller: &Caller,
    (list, format): (List, Format),
    (from, limit): (Option<CursorText>, Option<Limit>),
    page: impl Fn(Option<CursorText>, Limit) -> F + Send + 'static,
) -> Result<Response, Problem>
where
    T: Serialize + Send + 'static,
    F: Future<Output = Result<Page<T>, Problem>> + Send,
{
    let place = admit(state, caller)?;
    let file = File {
        writer: Writer { format, columns: list.columns, items: 0 },
        most: limit.map_or(MAX_ITEMS, |limit| u64::from(limit.0)),
        next: None,
    };
    let first = page(from, file.limit()).await?;
    let (sender, receiver) = mpsc::channel(1);
    tokio::spawn(async move {
        file.write(first, page, &sender).await;
        drop(place);
    });
    // Layers ask for more after the end.
    let stream = futures::stream::unfold(receiver, |mut receiver| async move {
        receiver.recv().await.map(|part| (part, receiver))
    });
    let stream = stream.fuse();
    let mut response = Response::new(Body::from_stream(stream));
    let now = jiff::Timestamp::now().strftime("%Y%m%dT%H%M%SZ");
    let name = format!("attachment; filename=\"{}-{now}.{}\"", list.name, format.extension());
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(format.media_type()));
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    if let Ok(name) = HeaderValue::from_str(&name) {
        headers.insert(header::CONTENT_DISPOSITION, name);
    }
    Ok(response)
}

/// The right to export now; what it costs beyond a page is charged.
fn admit(state: &ApiState, caller: &Caller) -> Result<Place, Problem> {
    if !caller.may(Scope::Export) {
        let detail = format!(
            "files need the scope {}, which the role {} has not; {} has it",
            Scope::Export.as_str(),
            caller.role,
            Scope::Export.least_role()
        );
        return Err(Problem::new(ProblemKind::Forbidden, detail));
    }
    let owner = Owner::of(Some(caller), caller.address);
    let place = state.exports.take(owner, MAX_OF_CALLER, MAX_AT_ONCE).map_err(|full| {
        let detail = match full {
            Full::All => "others are exporting: two files at a time",
            Full::Owner => "you are exporting already: one file at a time",
        };
        Problem::new(ProblemKind::Busy, detail).after(Duration::from_secs(2))
    })?;
    let left = state.limits.charge(caller, cost::EXPORT - cost::LIST);
    if !left.is_allowed {
        let detail = format!("a file costs {}, and the minute's budget is used up", cost::EXPORT);
        return Err(Problem::new(ProblemKind::QuotaExceeded, detail).after(left.wait));
    }
    Ok(place)
}

/// A file while it is written.
struct File {
    writer: Writer,
    most: u64,
    /// Where the next file goes on.
    next: Option<String>,
}

type Part = Result<Bytes, std::io::Error>;

impl File {
    /// What the next page may have.
    fn limit(&self) -> Limit {
        let left = self.most.saturating_sub(self.writer.items).clamp(1, PAGE);
        Limit(u32::try_from(left).unwrap_or(u32::MAX))
    }

    async fn write<T, F>(
        mut self,
        first: Page<T>,
        page: impl Fn(Option<CursorText>, Limit) -> F,
        sender: &mpsc::Sender<Part>,
    ) where
        T: Serialize,
        F: Future<Output = Result<Page<T>, Problem>>,
    {
        let mut text = self.writer.head();
        let mut read = Ok(first);
        let problem = loop {
            let found = match read {
                Ok(found) => found,
                Err(problem) => break Some(problem),
            };
            for item in &found.items {
                self.writer.item(item, &mut text);
            }
            self.next = found.next;
            if !send(sender, std::mem::take(&mut text)).await {
                return;
            }
            let Some(next) = self.next.clone().filter(|_| self.writer.items < self.most) else {
                break None;
            };
            read = page(Some(CursorText(next)), self.limit()).await;
        };
        self.writer.end(self.next.as_deref(), problem.as_ref(), &mut text);
        send(sender, text).await;
    }
}

/// Whether the client took it.
async fn send(sender: &mpsc::Sender<Part>, text: String) -> bool {
    text.is_empty() || sender.send_timeout(Ok(Bytes::from(text)), STALL).await.is_ok()
}

/// Items as text.
struct Writer {
    format: Format,
    columns: &'static [Column],
    items: u64,
}

impl Writer {
    fn head(&self) -> String {
        match self.format {
            Format::Csv => csv::head(self.columns),
            _ => String::new(),
        }
    }

    fn item(&mut self, item: &impl Serialize, text: &mut String) {
        self.items += 1;
        let value = serde_json::to_value(item).unwrap_or(Value::Null);
        match self.format {
            Format::Csv => csv::record(self.items, self.columns, &value, text),
            _ => {
                text.push_str(&value.to_string());
                text.push('\n');
            }
        }
    }

    /// The last record: without it the file was cut.
    fn end(&self, next: Option<&str>, problem: Option<&Problem>, text: &mut String) {
        match self.format {
            Format::Csv => csv::end(self.columns, self.items, next, problem.is_some(), text),
            _ => {
                let complete = next.is_none() && problem.is_none();
                let mut end =
                    json!({ "end": true, "items": self.items, "complete": complete, "next": next });
                if let Some(problem) = problem {
                    end["problem"] = serde_json::to_value(problem).unwrap_or(Value::Null);
                }
                text.push_str(&end.to_string());
                text.push('\n');
            }
        }
    }
}

/// Whether a list is wanted as a file: the parameter counts before the header.
pub(crate) fn wanted(parameter: Option<Format>, accepted: Accepted) -> Option<Format> {
    parameter.or(accepted.0).filter(|format| *format != Format::Json)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn page(number: u64) -> Page<Value> {
        let next = (number < 5).then(|| format!("{}", number + 1));
        Page { next, ..Page::whole(vec![json!({ "n": number })]) }
    }

    fn file(format: Format, most: u64) -> File {
        const COLUMNS: &[Column] = &[("n", "/n")];
        File { writer: Writer { format, columns: COLUMNS, items: 0 }, most, next: None }
    }

    async fn written(file: File, fail_at: Option<u64>) -> String {
        let (sender, mut receiver) = mpsc::channel(100);
        let read = move |cursor: Option<CursorText>, _| async move {
            let number = cursor.map_or(1, |cursor| cursor.0.parse().unwrap());
            match fail_at {
                Some(at) if at == number => Err(Problem::new(ProblemKind::Busy, "no connection")),
                _ => Ok(page(number)),
            }
        };
        file.write(page(1), read, &sender).await;
        drop(sender);
        let mut all = Vec::new();
        while let Some(part) = receiver.recv().await {
            all.extend(part.unwrap());
        }
        String::from_utf8(all).unwrap()
    }

    #[tokio::test]
    async fn the_last_record_says_whether_it_is_all_and_where_to_go_on() {
        let whole = written(file(Format::Ndjson, 100), None).await;
        let lines: Vec<Value> =
            whole.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
        assert_eq!(lines.len(), 6);
        assert_eq!(lines[5], json!({ "end": true, "items": 5, "complete": true, "next": null }));
        let part = written(file(Format::Ndjson, 2), None).await;
        let last: Value = serde_json::from_str(part.lines().last().unwrap()).unwrap();
        assert_eq!(last, json!({ "end": true, "items": 2, "complete": false, "next": "3" }));
        let failed = written(file(Format::Ndjson, 100), Some(4)).await;
        let last: Value = serde_json::from_str(failed.lines().last().unwrap()).unwrap();
        assert_eq!(
            (&last["complete"], &last["next"], &last["items"]),
            (&json!(false), &json!("4"), &json!(3))
        );
        assert_eq!(last["problem"]["detail"], "no connection");
        let csv = written(file(Format::Csv, 2), None).await;
        assert_eq!(csv, "row,n,next\r\n1,1,\r\n2,2,\r\nend,2,3\r\n");
    }

    #[tokio::test(start_paused = true)]
    async fn a_client_that_takes_nothing_ends_the_file() {
        let (sender, receiver) = mpsc::channel(1);
        let read = |cursor: Option<CursorText>, _| async move {
            Ok(page(cursor.map_or(1, |cursor| cursor.0.parse().unwrap())))
        };
        let begun = tokio::time::Instant::now();
        file(Format::Ndjson, 100).write(page(1), read, &sender).await;
        assert_eq!(begun.elapsed(), STALL);
        assert_eq!(receiver.len(), 1, "what it did not take, without an end");
    }
}
