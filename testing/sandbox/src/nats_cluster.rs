//! Three nats-servers that form a cluster, and the links between them, which can be cut.

use std::time::{Duration, Instant};

use anyhow::{Context as _, bail};
use serde_json::Value;

use crate::link::Link;
use crate::nats_server::{NatsOptions, NatsServer};
use crate::port::free_port;

/// Enough that one may be down.
const SERVERS: usize = 3;
const START_ATTEMPTS: usize = 3;
/// Electing leaders takes up to nine seconds, on a busy machine more.
const DEADLINE: Duration = Duration::from_secs(60);
const POLL_INTERVAL: Duration = Duration::from_millis(50);
const MONITORING_TIMEOUT: Duration = Duration::from_secs(1);

/// A cluster of three private nats-servers on 127.0.0.1; killed when dropped.
#[derive(Debug)]
pub struct NatsCluster {
    servers: Vec<NatsServer>,
    /// From each server to each other one.
    links: Vec<(usize, usize, Link)>,
    http: reqwest::Client,
}

impl NatsCluster {
    /// Starts three servers with the same options and waits until they have elected a leader.
    ///
    /// # Errors
    /// As [`NatsServer::start`], or when they do not find each other.
    pub async fn start(options: NatsOptions) -> anyhow::Result<Self> {
        let mut attempt = 1;
        loop {
            match Self::try_start(&options).await {
                Err(error) if attempt < START_ATTEMPTS => {
                    tracing::warn!(error = %format!("{error:#}"), "cluster did not start, trying again");
                    attempt += 1;
                }
                outcome => return outcome,
            }
        }
    }

    async fn try_start(options: &NatsOptions) -> anyhow::Result<Self> {
        let mut ports = Vec::new();
        for _ in 0..SERVERS {
            ports.push(free_port()?);
        }
        let mut links = Vec::new();
        for from in 0..SERVERS {
            for to in (0..SERVERS).filter(|to| *to != from) {
                links.push((from, to, Link::to(ports[to]).await?));
            }
        }
        let mut starting = Vec::new();
        for (index, port) in ports.iter().enumerate() {
            let routes: Vec<String> = links
                .iter()
                .filter(|(from, ..)| *from == index)
                .map(|(.., link)| format!("\"nats://127.0.0.1:{}\"", link.port()))
                .collect();
            let mut options = options.clone();
            options.extra_conf.push(format!("server_name: {}", name_of(index)));
            // Servers advertise their addresses to each other. This one is unreachable, so that routes only use the links.
            options.extra_conf.push(format!(
                r#"cluster {{ name: sandbox, listen: "127.0.0.1:{port}", advertise: "127.0.0.1:1", routes: [{}] }}"#,
                routes.join(", ")
            ));
            starting.push(NatsServer::start(options));
        }
        let servers = futures::future::try_join_all(starting).await?;
        let cluster = Self { servers, links, http: crate::http::client()? };
        cluster.until_whole().await?;
        Ok(cluster)
    }

    /// The addresses of all servers, as clients take them.
    #[must_use]
    pub fn url(&self) -> String {
        let urls: Vec<String> = self.servers.iter().map(NatsServer::url).collect();
        urls.join(",")
    }

