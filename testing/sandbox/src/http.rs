//! Plain HTTP to servers of this machine.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use anyhow::{Context as _, bail};
use serde_json::{Value, json};

/// A client for plain HTTP on this machine: no proxy, no root certificates.
pub(crate) fn client() -> anyhow::Result<reqwest::Client> {
    // reqwest needs a crypto provider even without encryption; an error means that one is already installed.
    let _ = rustls::crypto::ring::default_provider().install_default();
    reqwest::Client::builder()
        .no_proxy()
        .tls_certs_only([])
        .timeout(Duration::from_secs(30))
        .build()
        .context("build HTTP client")
}

/// A JSON-RPC client over HTTP.
#[derive(Debug)]
pub struct RpcClient {
    url: String,
    client: reqwest::Client,
    next_id: AtomicU64,
}

impl RpcClient {
    /// A client for the node at `url` (`http://…`).
    ///
    /// # Errors
    /// Fails when no HTTP client can be made.
    pub fn new(url: impl Into<String>) -> anyhow::Result<Self> {
        Ok(Self { url: url.into(), client: client()?, next_id: AtomicU64::new(1) })
    }

    /// Calls a method and returns its `result`.
    ///
    /// # Errors
    /// Fails when the node cannot be reached, does not answer JSON, or answers an error (which is in the text).
    pub async fn call(&self, method: &str, params: Value) -> anyhow::Result<Value> {
        let id = self.next_id.fetch_add(1, Ordering::Relaxed);
        let request = json!({"jsonrpc": "2.0", "id": id, "method": method, "params": params});
        let response = self
            .client
            .post(&self.url)
            .json(&request)
            .send()
            .await
            .with_context(|| format!("call {method}"))?;
        let mut answer: Value =
            response.json().await.with_context(|| format!("read answer of {method}"))?;
        if let Some(error) = answer.get("error") {
            bail!("{method} was refused: {error}");
        }
        Ok(answer.get_mut("result").map(Value::take).unwrap_or_default())
    }

    /// Calls a method that answers a quantity (`"0x1b4"`).
    ///
    /// # Errors
    /// As [`call`](Self::call), and when the answer is no quantity of at most 64 bits.
    pub async fn call_quantity(&self, method: &str, params: Value) -> anyhow::Result<u64> {
        let answer = self.call(method, params).await?;
        answer
            .as_str()
            .and_then(|text| u64::from_str_radix(text.trim_start_matches("0x"), 16).ok())
            .with_context(|| format!("read quantity {answer} from {method}"))
    }
}
