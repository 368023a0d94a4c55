//! Websockets: who may open one, and its subprotocols.

use std::{net::IpAddr, sync::Arc};

use axum::{
    Router,
    extract::{FromRequestParts, Path, WebSocketUpgrade},
    http::{HeaderMap, request::Parts},
    response::Response,
    routing::any,
};

use super::{
    access::{admitted, check_origin, connect, refuse_key_in},
    connection::{Budget, Connection, Timers},
    format::Format,
    message::client::Subscribe,
    query::StreamQuery,
    service::Service,
    session::{MAX_MESSAGE_BYTES, Session},
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
/// Allocated at once for each connection: small, for clients send little.
const READ_BUFFER_BYTES: usize = 1 << 10;
/// What is a little too large is read, so that the client can be told; more is not.
const MAX_READ_BYTES: usize = 4 * MAX_MESSAGE_BYTES;
/// One event may be larger than a frame; what is larger than this closes the connection.
const MAX_WRITE_BUFFER_BYTES: usize = 8 << 20;

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
    upgrade: WebSocketUpgrade,
}

impl FromRequestParts<ApiState> for Opening {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &ApiState) -> Result<Self, Problem> {
        refuse_key_in(parts.uri.query())?;
        let address =
            parts.extensions.get::<ClientAddress>().map_or(ClientAddress::UNKNOWN, |one| *one);
        let identity = parts.extensions.get::<Identity>().cloned().unwrap_or(Identity::Stranger);
        let upgrade =
            WebSocketUpgrade::from_request_parts(parts, state).await.map_err(|rejection| {
                let detail = format!("this is a websocket: {}", rejection.body_text());
                Problem::new(ProblemKind::MalformedBody, detail)
            })?;
        let headers = parts.headers.clone();
        Ok(Self { state: state.clone(), identity, address: address.0, headers, upgrade })
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
    let Opening { state, identity, address, headers, upgrade } = opening;
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
    let upgrade = upgrade
        .read_buffer_size(READ_BUFFER_BYTES)
        .write_buffer_size(0)
        .max_write_buffer_size(MAX_WRITE_BUFFER_BYTES)
        .max_message_size(MAX_READ_BYTES)
        .max_frame_size(MAX_READ_BYTES)
        .protocols([JSON_PROTOCOL, MESSAGEPACK_PROTOCOL]);
    let is_messagepack = upgrade.selected_protocol().is_some_and(|one| one == MESSAGEPACK_PROTOCOL);
    let format = if is_messagepack { Format::MessagePack } else { Format::Json };
    let live = Arc::clone(&state.live);
    let session = Session::new(Arc::clone(&live.hub), format, caller.cloned(), true);
    let tracker = live.tracker.clone();
    Ok(upgrade.on_upgrade(move |socket| {
        let connection = Connection {
            socket,
            session,
            live,
            state,
            address,
            admitted,
            connected,
            timers: Timers::begin(),
            budget: Budget::full(),
        };
        tracker.track_future(connection.serve(first))
    }))
}
