//! A stand-in for a block explorer in the form of Etherscan: lists of what touched an address, in pages, with its limits and
//! its way to report errors. It knows the rows that it was given, or those of a node.

mod lists;

use std::{
    collections::{BTreeMap, VecDeque},
    sync::Arc,
};

use axum::{
    Json, Router,
    extract::{Query, State},
    http::{HeaderValue, StatusCode, header},
    response::{IntoResponse as _, Response},
    routing::get,
};
use parking_lot::{Mutex, MutexGuard};
use serde_json::{Value, json};

use crate::{http::RpcClient, local_server::LocalServer};

/// Beyond this many rows a list cannot be paged.
const WINDOW: u64 = 10_000;

/// What happens to a request instead of its answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ExplorerFault {
    /// 429 with `Retry-After`, seconds.
    TooManyRequests(u64),
    /// 200 with `NOTOK` and this cause.
    NotOk(String),
    /// This status with a page for people.
    Status(u16),
    /// 200 with this text.
    Text(String),
}

/// An explorer on 127.0.0.1; gone when dropped.
#[derive(Debug)]
pub struct ExplorerServer {
    server: LocalServer,
    state: Arc<Mutex<ExplorerState>>,
}

#[derive(Debug, Default)]
struct ExplorerState {
    /// Rows by `action`.
    rows: BTreeMap<String, Vec<Value>>,
    head: u64,
    most_rows: Option<usize>,
    faults: VecDeque<(Option<String>, ExplorerFault)>,
    refused: BTreeMap<String, String>,
    requests: Vec<BTreeMap<String, String>>,
}

impl ExplorerServer {
    /// Starts the stand-in without rows.
    ///
    /// # Errors
    /// Fails when no port is free.
    pub async fn start() -> anyhow::Result<Self> {
        let state = Arc::new(Mutex::new(ExplorerState::default()));
        let router = Router::new().route("/api", get(handle)).with_state(Arc::clone(&state));
        Ok(Self { server: LocalServer::start(router).await?, state })
    }

    /// Address of the API.
    #[must_use]
    pub fn url(&self) -> String {
        format!("http://127.0.0.1:{}/api", self.server.port())
    }

    /// Adds a row to a list, by its `action`: an object of texts with `blockNumber`. It is in the lists of those in `from`,
    /// `to` and `contractAddress`.
    pub fn add_row(&self, action: &str, row: Value) {
        self.state().rows.entry(action.to_owned()).or_default().push(row);
    }

    /// Removes the rows of a list that fit; how many there were.
    pub fn remove_rows(&self, action: &str, fits: impl Fn(&Value) -> bool) -> usize {
        let mut state = self.state();
        let Some(rows) = state.rows.get_mut(action) else { return 0 };
        let before = rows.len();
        rows.retain(|row| !fits(row));
        before - rows.len()
    }

    /// The newest block that it says to have.
    pub fn set_head(&self, number: u64) {
        self.state().head = number;
    }

    /// It gives at most so many rows, whatever is asked for.
    pub fn give_at_most(&self, rows: usize) {
        self.state().most_rows = Some(rows);
    }

    /// The next `count` requests, of one action or of any, meet this fault.
    pub fn inject(&self, action: Option<&str>, fault: ExplorerFault, count: usize) {
        let fault = (action.map(str::to_owned), fault);
        self.state().faults.extend(std::iter::repeat_n(fault, count));
    }

    /// Every request for an action is answered `NOTOK` with this cause; `None` ends that.
    pub fn refuse(&self, action: &str, cause: Option<&str>) {
        let mut state = self.state();
        match cause {
            Some(cause) => state.refused.insert(action.to_owned(), cause.to_owned()),
            None => state.refused.remove(action),
        };
    }

    /// Parameters of all requests so far.
    #[must_use]
    pub fn requests(&self) -> Vec<BTreeMap<String, String>> {
        self.state().requests.clone()
    }

