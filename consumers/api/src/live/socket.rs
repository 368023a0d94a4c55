//! Websockets: who may open one, and its subprotocols.

use std::{net::IpAddr, sync::Arc};

use axum::{
    Router,
    extract::{FromRequestParts, Path, WebSocketUpgrade},
    http::{HeaderMap, HeaderValue, StatusCode, header, request::Parts},
    response::{IntoResponse as _, Response},
    routing::any,
};
use hyper::upgrade::OnUpgrade;
use tokio_tungstenite::tungstenite::handshake::derive_accept_key;

use super::{
    access::{admitted, check_origin, connect, refuse_key_in},
    connection::{Budget, Connection, Timers},
    format::Format,
    message::client::Subscribe,
    query::StreamQuery,
    service::Service,
    session::Session,
    wire::Wire,
};
use crate::{
    auth::Identity,
    layers::client::ClientAddress,
    parameters::Asked,
    problem::{Problem, ProblemKind},
    state::ApiState,
};

const JSON_PROTOCOL: &str = "crypto-intel.v1.json";
const MESSAGEPACK_PROTOCOL: &str = "crypto-intel.v1.msgpack";

/// `/ws` and its other names.
pub(super) fn routes() -> Router<ApiState> {
    let mut router = Router::new();
    for prefix in ["/ws", "/api/v1/ws"] {
        router = router
            .route(prefix, any(open_any))
            .route(&format!("{prefix}/{{service}}"), any(open_one));
    }
    router
}

/// What a request to open a websocket brings.
struct Opening {
    state: ApiState,
    identity: Identity,
    address: IpAddr,
    headers: HeaderMap,
    /// What it asks for; the checks are those of the library.
    asked: WebSocketUpgrade,
    upgrade: OnUpgrade,
}

impl FromRequestParts<ApiState> for Opening {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &ApiState) -> Result<Self, Problem> {
        refuse_key_in(parts.uri.query())?;
        let address =
            parts.extensions.get::<ClientAddress>().map_or(ClientAddress::UNKNOWN, |one| *one);
        let identity = parts.extensions.get::<Identity>().cloned().unwrap_or(Identity::Stranger);
        let malformed = |why: &str| {
            let detail = format!("this is a websocket: {why}");
            Problem::new(ProblemKind::MalformedBody, detail)
        };
        let upgrade = parts.extensions.get::<OnUpgrade>().cloned();
        let asked = WebSocketUpgrade::from_request_parts(parts, state)
            .await
            .map_err(|rejection| malformed(&rejection.body_text()))?;
        let upgrade =
            upgrade.ok_or_else(|| malformed("the connection cannot be upgraded to one"))?;
        let headers = parts.headers.clone();
        Ok(Self { state: state.clone(), identity, address: address.0, headers, asked, upgrade })
    }
}

async fn open_any(opening: Opening) -> Result<Response, Problem> {
    open(opening, None).await
}

async fn open_one(
    opening: Opening,
    Path(service): Path<String>,
    query: Asked<StreamQuery>,
) -> Result<Response, Problem> {
    let service: Service = service.parse().map_err(Problem::not_found)?;
    let first =
        Subscribe { service: Some(service.as_str().to_owned()), ..query.parameters.subscribe() };
    open(opening, Some(first)).await
}

async fn open(opening: Opening, first: Option<Subscribe>) -> Result<Response, Problem> {
    let Opening { state, identity, address, headers, asked, upgrade } = opening;
    let refused = |problem: Problem| {
        let reason = problem.type_uri.rsplit(['/', '#']).next().unwrap_or_default().to_owned();
        state.live.hub.metrics.refused.with_label_values(&[&reason]).inc();
        problem
    };
    check_origin(&headers, &state.config.live.allowed_origins).map_err(refused)?;
    let admitted = admitted(&state, identity, &headers, address).await.map_err(refused)?;
    let caller = admitted.as_ref();
    let connected =
        connect(&state.live.connections, caller, address, &state.config.live).map_err(refused)?;
    let asked = asked.protocols([JSON_PROTOCOL, MESSAGEPACK_PROTOCOL]);
    let protocol = asked.selected_protocol().cloned();
    let is_messagepack = protocol.as_ref().is_some_and(|one| one == MESSAGEPACK_PROTOCOL);
    let format = if is_messagepack { Format::MessagePack } else { Format::Json };
    let live = Arc::clone(&state.live);
    let session = Session::new(Arc::clone(&live.hub), format, caller.cloned(), true);
    let tracker = live.tracker.clone();
    let response = switching(&headers, protocol)?;
    // Two tasks: the one that lives as long as the client holds nothing of its beginning.
    tokio::spawn(async move {
        let Ok(upgraded) = upgrade.await else {
            // The client went away before it had its answer.
            return;
        };
        let connection = Box::new(Connection {
            wire: Wire::new(upgraded).await,
            session,
            live,
            state,
            address,
            admitted,
            connected,
            timers: Timers::begin(),
            budget: Budget::full(),
        });
        tracker.spawn(connection.serve(first.map(Box::new)));
    });
    Ok(response)
}

/// The answer that makes the connection a websocket (RFC 6455, section 4.2.2).
fn switching(headers: &HeaderMap, protocol: Option<HeaderValue>) -> Result<Response, Problem> {
    let accept = headers
        .get(header::SEC_WEBSOCKET_KEY)
        .and_then(|key| HeaderValue::from_str(&derive_accept_key(key.as_bytes())).ok())
        .ok_or_else(|| {
            let detail = "a websocket begins with HTTP/1.1 and the header Sec-WebSocket-Key";
            Problem::new(ProblemKind::MalformedBody, detail)
        })?;
    let mut response = StatusCode::SWITCHING_PROTOCOLS.into_response();
    let answer = response.headers_mut();
    answer.insert(header::CONNECTION, HeaderValue::from_static("upgrade"));
    answer.insert(header::UPGRADE, HeaderValue::from_static("websocket"));
    answer.insert(header::SEC_WEBSOCKET_ACCEPT, accept);
    if let Some(protocol) = protocol {
        answer.insert(header::SEC_WEBSOCKET_PROTOCOL, protocol);
    }
    Ok(response)
}
