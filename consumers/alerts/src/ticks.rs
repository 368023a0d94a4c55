//! Ticks, published into the streams that rules read, so that a replay has the same time.

use std::time::Duration;

use crypto_intel_nats::{Nats, OutMessage, PublishError};
use crypto_intel_schemas::{Event, Kind, Tick, polled_event_id};
use crypto_intel_service::now_us;
use futures::future::join_all;

use crate::{metrics::Metrics, streams::RuleStream};

const SECOND_US: i64 = 1_000_000;

/// Publishes a tick into each stream at every full second; never ends. A failed tick is not repeated:
/// the next one replaces it.
pub(crate) async fn publish_ticks(nats: Nats, streams: Vec<RuleStream>, metrics: Metrics) {
    let mut failing = vec![false; streams.len()];
    loop {
        let now = now_us();
        let second_us = now - now.rem_euclid(SECOND_US);
        let attempts = streams.iter().map(|stream| publish_tick(&nats, *stream, second_us));
        let results = join_all(attempts).await;
        for ((stream, failing), result) in streams.iter().zip(&mut failing).zip(results) {
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
    let message = OutMessage::new(stream.tick_subject(), Event::from(tick).encode())
        .schema(Kind::Tick.schema())
        .message_id(id);
    nats.publish(message).await.map(drop)
}
