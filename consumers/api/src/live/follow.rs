//! One stream, read once for all clients of the process.

use std::{sync::Arc, time::Duration};

use anyhow::Context as _;
use crypto_intel_nats::{Notice, Position, ReaderOptions, Start, StreamMessage, StreamReader};
use crypto_intel_service::{Probe, Stopped, retry, unless_stopped};
use tokio_util::sync::CancellationToken;

use super::{
    gap::{Gap, GapReason},
    hub::Hub,
    live_event::LiveEvent,
    position::Slot,
    ring::RingLimits,
};

/// Messages handed to the hub at once: it is locked for so long.
const MAX_BATCH_MESSAGES: usize = 1_000;
/// While nothing comes, the probe is told this often that the reader waits.
const LOOK_INTERVAL: Duration = Duration::from_secs(5);

/// Reads one stream until `stop`.
pub(super) async fn follow(
    hub: Arc<Hub>,
    slot: Slot,
    limits: RingLimits,
    probe: Probe,
    stop: CancellationToken,
) -> Result<(), Stopped> {
    let mut gap = None;
    loop {
        let follower = Follower { hub: &hub, slot, limits, probe: &probe };
        match unless_stopped(&stop, follower.run(gap.take())).await? {
            Ok(reset) => gap = Some(reset),
            Err(error) => {
                tracing::warn!(stream = %slot.stream(), error = %format!("{error:#}"), "cannot follow the stream, trying again");
                probe.unhealthy(format!("{error:#}"));
                unless_stopped(&stop, tokio::time::sleep(LOOK_INTERVAL)).await?;
            }
        }
    }
}

struct Follower<'a> {
    hub: &'a Arc<Hub>,
    slot: Slot,
    limits: RingLimits,
    probe: &'a Probe,
}

impl Follower<'_> {
    /// Fills the ring and follows the stream; returns when it was recreated, with what clients are to be told of it.
    async fn run(&self, gap: Option<Gap>) -> anyhow::Result<Gap> {
        let stream = self.slot.stream();
        let state =
            retry("read the state of a stream", || self.hub.nats.stream_state(stream.name()))
                .await
                .with_context(|| format!("read the state of stream {stream}"))?;
        let first = state.last_sequence.saturating_sub(self.limits.events as u64) + 1;
        let first = first.max(state.first_sequence).max(1);
        let name = format!("api-{}-live-{}", self.hub.instance, stream.slug());
        let options = ReaderOptions::new(stream.name(), name, Start::Sequence(first))
            .filters(self.slot.filters());
        let mut reader = StreamReader::open(&self.hub.nats, options).await?;
        self.hub.begin(self.slot, Position { sequence: first - 1, stored_at_us: 0 });
        while let Some(batch) = reader.next_until_end(MAX_BATCH_MESSAGES).await? {
            if let Some(gap) = reset_of(self.slot, &batch.notices) {
                return Ok(gap);
            }
            self.hub.fill(self.slot, self.decode(&batch.messages), reader.position());
        }
        self.hub.follow(self.slot, gap.as_ref());
        self.probe.healthy("followed");
        loop {
            let batch =
                match tokio::time::timeout(LOOK_INTERVAL, reader.next(MAX_BATCH_MESSAGES)).await {
                    Ok(batch) => batch?,
                    Err(_) => {
                        self.report(&reader);
                        continue;
                    }
                };
            if let Some(gap) = reset_of(self.slot, &batch.notices) {
                tracing::warn!(%stream, "stream was recreated or restored: clients are told, and go on with what comes now");
                return Ok(gap);
            }
            self.take(&reader, &batch.messages, &batch.notices);
            self.report(&reader);
        }
    }

    fn take(&self, reader: &StreamReader, messages: &[StreamMessage], notices: &[Notice]) {
        for notice in notices {
            if let Notice::LostRange { from, to } = *notice {
                tracing::warn!(stream = %self.slot.stream(), from, to, "messages left the stream before they were read: clients are told");
                self.hub.lose(self.slot, from, to);
            }
        }
        if !messages.is_empty() {
            self.hub.take(self.slot, self.decode(messages), reader.position());
        }
    }

    fn decode(&self, messages: &[StreamMessage]) -> Vec<LiveEvent> {
        let stream = self.slot.stream().name();
        let metrics = &self.hub.metrics;
        metrics.received.with_label_values(&[stream]).inc_by(messages.len() as u64);
        let read = |message: &StreamMessage| {
            let read = LiveEvent::read(self.slot, message, |kind| self.hub.wants_json(kind));
            // persist tells of it, with its dead letter.
            read.inspect_err(|_| metrics.undecodable.with_label_values(&[stream]).inc()).ok()
        };
        messages.iter().filter_map(read).collect()
    }

    fn report(&self, reader: &StreamReader) {
        self.hub.set_lag(self.slot, reader.pending());
        match reader.trouble().get() {
            None => self.probe.healthy(format!("followed, {} to read", reader.pending())),
            Some(trouble) => self.probe.unhealthy(trouble),
        }
    }
}

fn reset_of(slot: Slot, notices: &[Notice]) -> Option<Gap> {
    let is_reset = notices.iter().any(|notice| matches!(notice, Notice::StreamReset { .. }));
    is_reset.then(|| Gap {
        stream: slot.stream().name(),
        from: None,
        to: None,
        reason: GapReason::Reset,
        get: None,
    })
}
