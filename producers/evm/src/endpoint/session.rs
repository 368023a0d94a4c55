use std::{sync::Arc, time::Duration};

use crypto_intel_schemas::Address;
use crypto_intel_service::{Backoff, Retryable, now_us};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::{
    Budget, Client, Endpoint, EndpointError, Head,
    config::EndpointConfig,
    transport::{
        hints::{Hint, Hints},
        http::HttpClient,
        websocket,
    },
};
use crate::{config::ChainConfig, hex::Hex, metrics::ChainMetrics, verify::read_header};

/// A connection that lasted this long resets the delays between reconnects.
const CALM: Duration = Duration::from_secs(2);
/// Pause of polling after a rate limit that names no time.
const LIMITED_DELAY: Duration = Duration::from_secs(2);
/// Delay after a wrong chain id: a wrong URL is not corrected within seconds.
const WRONG_CHAIN_DELAY: Duration = Duration::from_secs(30);
/// Silent rounds after which a connection is replaced, even though the chain may just be quiet.
const QUIET_ROUNDS: u32 = 10;

/// What an endpoint reports about itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EndpointReport {
    /// Configured name, or host and port.
    pub endpoint: String,
    /// Its chain id, which is the configured one.
    pub chain_id: u64,
    /// Number of its newest block.
    pub head: u64,
    /// Hash of its newest block.
    pub head_hash: crypto_intel_schemas::B256,
    /// Whether it pushes heads (websocket) or is asked for them.
    pub websocket: bool,
}

/// Connects to an endpoint, verifies its chain id and asks for its head.
///
/// # Errors
/// When it cannot be reached, serves another chain, or does not answer.
pub async fn check_endpoint(
    chain: &str,
    config: &ChainConfig,
    endpoint: &EndpointConfig,
) -> Result<EndpointReport, EndpointError> {
    let session = Session::new(chain, config, endpoint, Arc::new(Budget::new(endpoint)));
    let client = session.connect().await?;
    let head = session.ask_head(&client).await?;
    Ok(EndpointReport {
        endpoint: session.label.clone(),
        chain_id: config.chain_id,
        head: head.number,
        head_hash: head.hash,
        websocket: matches!(client, Client::WebSocket(_)),
    })
}

/// Keeps one endpoint connected.
#[derive(Debug)]
pub(super) struct Session {
    chain: String,
    chain_id: u64,
    label: String,
    config: EndpointConfig,
    timeout: Duration,
    silence: Duration,
    poll: Duration,
    /// Contracts whose logs are subscribed to.
    hint_contracts: Vec<Address>,
    budget: Arc<Budget>,
}

impl Session {
    pub(super) fn new(
        chain: &str,
        config: &ChainConfig,
        endpoint: &EndpointConfig,
        budget: Arc<Budget>,
    ) -> Self {
        Self {
            chain: chain.to_owned(),
            chain_id: config.chain_id,
            label: endpoint.label(),
            config: endpoint.clone(),
            timeout: Duration::from_millis(config.request_timeout_ms),
            silence: Duration::from_secs(config.silence_seconds),
            poll: Duration::from_millis(config.http_poll_ms),
            hint_contracts: config.hint_contracts(),
            budget,
        }
    }

    /// Keeps the endpoint connected until `shutdown`.
    pub(super) async fn run(
        self,
        endpoint: Arc<Endpoint>,
        metrics: ChainMetrics,
        shutdown: CancellationToken,
    ) {
        let backoff =
            Backoff { first: Duration::from_millis(100), longest: Duration::from_secs(15) };
        let mut delays = backoff.delays();
        loop {
            let started = Instant::now();
            let ended = tokio::select! {
                () = shutdown.cancelled() => break,
                ended = self.connected(&endpoint, &metrics) => ended,
            };
            let Err(error) = ended;
            endpoint.set_client(None, Some(error.to_string()));
            metrics.reconnects(&self.label, error.reason());
            if started.elapsed() > CALM {
                delays = backoff.delays();
            }
            let delay = if matches!(error, EndpointError::WrongChain { .. }) {
                tracing::error!(chain = self.chain, endpoint = self.label, %error, "endpoint refused");
                WRONG_CHAIN_DELAY
            } else {
                let delay = delays.next().unwrap_or(backoff.longest);
                let delay = error.retry_after().map_or(delay, |asked| asked.max(delay));
                tracing::warn!(chain = self.chain, endpoint = self.label, %error, delay_ms = delay.as_millis() as u64, "endpoint lost, reconnecting");
                delay
            };
            tokio::select! {
                () = shutdown.cancelled() => break,
                () = tokio::time::sleep(delay) => {}
            }
        }
        endpoint.set_client(None, None);
    }

    async fn connected(
        &self,
        endpoint: &Endpoint,
        metrics: &ChainMetrics,
    ) -> Result<std::convert::Infallible, EndpointError> {
        let client = Arc::new(self.connect().await?);
        let hints = match client.as_ref() {
            Client::WebSocket(websocket) => {
                self.budget.wait("eth_subscribe").await;
                let opening = Hints::open(websocket, &self.label, &self.hint_contracts);
                Some(self.in_time("eth_subscribe", opening).await??)
            }
            Client::Http(_) => None,
        };
        endpoint.set_client(Some(Arc::clone(&client)), None);
        let head = self.ask_head(&client).await?;
        self.take_head(endpoint, metrics, head);
        tracing::info!(
            chain = self.chain,
            endpoint = self.label,
            head = head.number,
            websocket = hints.is_some(),
            "endpoint connected"
        );
        match hints {
            Some(hints) => self.follow(endpoint, metrics, &client, hints, head).await,
            None => self.poll(endpoint, metrics, &client).await,
        }
    }

