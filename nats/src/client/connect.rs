use std::sync::Arc;
use std::time::{Duration, Instant};

use async_nats::{ClientError, ConnectErrorKind, ConnectOptions, Event, ServerError};
use crypto_intel_service::{Backoff, percent_decoded};
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use crate::client::api::Connection;
use crate::client::api::Nats;
use crate::client::complaint::{Complaints, is_refusal, unauthorized};
use crate::client::config::NatsConfig;
use crate::client::refusals::Refusals;
use crate::error::ConnectError;

/// Upper bound of the delay between reconnects; the client's default of 4 s makes every restart an outage.
const MAX_RECONNECT_DELAY: Duration = Duration::from_millis(500);
const ONE_ATTEMPT: Duration = Duration::from_secs(5);
/// Commands that wait in the client while it is busy or disconnected. Two full batches of the usual size.
const CLIENT_CAPACITY: usize = 4_096;
/// Messages that wait in one subscription before the client drops some; readers keep well below it.
pub(crate) const SUBSCRIPTION_CAPACITY: usize = 65_536;

/// Connects, checks the server, and from then on logs the events of the connection.
///
/// `name` is the role: it names the connection in the server's monitoring and, for configurations without a user,
/// the inbox prefix. Failures are warnings until `start_timeout_seconds` have passed; a connection lost later is
/// restored without a limit.
///
/// # Errors
/// At once for errors that waiting does not resolve (address, files, credentials, version, no JetStream), else after the timeout.
pub async fn connect(
    config: &NatsConfig,
    name: &str,
    shutdown: &CancellationToken,
) -> Result<Nats, ConnectError> {
    let started = Instant::now();
    let start_timeout = Duration::from_secs(config.start_timeout_seconds);
    let mut delays =
        Backoff { first: Duration::from_millis(100), longest: Duration::from_secs(2) }.delays();
    let (epoch_sender, epoch) = watch::channel(0_u64);
    let complaints = Complaints::default();
    let refusals = Arc::new(Refusals::default());
    loop {
        let attempt = attempt(config, name, epoch_sender.clone(), &complaints, &refusals);
        let outcome = tokio::select! {
            () = shutdown.cancelled() => return Err(ConnectError::Stopped),
            outcome = attempt => outcome?,
        };
        let last = match outcome {
            Ok(client) => {
                check_server(config, &client)?;
                // The event of this very connection must not look like a reconnect to the first readers.
                let mut first = epoch.clone();
                let _ = tokio::time::timeout(ONE_ATTEMPT, first.wait_for(|epoch| *epoch > 0)).await;
                return Ok(Nats::new(Connection {
                    client,
                    name: name.to_owned(),
                    user: servers(config)?.1.user,
                    epoch,
                    refusals,
                    complaints,
                    request_timeout: Duration::from_millis(config.request_timeout_ms),
                }));
            }
            Err(error) => error,
        };
        if started.elapsed() >= start_timeout {
            return Err(ConnectError::TimedOut {
                url: config.url.clone(),
                seconds: config.start_timeout_seconds,
                last,
            });
        }
        let delay = delays.next().unwrap_or(ONE_ATTEMPT);
        tracing::warn!(url = %config.url, error = %last, delay_ms = delay.as_millis() as u64, "cannot connect to nats, trying again");
        tokio::select! {
            () = shutdown.cancelled() => return Err(ConnectError::Stopped),
            () = tokio::time::sleep(delay) => {}
        }
    }
}

/// The outer error is final, the inner one worth another attempt.
async fn attempt(
    config: &NatsConfig,
    name: &str,
    epoch: watch::Sender<u64>,
    complaints: &Complaints,
    refusals: &Arc<Refusals>,
) -> Result<Result<async_nats::Client, String>, ConnectError> {
    let (addresses, credentials) = servers(config)?;
    let user = credentials.user.clone();
    let events = Events { epoch, complaints: complaints.clone(), refusals: Arc::clone(refusals) };
    let options = options(config, name, events, credentials).await?;
    match options.connect(addresses).await {
        Ok(client) => Ok(Ok(client)),
        Err(error) if error.kind() == ConnectErrorKind::AuthorizationViolation => {
            Err(ConnectError::Refused { url: config.url.clone(), user })
        }
        Err(error) => Ok(Err(error.to_string())),
    }
}

