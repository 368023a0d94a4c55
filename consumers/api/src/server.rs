//! The router with everything that hangs on it, and the port.

use std::{
    net::{IpAddr, SocketAddr},
    pin::pin,
    sync::Arc,
    time::Duration,
};

use anyhow::Context as _;
use axum::{
    Router,
    body::Body,
    extract::{ConnectInfo, DefaultBodyLimit},
    middleware::{from_fn, from_fn_with_state},
};
use hyper::{body::Incoming, server::conn::http1, service::service_fn};
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::net::TcpListener;
use tokio_util::task::TaskTracker;
use tower::Service as _;
use tower_http::compression::CompressionLayer;
use utoipa_axum::router::OpenApiRouter;

use crate::{
    auth,
    layers::{client, deadline, host, observe, origin},
    live, openapi,
    places::{Owner, Place, Places},
    routes,
    state::ApiState,
    web,
};

/// Request line and headers together.
const MAX_HEAD_BYTES: usize = 64 << 10;
/// Connections of one address beside those that carry live events.
const SOCKETS_FOR_REQUESTS: usize = 256;
/// The same of all addresses.
const MAX_SOCKETS_FOR_REQUESTS: usize = 2_048;
const ACCEPT_AGAIN: Duration = Duration::from_millis(500);

/// Everything that is described. Another part of the API (live, the dashboard's files) is merged here: routes that are described
/// as an `OpenApiRouter`, others in [`router`].
pub(crate) fn described() -> OpenApiRouter<ApiState> {
    OpenApiRouter::with_openapi(openapi::head()).merge(routes::all()).merge(live::described())
}

/// The whole API.
///
/// # Errors
/// When the description or the dashboard cannot be made.
pub(crate) fn router(state: ApiState) -> anyhow::Result<Router> {
    let (described, description) = described().split_for_parts();
    let dashboard = web::routes(&description)?;
    let description = openapi::whole(&description)?;
    let router = Router::new()
        .merge(described)
        .merge(openapi::pages(&description))
        .merge(dashboard)
        .merge(live::sockets())
        .method_not_allowed_fallback(observe::method_not_allowed);
    Ok(layered(router, &state).with_state(state))
}

/// What every request passes, the last one first.
fn layered(router: Router<ApiState>, state: &ApiState) -> Router<ApiState> {
    router
        .layer(DefaultBodyLimit::max(state.config.max_body_bytes))
        .layer(from_fn_with_state(state.clone(), deadline::limit))
        .layer(from_fn_with_state(state.clone(), auth::identify))
        .layer(from_fn(origin::refuse_foreign_changes))
        .layer(from_fn_with_state(state.clone(), host::allow))
        .layer(from_fn_with_state(state.clone(), observe::observe))
        .layer(from_fn_with_state(state.clone(), client::locate))
        .layer(CompressionLayer::new().gzip(true))
}

/// Takes the port. Returns its address and the server's future, which ends at shutdown.
///
/// # Errors
/// When the address cannot be bound.
pub(crate) async fn serve(
    state: ApiState,
) -> anyhow::Result<(SocketAddr, impl Future<Output = ()> + Send + 'static)> {
    let listen = state.config.listen;
    let listener = TcpListener::bind(listen).await.with_context(|| {
        format!("bind api.listen {listen} (set another, or port 0 for a free one)")
    })?;
    let address = listener.local_addr().context("read the address of the API")?;
    let router = router(state.clone())?;
    Ok((address, accept(listener, router, state)))
}

/// Accepts connections until shutdown, then waits for the requests that are being answered.
async fn accept(listener: TcpListener, router: Router, state: ApiState) {
    let places = Arc::new(Places::default());
    let connections = TaskTracker::new();
    let mut http = http1::Builder::new();
    http.timer(TokioTimer::new())
        .header_read_timeout(Duration::from_millis(state.config.header_timeout_ms))
        .max_buf_size(MAX_HEAD_BYTES);
    loop {
        let accepted = tokio::select! {
            () = state.context.shutdown.cancelled() => break,
            accepted = listener.accept() => accepted,
        };
        let (socket, peer) = match accepted {
            Ok(accepted) => accepted,
            Err(error) => {
                // No file is left, mostly: connections that end give some back.
                tracing::warn!(%error, "cannot accept a connection of the API, trying again");
                tokio::time::sleep(ACCEPT_AGAIN).await;
                continue;
            }
        };
        let Some(place) = place(&places, peer.ip().to_canonical(), &state) else {
            state.metrics.refused("sockets");
            continue;
        };
        let router = router.clone();
        let service = service_fn(move |request: hyper::Request<Incoming>| {
            let mut request = request.map(Body::new);
            request.extensions_mut().insert(ConnectInfo(peer));
            router.clone().call(request)
        });
        let connection = http.serve_connection(TokioIo::new(socket), service).with_upgrades();
        let stop = state.context.shutdown.clone();
        connections.spawn(async move {
            let mut connection = pin!(connection);
            // A client that goes away in the middle is no event.
            tokio::select! {
                _ = connection.as_mut() => {}
                () = stop.cancelled() => {
                    connection.as_mut().graceful_shutdown();
                    let _ = connection.await;
                }
            }
            drop(place);
        });
    }
    drop(listener);
    connections.close();
    connections.wait().await;
}

/// A connection's place; none where its address, or all together, hold as many as they may. A proxy holds those of its clients.
fn place(places: &Arc<Places>, peer: IpAddr, state: &ApiState) -> Option<Place> {
    let live = &state.config.live;
    let is_proxy = state.trusted_proxies.iter().any(|network| network.has(peer));
    let most = if is_proxy {
        usize::MAX
    } else {
        SOCKETS_FOR_REQUESTS + live.max_connections_per_address.max(live.max_connections_per_key)
    };
    let in_all = MAX_SOCKETS_FOR_REQUESTS + live.max_connections;
    places.take(Owner::of(None, peer), most, in_all).ok()
}