    /// How many servers there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.servers.len()
    }

    /// Always false: a cluster has servers.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.servers.is_empty()
    }

    /// One of the servers.
    #[must_use]
    pub fn server(&self, index: usize) -> &NatsServer {
        &self.servers[index]
    }

    /// One of the servers, to kill, pause or restart it.
    pub fn server_mut(&mut self, index: usize) -> &mut NatsServer {
        &mut self.servers[index]
    }

    /// Cuts a server off from the others; its clients still reach it.
    pub fn cut_off(&self, index: usize) {
        self.set_open(index, false);
    }

    /// Ends [`cut_off`](Self::cut_off).
    pub fn reconnect(&self, index: usize) {
        self.set_open(index, true);
    }

    fn set_open(&self, index: usize, open: bool) {
        for (from, to, link) in &self.links {
            if *from == index || *to == index {
                link.set_open(open);
            }
        }
    }

    /// The server that says that it leads a stream; waits while there is none.
    ///
    /// # Errors
    /// Fails when none is elected within a minute.
    pub async fn leader_of(&self, stream: &str) -> anyhow::Result<usize> {
        let started = Instant::now();
        loop {
            for index in 0..self.len() {
                let info = self.stream_at(index, stream).await;
                let leader = info.as_ref().and_then(|info| info.pointer("/cluster/leader"));
                let leader = leader.and_then(Value::as_str).and_then(index_of);
                // Only the leader's own word counts: what others remember may be outdated.
                if leader == Some(index) {
                    return Ok(index);
                }
            }
            if started.elapsed() > DEADLINE {
                bail!("no server leads stream {stream} after {DEADLINE:?}");
            }
            tokio::time::sleep(POLL_INTERVAL).await;
        }
    }

    /// Waits until all servers see each other, a leader is elected, and every stream has its replicas up to date.
    ///
    /// # Errors
    /// Fails when that takes longer than a minute.
    pub async fn until_whole(&self) -> anyhow::Result<()> {
        let started = Instant::now();
        loop {
            let mut whole = true;
            for index in 0..self.len() {
                whole &= self.is_whole(index).await;
            }
            if whole {
                return Ok(());
            }
            if started.elapsed() > DEADLINE {
                let states: Vec<String> = self.servers.iter().map(NatsServer::log_tail).collect();
                bail!("cluster is not whole after {DEADLINE:?}; logs:\n{}", states.join("\n\n"));
            }
            tokio::time::sleep(POLL_INTERVAL).await;
        }
    }

    async fn is_whole(&self, index: usize) -> bool {
        let Ok(Some(state)) = self.monitoring(index).await else { return false };
        let meta = state.get("meta_cluster");
        let size = meta.and_then(|meta| meta.get("cluster_size")).and_then(Value::as_u64);
        let leader = meta.and_then(|meta| meta.get("leader")).and_then(Value::as_str);
        let name = name_of(index);
        // Only the leader of a stream knows how far its replicas are.
        let current = |stream: &Value| {
            let leader = stream.pointer("/cluster/leader").and_then(Value::as_str);
            if leader.is_some_and(|leader| !leader.is_empty() && leader != name) {
                return true;
            }
            let replicas = stream.pointer("/cluster/replicas").and_then(Value::as_array);
            leader.is_none_or(|leader| leader == name)
                && replicas.is_none_or(|replicas| {
                    replicas
                        .iter()
                        .all(|replica| replica.get("current") == Some(&Value::Bool(true)))
                })
        };
        size == Some(SERVERS as u64)
            && leader.is_some_and(|leader| !leader.is_empty())
            && streams(&state).all(current)
    }

    async fn stream_at(&self, index: usize, stream: &str) -> Option<Value> {
        let state = self.monitoring(index).await.ok()??;
        streams(&state)
            .find(|found| found.get("name").and_then(Value::as_str) == Some(stream))
            .cloned()
    }

    /// What a server reports about its streams; `None` when it does not answer.
    async fn monitoring(&self, index: usize) -> anyhow::Result<Option<Value>> {
        let url =
            format!("{}/jsz?accounts=true&streams=true", self.servers[index].monitoring_url());
        let answer = self.http.get(url).timeout(MONITORING_TIMEOUT).send().await;
        let Ok(answer) = answer else { return Ok(None) };
        let text = answer.text().await.context("read /jsz")?;
        Ok(serde_json::from_str(&text).ok())
    }
}

fn streams(state: &Value) -> impl Iterator<Item = &Value> {
    let accounts = state.get("account_details").and_then(Value::as_array);
    accounts
        .into_iter()
        .flatten()
        .filter_map(|account| account.get("stream_detail").and_then(Value::as_array))
        .flatten()
}

fn name_of(index: usize) -> String {
    format!("sandbox-{index}")
}

fn index_of(name: &str) -> Option<usize> {
    name.strip_prefix("sandbox-")?.parse().ok()
}