    /// Reads what a node's blocks hold, as an explorer would: transactions, payments inside them, tokens. Afterwards it is
    /// at the last of these blocks.
    ///
    /// # Errors
    /// As [`RpcClient::call`].
    pub async fn index(&self, node: &RpcClient, from: u64, to: u64) -> anyhow::Result<()> {
        for number in from..=to {
            for (action, row) in lists::of_block(node, number).await? {
                self.add_row(action, row);
            }
        }
        self.set_head(to);
        Ok(())
    }

    fn state(&self) -> MutexGuard<'_, ExplorerState> {
        self.state.lock()
    }
}

impl ExplorerState {
    fn answer(&self, query: &BTreeMap<String, String>) -> Value {
        let text = |name: &str| query.get(name).map(String::as_str).unwrap_or_default();
        let number = |name: &str, usual: u64| text(name).parse().unwrap_or(usual);
        let action = text("action");
        if let Some(cause) = self.refused.get(action) {
            return not_ok(cause);
        }
        if matches!(action, "eth_blockNumber" | "eth_block_number") {
            return json!({ "jsonrpc": "2.0", "id": 83, "result": format!("{:#x}", self.head) });
        }
        let (page, offset) = (number("page", 1), number("offset", WINDOW));
        if page * offset > WINDOW {
            return not_ok(
                "Result window is too large, PageNo x Offset size must be less than or equal to 10000",
            );
        }
        let (first, last) = (number("startblock", 0), number("endblock", u64::MAX));
        let address = text("address").to_lowercase();
        let is_wanted = |row: &&Value| {
            let names = |field: &str| {
                row[field].as_str().is_some_and(|text| text.to_lowercase() == address)
            };
            (first..=last).contains(&block_of(row))
                && ["from", "to", "contractAddress"].iter().any(|field| names(field))
        };
        let mut rows: Vec<&Value> =
            self.rows.get(action).into_iter().flatten().filter(is_wanted).collect();
        rows.sort_by_key(|row| block_of(row));
        if text("sort") != "asc" {
            rows.reverse();
        }
        let most = self.most_rows.unwrap_or(usize::MAX).min(offset as usize);
        let skipped = (page - 1) as usize * most;
        let rows: Vec<&Value> = rows.into_iter().skip(skipped).take(most).collect();
        match rows.is_empty() {
            true => json!({ "status": "0", "message": "No transactions found", "result": [] }),
            false => json!({ "status": "1", "message": "OK", "result": rows }),
        }
    }
}

fn block_of(row: &Value) -> u64 {
    row["blockNumber"].as_str().and_then(|text| text.parse().ok()).unwrap_or_default()
}

fn not_ok(cause: &str) -> Value {
    json!({ "status": "0", "message": "NOTOK", "result": cause })
}

async fn handle(
    State(state): State<Arc<Mutex<ExplorerState>>>,
    Query(query): Query<BTreeMap<String, String>>,
) -> Response {
    let mut state = state.lock();
    let action = query.get("action").cloned();
    let fits = |only: &Option<String>| only.is_none() || *only == action;
    let place = state.faults.iter().position(|(only, _)| fits(only));
    let fault = place.and_then(|place| state.faults.remove(place)).map(|(_, fault)| fault);
    let answer = state.answer(&query);
    state.requests.push(query);
    match fault {
        None => Json(answer).into_response(),
        Some(ExplorerFault::NotOk(cause)) => Json(not_ok(&cause)).into_response(),
        Some(ExplorerFault::Text(text)) => text.into_response(),
        Some(ExplorerFault::Status(status)) => {
            let status = StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
            (status, "<html>Try again</html>").into_response()
        }
        Some(ExplorerFault::TooManyRequests(seconds)) => {
            let wait = HeaderValue::from(seconds);
            (StatusCode::TOO_MANY_REQUESTS, [(header::RETRY_AFTER, wait)]).into_response()
        }
    }
}