/// User and password of address and configuration.
#[derive(Debug, Default, PartialEq, Eq)]
struct Credentials {
    user: String,
    password: String,
    token: String,
}

/// Addresses of the servers, with user and password.
fn servers(
    config: &NatsConfig,
) -> Result<(Vec<async_nats::ServerAddr>, Credentials), ConnectError> {
    let invalid = || ConnectError::Address { url: config.url.clone() };
    let mut credentials = Credentials {
        user: config.user.clone(),
        password: config.password.expose().to_owned(),
        token: String::new(),
    };
    let mut addresses = Vec::new();
    for part in config.url.expose().split(',') {
        let address: async_nats::ServerAddr = part.trim().parse().map_err(|_| invalid())?;
        if address.host().is_empty() {
            return Err(invalid());
        }
        let found = match (address.username(), address.password()) {
            (None, _) => None,
            (Some(token), None) => {
                Some(Credentials { token: percent_decoded(token), ..Credentials::default() })
            }
            (Some(user), Some(password)) => Some(Credentials {
                user: percent_decoded(user),
                password: percent_decoded(password),
                token: String::new(),
            }),
        };
        if let Some(found) = found {
            if !credentials.user.is_empty() && credentials != found {
                return Err(ConnectError::TwoUsers);
            }
            credentials = found;
        }
        addresses.push(address);
    }
    Ok((addresses, credentials))
}

async fn options(
    config: &NatsConfig,
    name: &str,
    events: Events,
    credentials: Credentials,
) -> Result<ConnectOptions, ConnectError> {
    let Credentials { user, password, token } = credentials;
    let inbox_owner = if user.is_empty() { name } else { &user };
    let connection = name.to_owned();
    let mut options = ConnectOptions::new()
        .name(name)
        .custom_inbox_prefix(format!("_INBOX_{}", subject_token(inbox_owner)))
        .connection_timeout(ONE_ATTEMPT)
        .request_timeout(Some(Duration::from_millis(config.request_timeout_ms)))
        .ping_interval(Duration::from_secs(10))
        .client_capacity(CLIENT_CAPACITY)
        .subscription_capacity(SUBSCRIPTION_CAPACITY)
        .reconnect_delay_callback(reconnect_delay)
        .event_callback(move |event| {
            events.take(&connection, &event);
            std::future::ready(())
        });
    if !user.is_empty() {
        options = options.user_and_password(user, password);
    } else if !token.is_empty() {
        options = options.token(token);
    }
    if let Some(path) = &config.credentials_file {
        options = options
            .credentials_file(path)
            .await
            .map_err(|source| ConnectError::File { path: path.display().to_string(), source })?;
    }
    if let Some(path) = &config.tls_ca_file {
        std::fs::metadata(path)
            .map_err(|source| ConnectError::File { path: path.display().to_string(), source })?;
        options = options.add_root_certificates(path.clone()).require_tls(true);
    }
    Ok(options)
}

/// Receivers of the connection's events.
struct Events {
    epoch: watch::Sender<u64>,
    complaints: Complaints,
    refusals: Arc<Refusals>,
}

impl Events {
    fn take(&self, connection: &str, event: &Event) {
        self.complaints.note(event);
        // The waiting request reports it.
        let is_told = matches!(event, Event::ServerError(ServerError::Other(text)) if self.refusals.tell(text));
        if !is_told {
            log_event(connection, event, &self.complaints);
        }
        if matches!(event, Event::Connected) {
            self.refusals.forget();
            self.epoch.send_modify(|epoch| *epoch += 1);
        }
    }
}

fn reconnect_delay(attempt: usize) -> Duration {
    let factor = u32::try_from(attempt.min(8)).unwrap_or(8);
    (Duration::from_millis(10) * 2_u32.pow(factor)).min(MAX_RECONNECT_DELAY)
}

