//! Ticks, published into the streams that rules read, so that a replay has the same time.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use crypto_intel_nats::{Nats, OutMessage, PublishError};
use crypto_intel_schemas::{Event, Kind, Tick, polled_event_id, subjects};
use crypto_intel_service::now_us;
use futures::future::join_all;

use crate::{metrics::Metrics, sets::Sets, streams::RuleStream};

const SECOND_US: i64 = 1_000_000;

/// The stream of alerts keeps everything for long: it has a tick a minute, and only while rules read it.
const ALERT_TICK_US: i64 = 60 * SECOND_US;

/// Age of the newest tick of a stream above which `/ready` fails; none for that of alerts, which mostly has none.
pub(crate) fn max_tick_age(stream: RuleStream) -> Option<Duration> {
    (stream != RuleStream::Alert).then_some(Duration::from_secs(5))
}

/// Publishes a tick into each stream at every full second; never ends. A failed tick is not repeated:
/// the next one replaces it.
pub(crate) async fn publish_ticks(nats: Nats, sets: Arc<Sets>, metrics: Metrics) {
    let streams = RuleStream::OF_RULES;
    let mut failing = BTreeMap::new();
    loop {
        let now = now_us();
        let second_us = now - now.rem_euclid(SECOND_US);
        let due = |stream: &RuleStream| match stream {
            RuleStream::Alert => sets.reads_alerts() && second_us % ALERT_TICK_US == 0,
            _ => true,
        };
        let due: Vec<RuleStream> = streams.iter().copied().filter(due).collect();
        let attempts = due.iter().map(|stream| publish_tick(&nats, *stream, second_us));
        let results = join_all(attempts).await;
        for (stream, result) in due.iter().zip(results) {
            let failing = failing.entry(*stream).or_insert(false);
            match result {
                Ok(()) => {
                    metrics.ticks.inc();
                    *failing = false;
                }
                Err(error) if !*failing => {
                    tracing::warn!(stream = stream.name(), error = %format!("{error:#}"), "tick not published, trying every second");
                    *failing = true;
                }
                Err(_) => {}
            }
        }
        let wait_us = (second_us + SECOND_US - now_us()).clamp(0, SECOND_US);
        tokio::time::sleep(Duration::from_micros(wait_us.unsigned_abs())).await;
    }
}

async fn publish_tick(nats: &Nats, stream: RuleStream, second_us: i64) -> Result<(), PublishError> {
    let id = polled_event_id("alerts", Kind::Tick, stream.slug(), second_us);
    let tick = Tick {
        id: id.clone(),
        stream: stream.slug().to_owned(),
        ..Tick::at("alerts", second_us, now_us())
    };
    let event = Event::from(tick);
    let message = OutMessage::new(subjects::of(&event), event.encode())
        .schema(Kind::Tick.schema())
        .message_id(id);
    // Another instance may have published this very tick.
    nats.publish_once(stream.name(), message).await.map(drop)
}