    /// Connects and verifies the chain id.
    pub(super) async fn connect(&self) -> Result<Client, EndpointError> {
        let client = if self.config.is_websocket() {
            let connect = websocket::connect(&self.label, &self.config);
            Client::WebSocket(self.in_time("connect", connect).await??)
        } else {
            Client::Http(HttpClient::new(&self.label, &self.config)?)
        };
        let found = self.ask_number(&client, "eth_chainId").await?;
        if found != self.chain_id {
            return Err(EndpointError::WrongChain {
                endpoint: self.label.clone(),
                chain: self.chain.clone(),
                wanted: self.chain_id,
                found,
            });
        }
        Ok(client)
    }

    /// Takes heads as they come; asks when none comes.
    async fn follow(
        &self,
        endpoint: &Endpoint,
        metrics: &ChainMetrics,
        client: &Client,
        mut hints: Hints,
        mut newest: Head,
    ) -> Result<std::convert::Infallible, EndpointError> {
        let mut quiet_rounds = 0;
        loop {
            match tokio::time::timeout(self.silence, hints.next(newest.number)).await {
                Ok(Some(hint)) => {
                    quiet_rounds = 0;
                    newest = match hint {
                        Hint::Head(head) => head,
                        Hint::Ask(reason) => {
                            if reason == "removed" {
                                metrics.removed_hint(&self.label);
                            } else {
                                metrics.untrue_answers(&self.label, reason);
                            }
                            tracing::debug!(endpoint = self.label, reason, "asking for its head");
                            self.ask_head(client).await?
                        }
                    };
                    self.take_head(endpoint, metrics, newest);
                }
                Ok(None) => {
                    return Err(client.lost(&self.label));
                }
                Err(_) => {
                    quiet_rounds += 1;
                    self.check_silence(client, newest, quiet_rounds).await?;
                }
            }
        }
    }

    /// No head came: is the chain quiet or the subscription dead?
    async fn check_silence(
        &self,
        client: &Client,
        newest: Head,
        quiet_rounds: u32,
    ) -> Result<(), EndpointError> {
        let silent = |reason: String| EndpointError::Silent {
            endpoint: self.label.clone(),
            seconds: self.silence.as_secs() * u64::from(quiet_rounds),
            reason,
        };
        let number = self
            .ask_number(client, "eth_blockNumber")
            .await
            .map_err(|error| silent(error.to_string()))?;
        if number != newest.number {
            return Err(silent(format!("but its head moved from {} to {number}", newest.number)));
        }
        if quiet_rounds >= QUIET_ROUNDS {
            return Err(silent(format!("its head stays at {number}")));
        }
        tracing::debug!(chain = self.chain, endpoint = self.label, head = number, "chain is quiet");
        Ok(())
    }

    async fn poll(
        &self,
        endpoint: &Endpoint,
        metrics: &ChainMetrics,
        client: &Client,
    ) -> Result<std::convert::Infallible, EndpointError> {
        loop {
            tokio::time::sleep(self.poll).await;
            match self.ask_head(client).await {
                Ok(head) => self.take_head(endpoint, metrics, head),
                Err(error @ EndpointError::RateLimited { .. }) => {
                    metrics.request_failures(&self.label, error.reason());
                    let delay = error.retry_after().unwrap_or(LIMITED_DELAY);
                    endpoint.hold(Some(delay));
                    tokio::time::sleep(delay).await;
                }
                Err(error) => return Err(error),
            }
        }
    }

    fn take_head(&self, endpoint: &Endpoint, metrics: &ChainMetrics, head: Head) {
        if endpoint.head().is_none_or(|known| known.hash != head.hash) {
            metrics.head(&self.label, head.number);
        }
        endpoint.set_head(head);
    }

    async fn ask_head(&self, client: &Client) -> Result<Head, EndpointError> {
        let method = "eth_getBlockByNumber";
        self.budget.wait(method).await;
        let answer = client.call(&self.label, self.timeout, method, ("latest", false)).await?;
        let invalid =
            |reason: String| EndpointError::Answer { endpoint: self.label.clone(), method, reason };
        let header = read_header(answer.text())
            .map_err(|error| invalid(error.to_string()))?
            .ok_or_else(|| invalid("it knows no latest block".to_owned()))?;
        Ok(Head { number: header.number, hash: header.hash, seen_at_us: now_us() })
    }

    async fn ask_number(
        &self,
        client: &Client,
        method: &'static str,
    ) -> Result<u64, EndpointError> {
        let no_params: [(); 0] = [];
        self.budget.wait(method).await;
        let answer = client.call(&self.label, self.timeout, method, no_params).await?;
        serde_json::from_str::<Hex<u64>>(answer.text()).map(|number| number.0).map_err(|error| {
            EndpointError::Answer {
                endpoint: self.label.clone(),
                method,
                reason: error.to_string(),
            }
        })
    }

    async fn in_time<T>(
        &self,
        method: &'static str,
        step: impl Future<Output = T>,
    ) -> Result<T, EndpointError> {
        tokio::time::timeout(self.timeout, step).await.map_err(|_| EndpointError::Timeout {
            endpoint: self.label.clone(),
            method,
            timeout_ms: u64::try_from(self.timeout.as_millis()).unwrap_or(u64::MAX),
        })
    }
}
