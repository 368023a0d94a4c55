//! One websocket, from its first message to its last.

use std::{net::IpAddr, sync::Arc, time::Duration};

use bytes::Bytes;
use crypto_intel_service::now_us;
use futures::FutureExt as _;
use tokio::{sync::Notify, time::Instant};
use tokio_tungstenite::tungstenite::{self, Message, protocol::CloseFrame};

use super::{
    Live,
    access::connect,
    message::{
        client::{Refused, Request, Subscribe},
        server::Answer,
    },
    session::{HEARTBEAT, MAX_MESSAGE_BYTES, MESSAGES_PER_SECOND, Session},
    subscription::Outgoing,
    wire::Wire,
};
use crate::{
    auth::{Caller, by_token},
    places::Place,
    problem::Problem,
    state::ApiState,
};

/// A client that takes a message for longer than this does not read.
const WRITE_TIMEOUT: Duration = Duration::from_secs(10);
/// A client learns early how current everything is.
const FIRST_HEARTBEAT: Duration = Duration::from_secs(1);
/// Pings, so that proxies keep the connection and broken ones are noticed.
const PING_INTERVAL: Duration = Duration::from_secs(20);
/// A client that sent nothing for so long, no pong either, is gone.
const SILENCE_TIMEOUT: Duration = Duration::from_secs(60);
/// A client has to say who it is within this,
const AUTH_TIMEOUT: Duration = Duration::from_secs(5);
/// and to subscribe within this.
const SUBSCRIBE_TIMEOUT: Duration = Duration::from_secs(10);
/// How long a client may take to answer a close.
const CLOSE_TIMEOUT: Duration = Duration::from_secs(2);
/// Messages that a client may send at once, such as when it begins.
const MESSAGE_BURST: f64 = 100.0;
/// Clients come back after a random time up to this, not all at once.
const MAX_RETRY_AFTER_MS: u64 = 5_000;

/// Why a connection ends.
#[derive(Debug)]
pub(super) enum End {
    /// The client is gone, or said goodbye.
    Client,
    /// It does not read.
    Slow,
    /// The server ends it.
    Server { code: u16, reason: &'static str },
}

impl End {
    const fn server(code: u16, reason: &'static str) -> Self {
        Self::Server { code, reason }
    }

    const fn as_str(&self) -> &'static str {
        match self {
            Self::Client => "client",
            Self::Slow => "slow",
            Self::Server { reason, .. } => reason,
        }
    }
}

/// One websocket.
pub(super) struct Connection {
    pub(super) wire: Wire,
    pub(super) session: Session,
    pub(super) live: Arc<Live>,
    pub(super) state: ApiState,
    pub(super) address: IpAddr,
    pub(super) admitted: Option<Caller>,
    pub(super) connected: Place,
    pub(super) timers: Timers,
    pub(super) budget: Budget,
}

/// When something is due.
#[derive(Debug)]
pub(super) struct Timers {
    began: Instant,
    heard: Instant,
    beat: Instant,
    ping: Instant,
}

impl Timers {
    pub(super) fn begin() -> Self {
        let now = Instant::now();
        Self { began: now, heard: now, beat: now + FIRST_HEARTBEAT, ping: now + PING_INTERVAL }
    }
}

/// How many messages a client may still send.
#[derive(Debug)]
pub(super) struct Budget {
    left: f64,
    counted: Instant,
}

impl Budget {
    pub(super) fn full() -> Self {
        Self { left: MESSAGE_BURST, counted: Instant::now() }
    }

    fn spend(&mut self) -> bool {
        let now = Instant::now();
        let earned = (now - self.counted).as_secs_f64() * f64::from(MESSAGES_PER_SECOND);
        self.left = (self.left + earned).min(MESSAGE_BURST) - 1.0;
        self.counted = now;
        self.left >= 0.0
    }
}

