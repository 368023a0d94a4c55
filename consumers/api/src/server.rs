//! The router with everything that hangs on it, and the port.

use std::net::SocketAddr;

use anyhow::Context as _;
use axum::{
    Router,
    extract::DefaultBodyLimit,
    middleware::{from_fn, from_fn_with_state},
};
use tokio::net::TcpListener;
use tower_http::compression::CompressionLayer;
use utoipa_axum::router::OpenApiRouter;

use crate::{
    auth,
    layers::{client, deadline, host, observe, origin},
    live, openapi, routes,
    state::ApiState,
    web,
};

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
) -> anyhow::Result<(SocketAddr, impl Future<Output = anyhow::Result<()>> + Send + 'static)> {
    let listen = state.config.listen;
    let listener = TcpListener::bind(listen).await.with_context(|| {
        format!("bind api.listen {listen} (set another, or port 0 for a free one)")
    })?;
    let address = listener.local_addr().context("read the address of the API")?;
    let shutdown = state.context.shutdown.clone();
    let service = router(state)?.into_make_service_with_connect_info::<SocketAddr>();
    let server = async move {
        axum::serve(listener, service)
            .with_graceful_shutdown(async move { shutdown.cancelled().await })
            .await
            .context("serve the API")
    };
    Ok((address, server))
}
