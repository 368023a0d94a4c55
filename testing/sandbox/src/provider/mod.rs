//! A stand-in for polled market APIs.
//!
//! It gives the answer that was set for a path and query, or else, when enabled, plausible generated answers of
//! CoinGecko's simple price, Binance's 24 h ticker and candles of an hour, alternative.me's Fear and Greed index, and a
//! list of invented articles.
//! Every answer says `Server: crypto-intel-stand-in`.

mod generated;
mod news;

use std::collections::{BTreeMap, VecDeque};

use parking_lot::{Mutex, MutexGuard};
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use axum::Router;
use axum::body::Body;
use axum::extract::{ConnectInfo, Query, State};
use axum::http::{HeaderMap, HeaderValue, StatusCode, Uri, header};
use axum::response::{IntoResponse as _, Response};
use axum::routing::any;

use crate::local_server::{Connection, LocalServer};

/// The `Server` header of every answer.
pub const PROVIDER_NAME: &str = "crypto-intel-stand-in";

/// How to start a [`ProviderServer`].
#[derive(Debug, Clone, Default)]
pub struct ProviderOptions {
    /// Whether paths without a given answer get a generated one; else 404.
    pub generate: bool,
}

/// An answer for a path.
#[derive(Debug, Clone)]
pub struct ProviderAnswer {
    /// HTTP status.
    pub status: u16,
    /// Further headers.
    pub headers: Vec<(String, String)>,
    /// The body; JSON unless `headers` say otherwise.
    pub body: String,
}

impl ProviderAnswer {
    /// Status 200 with this JSON text.
    pub fn json(body: impl Into<String>) -> Self {
        Self { status: 200, headers: Vec::new(), body: body.into() }
    }
}

/// What happens to a request instead of its answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ProviderFault {
    /// 429, with `Retry-After` when given (seconds).
    TooManyRequests {
        /// Value of the header.
        retry_after: Option<u64>,
    },
    /// This status with a short text.
    Status(u16),
    /// The right answer, this much later.
    Slow(Duration),
    /// 200 with a JSON string of this many bytes.
    Oversized(usize),
    /// 200 with an HTML page.
    Html,
    /// 200 with the first half of the right answer.
    HalfAnswer,
    /// The connection is cut without an answer.
    Reset,
}

/// A request that came in.
#[derive(Debug, Clone)]
pub struct ProviderRequest {
    /// Path with its leading slash.
    pub path: String,
    /// Decoded query parameters.
    pub query: BTreeMap<String, String>,
    /// Headers, lower-case names.
    pub headers: BTreeMap<String, String>,
    /// When it came in.
    pub at: SystemTime,
}

/// A market API on 127.0.0.1; gone when dropped.
#[derive(Debug)]
pub struct ProviderServer {
    server: LocalServer,
    state: Arc<Mutex<ProviderState>>,
}

#[derive(Debug, Default)]
struct ProviderState {
    generate: bool,
    answers: Vec<GivenAnswer>,
    faults: VecDeque<(Option<String>, ProviderFault)>,
    requests: Vec<ProviderRequest>,
}

#[derive(Debug)]
struct GivenAnswer {
    path: String,
    query: Vec<(String, String)>,
    answer: ProviderAnswer,
}

impl ProviderServer {
    /// Starts the stand-in.
    ///
    /// # Errors
    /// Fails when no port is free.
    pub async fn start(options: ProviderOptions) -> anyhow::Result<Self> {
        let state = ProviderState { generate: options.generate, ..ProviderState::default() };
        let state = Arc::new(Mutex::new(state));
        let router = Router::new().fallback(any(handle)).with_state(Arc::clone(&state));
        Ok(Self { server: LocalServer::start(router).await?, state })
    }

    /// `http://127.0.0.1:PORT`, the base URL of every provider.
    #[must_use]
    pub fn url(&self) -> String {
        format!("http://127.0.0.1:{}", self.server.port())
    }

    /// Requests for `path` whose query holds these pairs (and perhaps others) get this answer; the last one that fits wins.
    pub fn set_answer(&self, path: &str, query: &[(&str, &str)], answer: ProviderAnswer) {
        let query = query.iter().map(|(name, value)| ((*name).into(), (*value).into())).collect();
        self.state().answers.push(GivenAnswer { path: path.to_owned(), query, answer });
    }