impl Connection {
    /// Serves it to its end. `first` is what its address subscribes to. Both in boxes: a future holds what it is given twice, before
    /// its first step and in it.
    pub(super) async fn serve(mut self: Box<Self>, first: Option<Box<Subscribe>>) {
        let clients = self.live.hub.metrics.clients.with_label_values(&["websocket"]);
        clients.inc();
        let end = self.run(first).await;
        self.live.hub.metrics.closed.with_label_values(&[end.as_str()]).inc();
        if let End::Server { code, reason } = end {
            // A client that does not read this either is left alone.
            let _ = tokio::time::timeout(CLOSE_TIMEOUT, Box::pin(self.close(code, reason))).await;
        }
        clients.dec();
        drop(self.connected);
    }

    async fn run(&mut self, first: Option<Box<Subscribe>>) -> End {
        self.session.greet();
        if let Some(first) = first {
            // Rare, and large: apart from what every connection holds while it waits.
            Box::pin(self.session.subscribe(&first)).await;
        }
        let waker = self.session.waker();
        loop {
            while let Some(received) = self.wire.receive().now_or_never() {
                if let Some(end) = self.take(received).await {
                    return end;
                }
            }
            if let Some(end) = self.look_at_the_clock().await {
                return end;
            }
            if let Some(outgoing) = self.session.next_message() {
                if let Err(end) = self.send(outgoing).await {
                    return end;
                }
                continue;
            }
            if let Some(end) = self.wait(&waker).await {
                return end;
            }
        }
    }

    async fn wait(&mut self, waker: &Notify) -> Option<End> {
        let due = self.next_due();
        tokio::select! {
            () = self.live.stop.cancelled() => None,
            received = self.wire.receive() => self.take(received).await,
            () = waker.notified() => None,
            () = tokio::time::sleep_until(due) => None,
        }
    }

    fn next_due(&self) -> Instant {
        let Timers { began, heard, beat, ping } = self.timers;
        let mut due = beat.min(ping).min(heard + SILENCE_TIMEOUT);
        if self.session.caller().is_none() {
            due = due.min(began + AUTH_TIMEOUT);
        } else if self.session.has_never_subscribed() {
            due = due.min(began + SUBSCRIBE_TIMEOUT);
        }
        due
    }

    /// Does what is due.
    async fn look_at_the_clock(&mut self) -> Option<End> {
        if self.live.stop.is_cancelled() {
            return Some(End::server(1001, "shutdown"));
        }
        let now = Instant::now();
        let Timers { began, heard, beat, ping } = self.timers;
        if now >= heard + SILENCE_TIMEOUT {
            return Some(End::server(1008, "no pong"));
        }
        if self.session.caller().is_none() && now >= began + AUTH_TIMEOUT {
            return Some(End::server(4401, "no key in time"));
        }
        if self.session.has_never_subscribed() && now >= began + SUBSCRIBE_TIMEOUT {
            return Some(End::server(4408, "no subscription in time"));
        }
        if now >= beat {
            if self.admitted.as_ref().is_some_and(|caller| !caller.counts(&self.state)) {
                return Some(End::server(4401, "key revoked"));
            }
            self.timers.beat = now + HEARTBEAT;
            self.session.beat();
        }
        if now >= ping {
            self.timers.ping = now + PING_INTERVAL;
            return self.send(Message::Ping(Bytes::new()).into()).await.err();
        }
        None
    }

    async fn send(&mut self, outgoing: Outgoing) -> Result<(), End> {
        match tokio::time::timeout(WRITE_TIMEOUT, self.wire.send(outgoing.message)).await {
            Ok(Ok(())) => {}
            Ok(Err(_)) => return Err(End::Client),
            Err(_) => return Err(End::Slow),
        }
        let metrics = &self.live.hub.metrics;
        metrics.messages_sent.inc();
        metrics.events_sent.inc_by(outgoing.events as u64);
        if outgoing.stored_at_us > 0 {
            let latency_us = (now_us() - outgoing.stored_at_us).max(0);
            self.live.latency.observe(latency_us as f64 / 1e6);
        }
        Ok(())
    }