pub(crate) fn subject_token(name: &str) -> String {
    name.chars()
        .map(
            |character| {
                if character.is_ascii_alphanumeric() || character == '-' { character } else { '_' }
            },
        )
        .collect()
}

fn check_server(config: &NatsConfig, client: &async_nats::Client) -> Result<(), ConnectError> {
    let info = client.server_info();
    if !client.is_server_compatible(2, 12, 0) {
        return Err(ConnectError::Version { url: config.url.clone(), found: info.version });
    }
    if !info.jetstream {
        return Err(ConnectError::NoJetStream { url: config.url.clone() });
    }
    tracing::info!(url = %config.url, version = %info.version, server = %info.server_name, "connected to nats");
    Ok(())
}

fn log_event(connection: &str, event: &Event, complaints: &Complaints) {
    match event {
        Event::Connected => tracing::debug!(connection, "nats connection is up"),
        Event::Disconnected => tracing::warn!(connection, "nats connection lost, reconnecting"),
        Event::LameDuckMode => tracing::warn!(connection, "nats server is about to stop"),
        Event::Draining | Event::Closed => {
            tracing::debug!(connection, %event, "nats connection ends")
        }
        Event::SlowConsumer(subscription) => {
            tracing::warn!(
                connection,
                subscription,
                "nats client dropped messages, readers will read them again"
            );
        }
        // No request waits for this refusal.
        Event::ServerError(ServerError::Other(text)) if is_refusal(text) => {
            tracing::error!(connection, error = %text, "nats refuses what this role needs, correct its permissions in server.conf");
        }
        Event::ServerError(ServerError::AuthorizationViolation)
        | Event::ClientError(ClientError::Other(_)) => {
            let reason = complaints.disconnected();
            if !complaints.is_news(&reason) {
                return;
            }
            if reason == unauthorized() {
                tracing::error!(connection, reason, "not connected to nats, trying again");
            } else {
                tracing::warn!(connection, reason, "not connected to nats, trying again");
            }
        }
        Event::ServerError(error) => {
            tracing::warn!(connection, error = %error, "nats server reports an error")
        }
        Event::ClientError(error) => {
            tracing::warn!(connection, error = %error, "nats client reports an error")
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reconnect_delay_stays_below_half_a_second() {
        assert_eq!(reconnect_delay(1), Duration::from_millis(20));
        assert_eq!(reconnect_delay(1_000), MAX_RECONNECT_DELAY);
    }

    #[test]
    fn an_address_that_is_none_is_refused_without_its_password() {
        for url in [
            "no address",
            "nats://alice:pa#ss@host:4222",
            "nats://alice:p/w@host",
            "http://x:pass@host",
        ] {
            let config = NatsConfig { url: url.into(), ..NatsConfig::default() };
            let error = servers(&config).unwrap_err();
            assert!(matches!(error, ConnectError::Address { .. }), "{url}: {error:?}");
            let text = format!("{error} {error:?}");
            assert!(
                !text.contains("alice") && !text.contains("pa#") && !text.contains("pass@"),
                "{text}"
            );
            assert_eq!(text.contains("percent-encoded"), url.contains('@'), "{text}");
        }
    }

    #[test]
    fn user_password_and_token_may_stand_in_the_address() {
        let of = |url: &str| {
            servers(&NatsConfig { url: url.into(), ..NatsConfig::default() }).unwrap().1
        };
        let alice = Credentials {
            user: "alice".to_owned(),
            password: "p@ss#".to_owned(),
            token: String::new(),
        };
        assert_eq!(of("nats://alice:p%40ss%23@host:4222"), alice);
        assert_eq!(of("nats://alice:p%40ss%23@one,nats://two"), alice);
        assert_eq!(of("nats://T0KEN@host").token, "T0KEN");
        let both = NatsConfig {
            url: "nats://alice:a@host".into(),
            user: "bob".to_owned(),
            ..NatsConfig::default()
        };
        assert!(matches!(servers(&both), Err(ConnectError::TwoUsers)));
    }
}
