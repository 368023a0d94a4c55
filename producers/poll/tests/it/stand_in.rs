use std::{
    collections::VecDeque,
    io::Write as _,
    net::SocketAddr,
    sync::{Arc, Mutex},
    time::{Duration, Instant},
};

use axum::{
    Router,
    body::{Body, Bytes},
    extract::{Request, State},
    http::{HeaderMap, Response, StatusCode},
};
use flate2::{Compression, write::GzEncoder};
use tokio::task::JoinHandle;

/// An HTTP server that gives prepared answers in order and then repeats the last one.
pub(crate) struct StandIn {
    address: SocketAddr,
    shared: Arc<Mutex<Shared>>,
    server: JoinHandle<()>,
}

#[derive(Default)]
struct Shared {
    replies: VecDeque<Reply>,
    requests: Vec<Asked>,
}

/// A received request.
#[derive(Debug, Clone)]
pub(crate) struct Asked {
    pub(crate) method: String,
    pub(crate) path: String,
    pub(crate) body: String,
    pub(crate) query: Vec<(String, String)>,
    pub(crate) headers: HeaderMap,
    pub(crate) at: Instant,
}

impl Asked {
    pub(crate) fn query(&self, name: &str) -> Option<&str> {
        self.query.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_str())
    }
}

/// A prepared answer.
#[derive(Debug, Clone)]
pub(crate) struct Reply {
    pub(crate) status: u16,
    pub(crate) headers: Vec<(&'static str, String)>,
    pub(crate) body: Vec<u8>,
    /// In pieces without an announced length.
    pub(crate) chunked: bool,
    /// The connection ends in the middle of the body.
    pub(crate) truncated: bool,
    pub(crate) delay: Duration,
}

impl Reply {
    pub(crate) fn json(body: impl Into<Vec<u8>>) -> Self {
        Self {
            status: 200,
            headers: vec![("content-type", "application/json; charset=utf-8".to_owned())],
            body: body.into(),
            chunked: false,
            truncated: false,
            delay: Duration::ZERO,
        }
    }

    pub(crate) fn status(status: u16, body: &str) -> Self {
        Self { status, ..Self::json(body) }
    }

    /// Compresses the body.
    pub(crate) fn gzip(self) -> Self {
        let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
        encoder.write_all(&self.body).unwrap();
        let body = encoder.finish().unwrap();
        Self { body, ..self }.header("content-encoding", "gzip")
    }

    pub(crate) fn header(mut self, name: &'static str, value: &str) -> Self {
        self.headers.retain(|(known, _)| *known != name);
        self.headers.push((name, value.to_owned()));
        self
    }
}

impl StandIn {
    pub(crate) async fn start(replies: impl IntoIterator<Item = Reply>) -> Self {
        let shared = Shared { replies: replies.into_iter().collect(), requests: Vec::new() };
        let shared = Arc::new(Mutex::new(shared));
        let router = Router::new().fallback(answer).with_state(Arc::clone(&shared));
        let listener = tokio::net::TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
        let address = listener.local_addr().unwrap();
        let server = tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });
        Self { address, shared, server }
    }

    pub(crate) fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    pub(crate) fn requests(&self) -> Vec<Asked> {
        self.shared.lock().unwrap().requests.clone()
    }

    /// Replaces the prepared answers.
    pub(crate) fn reply(&self, replies: impl IntoIterator<Item = Reply>) {
        self.shared.lock().unwrap().replies = replies.into_iter().collect();
    }
}

impl Drop for StandIn {
    fn drop(&mut self) {
        self.server.abort();
    }
}

async fn answer(State(shared): State<Arc<Mutex<Shared>>>, request: Request) -> Response<Body> {
    let url = reqwest::Url::parse(&format!("http://stand-in{}", request.uri())).unwrap();
    let (head, body) = request.into_parts();
    let body = axum::body::to_bytes(body, 1 << 20).await.unwrap();
    let asked = Asked {
        method: head.method.to_string(),
        path: url.path().to_owned(),
        body: String::from_utf8(body.to_vec()).unwrap(),
        query: url.query_pairs().into_owned().collect(),
        headers: head.headers,
        at: Instant::now(),
    };
    let reply = {
        let mut shared = shared.lock().unwrap();
        shared.requests.push(asked);
        let next = shared.replies.pop_front();
        let reply = next.unwrap_or_else(|| Reply::status(404, "nothing prepared"));
        if shared.replies.is_empty() {
            shared.replies.push_back(reply.clone());
        }
        reply
    };
    tokio::time::sleep(reply.delay).await;
    let mut response = Response::builder().status(StatusCode::from_u16(reply.status).unwrap());
    for (name, value) in &reply.headers {
        response = response.header(*name, value);
    }
    let body = if reply.truncated {
        let half = Bytes::copy_from_slice(&reply.body[..reply.body.len() / 2]);
        let broken = Err(std::io::Error::other("the connection ends"));
        Body::from_stream(futures::stream::iter([Ok(half), broken]))
    } else if reply.chunked {
        let pieces: Vec<Result<Bytes, std::io::Error>> =
            reply.body.chunks(1_000).map(|piece| Ok(Bytes::copy_from_slice(piece))).collect();
        Body::from_stream(futures::stream::iter(pieces))
    } else {
        Body::from(reply.body)
    };
    response.body(body).unwrap()
}
