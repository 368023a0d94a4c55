//! When more messages wait than pacing lets through, those below critical are folded into one.

use std::{collections::BTreeSet, time::Duration};

use crypto_intel_nats::StreamMessage;
use crypto_intel_schemas::{Notification, Severity};
use futures::{
    future::{BoxFuture, FutureExt as _},
    stream::{self, StreamExt as _, TryStreamExt as _},
};

use super::{
    Setup, in_flight::InFlight, in_flight::decode, outbox::Outbox, results::MEMBERS_AT_ONCE,
};
use crate::{channel::Channel, pacing::gate::SendGate, records::record::Records, render::Voice};

/// Messages that need no longer than this one by one are not folded.
const MAX_UNFOLDED_TIME: Duration = Duration::from_secs(20);

/// When digests with a line for each alert take longer than this, what waits is counted instead.
const MAX_LISTED_TIME: Duration = Duration::from_secs(120);
/// Stream sequences that are read at the same time.
const READ_AHEAD: u64 = 64;
/// Alerts in a digest that counts them: each is recorded and ends for itself.
const MAX_COUNTED_ALERTS: usize = 1_000;

/// How many alerts a digest takes: as many as it has lines for, or, where so many wait that people could not read them
/// anyway, very many.
fn most_alerts(lines: usize, waiting: u64, gate: &SendGate) -> usize {
    let digests = waiting.div_ceil(u64::try_from(lines.max(1)).unwrap_or(u64::MAX));
    if lines > 1 && gate.time_for(digests) > MAX_LISTED_TIME { MAX_COUNTED_ALERTS } else { lines }
}

/// Folds waiting messages into one, if too many wait or if they are one group: in order, and only up to the next critical
/// one, so that none overtakes another. The record of the attempt names them, so that they end with
/// it in any case.
pub(super) async fn fold(
    in_flight: &mut InFlight<'_>,
    setup: &Setup,
    channel: &dyn Channel,
    records: &Records,
    outbox: &Outbox,
) -> anyhow::Result<()> {
    let above = u64::from(setup.destination.policy().digest_above);
    let waiting = in_flight.work.pending;
    let untouched = in_flight.stored.revision == 0 && in_flight.folded.is_empty();
    let group = in_flight.own.group.clone();
    let too_many = above > 0 && waiting > above && setup.gate.time_for(waiting) > MAX_UNFOLDED_TIME;
    let is_critical = in_flight.own.alert.severity == Severity::Critical;
    if !untouched || is_critical || (group.is_none() && !too_many) {
        return Ok(());
    }
    let voice = Voice::of(setup.destination.policy());
    let mut known = BTreeSet::from([in_flight.stored.record.delivery.clone()]);
    let mut alerts = vec![in_flight.own.alert.clone()];
    let mut sequence = in_flight.work.message.sequence + 1;
    let lines = channel.capabilities().digest_alerts;
    let most = if too_many { most_alerts(lines, waiting, &setup.gate) } else { lines };
    let ahead = u64::try_from(most).unwrap_or(READ_AHEAD).min(READ_AHEAD);
    'reads: while 1 + in_flight.folded.len() < most {
        let messages = outbox.next_messages(sequence, ahead).await?;
        let Some(last) = messages.last() else { break };
        sequence = last.sequence + 1;
        for candidate in candidates(messages, setup, records).await? {
            let Candidate { sequence, notification, is_told } = candidate;
            // An unreadable message is handled when its turn comes.
            let Some(notification) = notification else { break 'reads };
            if notification.alert.severity == Severity::Critical {
                break 'reads;
            }
            // A group is told as one, whatever else waits.
            if !too_many && notification.group != group {
                break 'reads;
            }
            if is_told || !known.insert(notification.id.clone()) {
                continue;
            }
            if most <= lines {
                alerts.push(notification.alert.clone());
                if !channel.takes_digest(&alerts, &voice) {
                    break 'reads;
                }
            }
            in_flight.stored.record.folded.push(sequence);
            in_flight.folded.push(notification);
            if 1 + in_flight.folded.len() >= most {
                break 'reads;
            }
        }
    }
    if too_many {
        tracing::info!(
            destination = setup.name,
            waiting,
            folded = in_flight.folded.len(),
            "too many messages wait to be sent one by one, folding them"
        );
    }
    Ok(())
}

/// A message that may be folded.
struct Candidate {
    sequence: u64,
    /// `None` when it cannot be read.
    notification: Option<Notification>,
    /// It has ended, is under way, or was overtaken in the other lane: it ends in its own turn.
    is_told: bool,
}

async fn candidates(
    messages: Vec<StreamMessage>,
    setup: &Setup,
    records: &Records,
) -> anyhow::Result<Vec<Candidate>> {
    let looks: Vec<BoxFuture<'_, anyhow::Result<Candidate>>> =
        messages.into_iter().map(|message| candidate(message, setup, records).boxed()).collect();
    stream::iter(looks).buffered(MEMBERS_AT_ONCE).try_collect().await
}

async fn candidate(
    message: StreamMessage,
    setup: &Setup,
    records: &Records,
) -> anyhow::Result<Candidate> {
    let sequence = message.sequence;
    let Ok(notification) = decode(&message) else {
        return Ok(Candidate { sequence, notification: None, is_told: false });
    };
    let (recorded, told) = tokio::try_join!(
        records.load(&setup.name, &notification.id),
        records.anchor(&setup.name, &notification.alert.alert),
    )?;
    let is_overtaken = told.is_some_and(|anchor| anchor.tells(&notification.alert));
    let is_told = recorded.is_some() || is_overtaken;
    Ok(Candidate { sequence, notification: Some(notification), is_told })
}