    /// Takes what came from the client.
    async fn take(&mut self, received: Option<Result<Message, tungstenite::Error>>) -> Option<End> {
        let message = match received {
            None => return Some(End::Client),
            Some(Err(_)) => return Some(End::Client),
            Some(Ok(message)) => message,
        };
        self.timers.heard = Instant::now();
        if message_bytes(&message) > MAX_MESSAGE_BYTES {
            return Some(End::server(1009, "message too large"));
        }
        let request = match message {
            Message::Text(text) => Request::from_json(&text),
            Message::Binary(bytes) => Request::from_messagepack(&bytes),
            Message::Close(_) => return Some(End::Client),
            Message::Ping(_) | Message::Pong(_) | Message::Frame(_) => {
                // Pings are answered below us; a flood of them is one of messages.
                return (!self.budget.spend()).then(|| End::server(4429, "too many messages"));
            }
        };
        if !self.budget.spend() {
            return Some(End::server(4429, "too many messages"));
        }
        match request {
            Ok(request) => Box::pin(self.handle(request)).await,
            Err(Refused { id, problem }) => {
                self.session.refuse(id.as_deref(), &problem);
                None
            }
        }
    }

    async fn handle(&mut self, request: Request) -> Option<End> {
        match request {
            Request::Auth(auth) => return self.authenticate(&auth.token).await,
            Request::Subscribe(subscribe) => self.session.subscribe(&subscribe).await,
            Request::Unsubscribe(unsubscribe) => self.session.unsubscribe(&unsubscribe),
            Request::List(_) => self.session.list(),
            Request::Ping(ping) => self.session.answer(&Answer::Pong { data: &ping.data }),
        }
        None
    }

    async fn authenticate(&mut self, token: &str) -> Option<End> {
        match self.try_authenticate(token).await {
            Ok(()) => None,
            Err(problem) => {
                self.session.refuse(None, &problem);
                (self.session.caller().is_none()).then(|| match problem.status {
                    429 => End::server(1013, "too many keys"),
                    _ => End::server(4401, "key refused"),
                })
            }
        }
    }

    /// From now on it is a connection of this key.
    async fn try_authenticate(&mut self, token: &str) -> Result<(), Problem> {
        let caller = by_token(&self.state, token, self.address).await?;
        let config = &self.state.config.live;
        self.connected = connect(&self.live.connections, Some(&caller), self.address, config)?;
        self.session.authenticate(caller.clone());
        self.admitted = Some(caller);
        Ok(())
    }

    /// Says goodbye and waits for the client to do so.
    async fn close(&mut self, code: u16, reason: &'static str) {
        // What was refused is told before.
        while let Some(outgoing) = self.session.next_answer() {
            if self.wire.send(outgoing.message).await.is_err() {
                return;
            }
        }
        let retry_after_ms = rand::random_range(0..=MAX_RETRY_AFTER_MS);
        self.session.answer(&Answer::Bye { reason, retry_after_ms });
        while let Some(outgoing) = self.session.next_answer() {
            if self.wire.send(outgoing.message).await.is_err() {
                return;
            }
        }
        let frame = CloseFrame { code: code.into(), reason: reason.into() };
        if self.wire.send(Message::Close(Some(frame))).await.is_err() {
            return;
        }
        while let Some(Ok(_)) = self.wire.receive().await {}
    }
}

fn message_bytes(message: &Message) -> usize {
    match message {
        Message::Text(text) => text.len(),
        Message::Binary(bytes) => bytes.len(),
        _ => 0,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_client_may_begin_with_many_messages_and_then_send_few() {
        let mut budget = Budget::full();
        let allowed = (0..200).filter(|_| budget.spend()).count();
        assert_eq!(allowed, MESSAGE_BURST as usize);
        let mut budget = Budget::full();
        for _ in 0..1_000 {
            tokio::time::advance(Duration::from_millis(100)).await;
            assert!(budget.spend());
        }
    }

    #[test]
    fn a_connection_that_waits_is_small() {
        fn size<F>(_: impl FnOnce(Box<Connection>, Option<Box<Subscribe>>) -> F) -> usize {
            size_of::<F>()
        }
        let size = size(|connection: Box<Connection>, first| connection.serve(first));
        // Ten thousand of them are most of what the process holds.
        let itself = size_of::<Connection>();
        assert!(size + itself < 2_000, "{size} bytes, and {itself} of the connection itself");
    }
}
