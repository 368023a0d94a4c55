use std::sync::Arc;

use serde_json::json;

use super::{Budget, Client, EndpointError, config::EndpointConfig, session::Session};
use crate::{
    config::{ChainConfig, traces_mode::TracesMode},
    verify::read_header,
};

/// Checks that an endpoint offers the traces that the chain is configured for; does nothing when traces are off.
///
/// # Errors
/// When it cannot be reached, or refuses.
pub async fn check_traces(
    chain: &str,
    config: &ChainConfig,
    endpoint: &EndpointConfig,
) -> Result<(), EndpointError> {
    if config.traces == TracesMode::Off {
        return Ok(());
    }
    let session = Session::new(chain, config, endpoint, Arc::new(Budget::new(endpoint)));
    let client: Client = session.connect().await?;
    let label = endpoint.label();
    let timeout = std::time::Duration::from_millis(config.request_timeout_ms);
    let method = "eth_getBlockByNumber";
    let latest = client.call(&label, timeout, method, ("latest", false)).await?;
    let no_head = || EndpointError::Answer {
        endpoint: label.clone(),
        method,
        reason: "it knows no latest block".to_owned(),
    };
    let header = read_header(latest.text()).ok().flatten().ok_or_else(no_head)?;
    match config.traces {
        TracesMode::Off => {}
        TracesMode::TraceBlock => {
            let number = format!("{:#x}", header.number);
            client.call(&label, timeout, "trace_block", [number]).await?;
        }
        TracesMode::Debug => {
            let params = (header.hash, json!({ "tracer": "callTracer" }));
            client.call(&label, timeout, "debug_traceBlockByHash", params).await?;
        }
    }
    Ok(())
}
