//! The parts of the status, each on its own.

use crypto_intel_nats::{Bucket, LeaseHolder, Nats, NatsError, StreamStatus, Topology};
use crypto_intel_schemas::{Alert, Block, Event, Kind, Stream, leases, subjects};
use crypto_intel_service::now_us;
use crypto_intel_store::PositionRow;

use super::{Chain, Endpoint, Head, Lag, LastAlert, Leader, Reader, Status};
use crate::config::AppConfig;

/// Alerts on the screen.
const LAST_ALERTS: u64 = 5;
/// So many messages are looked at for them.
const MAX_LOOKED_AT: u64 = 2_000;

pub(super) async fn streams(nats: &Nats, topology: &Topology) -> anyhow::Result<Vec<StreamStatus>> {
    Ok(topology.status(nats).await?)
}

/// The last block of each configured chain in the stream.
pub(crate) async fn chains(config: &AppConfig, nats: &Nats) -> anyhow::Result<Vec<Chain>> {
    let mut chains = Vec::new();
    for name in config.evm.chains.keys() {
        let subject = subjects::chain(subjects::Lane::Live, name, Kind::Block);
        let message = nats.last_on_subject(Stream::Evm.name(), &subject).await?;
        let head = message.and_then(|message| match Event::decode(&message.payload) {
            Ok(Event::Block(block)) => Some(head(&block)),
            _ => None,
        });
        chains.push(Chain { chain: name.clone(), head, why: None });
    }
    Ok(chains)
}

fn head(block: &Block) -> Head {
    Head {
        block_number: block.block_number,
        block_hash: block.block_hash.to_string(),
        finalized_number: block.finalized_number,
        block_age_seconds: (now_us() - block.block_time_us).max(0) / 1_000_000,
    }
}

pub(super) async fn leases(nats: &Nats) -> anyhow::Result<Vec<Leader>> {
    let entries = nats.kv(Bucket::Leases).await?.entries("").await?;
    Ok(entries
        .into_iter()
        .filter_map(|(task, entry)| {
            let LeaseHolder { owner, since_us } = LeaseHolder::read(&entry.value)?;
            Some(Leader { task, owner, since_us })
        })
        .collect())
}

/// What producers last said of the endpoints of configured chains.
pub(super) async fn endpoints(config: &AppConfig, nats: &Nats) -> anyhow::Result<Vec<Endpoint>> {
    let mut endpoints = Vec::new();
    for (name, chain) in &config.evm.chains {
        for endpoint in &chain.endpoints {
            let subject = subjects::node_status(name, &endpoint.label());
            let Some(message) = nats.last_on_subject(Stream::Status.name(), &subject).await? else {
                continue;
            };
            let Ok(Event::NodeStatus(status)) = Event::decode(&message.payload) else { continue };
            endpoints.push(Endpoint {
                chain: status.chain,
                endpoint: status.endpoint,
                reason: status.reason,
                head: status.head,
                error: status.error,
                told_at_us: message.stored_at_us,
            });
        }
    }
    Ok(endpoints)
}

/// The streams that roles read by consumers that `status` shows.
const READ_BY_ROLES: [Stream; 7] = [
    Stream::Evm,
    Stream::History,
    Stream::Market,
    Stream::Signals,
    Stream::Status,
    Stream::Alert,
    Stream::Outbox,
];

/// All readers of a role, by the names of their consumers.
pub(super) async fn readers(nats: &Nats) -> anyhow::Result<Vec<Reader>> {
    let mut readers = Vec::new();
    for stream in READ_BY_ROLES.map(Stream::name) {
        let consumers = match nats.consumers_of(stream).await {
            Ok(consumers) => consumers,
            // Told with the streams.
            Err(NatsError::NoStream { .. } | NatsError::Api { code: 10_059, .. }) => continue,
            Err(error) => return Err(error.into()),
        };
        for consumer in consumers {
            let Some((role, rest)) = role_of(&consumer.name) else { continue };
            readers.push(Reader {
                role: role.to_owned(),
                stream: stream.to_owned(),
                of: rest.filter(|_| role == "notify").map(ToOwned::to_owned),
                messages_behind: consumer.pending + consumer.unacknowledged,
            });
        }
    }
    Ok(readers)
}

/// `alerts-HOST-1-2f-evm` is of alerts, `notify-ops` of notify's destination `ops`.
fn role_of(consumer: &str) -> Option<(&'static str, Option<&str>)> {
    ["persist", "alerts", "notify"].into_iter().find_map(|role| {
        let rest = consumer.strip_prefix(role)?;
        if rest.is_empty() {
            return Some((role, None));
        }
        Some((role, Some(rest.strip_prefix('-')?)))
    })
}

pub(super) async fn last_alerts(nats: &Nats) -> anyhow::Result<Vec<LastAlert>> {
    let state = nats.stream_state(Stream::Alert.name()).await?;
    let mut alerts = Vec::new();
    let mut sequence = state.last_sequence;
    // Where rules read alerts, ticks are among them.
    let oldest = state.first_sequence.max(state.last_sequence.saturating_sub(MAX_LOOKED_AT));
    while sequence >= oldest && sequence > 0 && (alerts.len() as u64) < LAST_ALERTS {
        if let Some(message) = nats.get(Stream::Alert.name(), sequence).await?
            && let Ok(Event::Alert(alert)) = Event::decode(&message.payload)
        {
            alerts.push(last_alert(alert, message.stored_at_us));
        }
        sequence -= 1;
    }
    Ok(alerts)
}

fn last_alert(alert: Alert, at_us: i64) -> LastAlert {
    LastAlert {
        at_us,
        severity: alert.severity.as_str(),
        state: alert.state.as_str(),
        rule: alert.rule,
        title: alert.title,
        code: alert.code,
    }
}

/// How far the tables are behind the streams.
pub(super) fn lags(positions: Vec<PositionRow>, streams: &[StreamStatus]) -> Vec<Lag> {
    positions
        .into_iter()
        .map(|position| {
            let stream = streams.iter().find(|stream| stream.name == position.stream);
            let end = stream.and_then(|stream| stream.state.as_ref());
            Lag {
                messages_behind: end
                    .map(|state| state.last_sequence.saturating_sub(position.sequence)),
                stream: position.stream,
                position: position.sequence,
            }
        })
        .collect()
}

/// Says of each chain that never published why, as far as that is known.
pub(super) fn explain(status: &mut Status) {
    for chain in status.chains.iter_mut().filter(|chain| chain.head.is_none()) {
        let led =
            status.leases.iter().any(|lease| lease.task == leases::chain("evm", &chain.chain));
        let endpoints = status.endpoints.iter().filter(|endpoint| endpoint.chain == chain.chain);
        let errors: Vec<String> = endpoints
            .filter_map(|endpoint| {
                Some(format!("{}: {}", endpoint.endpoint, endpoint.error.as_ref()?))
            })
            .collect();
        chain.why = Some(match (led, errors.is_empty()) {
            (false, _) => "nobody follows it: `crypto-intel run evm`".to_owned(),
            (true, true) => "a producer leads it and has published nothing yet: its /ready says what it waits for".to_owned(),
            (true, false) => errors.join("; "),
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn consumers_belong_to_the_role_that_their_name_begins_with() {
        assert_eq!(role_of("alerts-host-1-2f-evm"), Some(("alerts", Some("host-1-2f-evm"))));
        assert_eq!(role_of("notify"), Some(("notify", None)));
        assert_eq!(role_of("notify-ops"), Some(("notify", Some("ops"))));
        assert_eq!(role_of("kv-status"), None);
        assert_eq!(role_of("persistent"), None);
    }
}