    /// The next `count` requests, of one path or of any, meet this fault.
    pub fn inject(&self, path: Option<&str>, fault: ProviderFault, count: usize) {
        let fault = (path.map(str::to_owned), fault);
        self.state().faults.extend(std::iter::repeat_n(fault, count));
    }

    /// Cuts all connections.
    pub fn cut_connections(&self) {
        self.server.cut_connections();
    }

    /// All requests so far.
    #[must_use]
    pub fn requests(&self) -> Vec<ProviderRequest> {
        self.state().requests.clone()
    }

    /// How many requests there were for a path.
    #[must_use]
    pub fn calls(&self, path: &str) -> usize {
        self.state().requests.iter().filter(|request| request.path == path).count()
    }

    fn state(&self) -> MutexGuard<'_, ProviderState> {
        lock(&self.state)
    }
}

impl ProviderState {
    fn answer(&self, request: &ProviderRequest) -> ProviderAnswer {
        let given = self.answers.iter().rev().find(|given| {
            given.path == request.path
                && given.query.iter().all(|(name, value)| request.query.get(name) == Some(value))
        });
        if let Some(given) = given {
            return given.answer.clone();
        }
        let generated = self.generate.then(|| generated::answer(request)).flatten();
        generated.unwrap_or_else(|| ProviderAnswer {
            status: 404,
            headers: Vec::new(),
            body: r#"{"error":"not found"}"#.to_owned(),
        })
    }

    fn take_fault(&mut self, path: &str) -> Option<ProviderFault> {
        let fits = |only: &Option<String>| only.as_deref().is_none_or(|only| only == path);
        let place = self.faults.iter().position(|(only, _)| fits(only))?;
        self.faults.remove(place).map(|(_, fault)| fault)
    }
}

fn lock(state: &Mutex<ProviderState>) -> MutexGuard<'_, ProviderState> {
    state.lock()
}

async fn handle(
    State(state): State<Arc<Mutex<ProviderState>>>,
    ConnectInfo(connection): ConnectInfo<Connection>,
    Query(query): Query<BTreeMap<String, String>>,
    uri: Uri,
    headers: HeaderMap,
) -> Response {
    let request = ProviderRequest {
        path: uri.path().to_owned(),
        query,
        headers: headers
            .iter()
            .map(|(name, value)| {
                (name.to_string(), String::from_utf8_lossy(value.as_bytes()).into_owned())
            })
            .collect(),
        at: SystemTime::now(),
    };
    let (fault, mut answer) = {
        let mut state = lock(&state);
        let fault = state.take_fault(&request.path);
        let answer = state.answer(&request);
        state.requests.push(request);
        (fault, answer)
    };
    match fault {
        None => {}
        Some(ProviderFault::TooManyRequests { retry_after }) => {
            answer.status = 429;
            answer.headers = retry_after
                .map(|seconds| ("retry-after".to_owned(), seconds.to_string()))
                .into_iter()
                .collect();
            answer.body = r#"{"error":"too many requests"}"#.to_owned();
        }
        Some(ProviderFault::Status(status)) => {
            answer.status = status;
            answer.body = r#"{"error":"fault"}"#.to_owned();
        }
        Some(ProviderFault::Slow(delay)) => tokio::time::sleep(delay).await,
        Some(ProviderFault::Oversized(bytes)) => {
            answer.body = format!("\"{}\"", "x".repeat(bytes.saturating_sub(2)));
        }
        Some(ProviderFault::Html) => {
            answer.headers = vec![("content-type".to_owned(), "text/html".to_owned())];
            answer.body =
                "<!DOCTYPE html><html><body>Checking your browser</body></html>".to_owned();
        }
        Some(ProviderFault::HalfAnswer) => {
            let half = answer.body.len() / 2;
            let end = (half..).find(|at| answer.body.is_char_boundary(*at)).unwrap_or(0);
            answer.body.truncate(end);
        }
        Some(ProviderFault::Reset) => connection.cut().await,
    }
    respond(answer)
}

fn respond(answer: ProviderAnswer) -> Response {
    let status = StatusCode::from_u16(answer.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    let mut response = (status, Body::from(answer.body)).into_response();
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
    for (name, value) in answer.headers {
        let name = header::HeaderName::try_from(name);
        if let (Ok(name), Ok(value)) = (name, HeaderValue::try_from(value)) {
            headers.insert(name, value);
        }
    }
    headers.insert(header::SERVER, HeaderValue::from_static(PROVIDER_NAME));
    response
}
