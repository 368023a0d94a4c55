//! Reading a range for a target that takes messages as they are.

use anyhow::Context as _;
use crypto_intel_nats::{Notice, Position, RangeOptions, RangeReader, StreamMessage, StreamRange};
use indicatif::ProgressBar;
use serde::Serialize;

use super::Session;

const READ_AT_ONCE: usize = 1_000;

/// What was copied.
#[derive(Debug, Default, Serialize)]
pub(super) struct Copied {
    /// Events handed on by this run.
    pub(super) events: u64,
    /// Sequence of the last one looked at.
    pub(super) position: u64,
    /// Whether the range was read to its end.
    pub(super) complete: bool,
    /// Ranges that left the stream before they were read.
    pub(super) lost_ranges: u64,
}

/// Hands every message of a range to `take`, in order, until its end or a signal.
pub(super) async fn copy(
    session: &Session<'_>,
    stream: &str,
    range: StreamRange,
    after: Position,
    bar: &ProgressBar,
    mut take: impl AsyncFnMut(Vec<StreamMessage>) -> anyhow::Result<()>,
) -> anyhow::Result<Copied> {
    let options = RangeOptions {
        stream: stream.to_owned(),
        filters: session.options.subjects.clone(),
        name: "replay".to_owned(),
        after,
        to: range.to,
        rate: session.options.rate,
    };
    let mut reader = RangeReader::open(&session.nats, options).await.context("open the stream")?;
    let mut copied = Copied { position: after.sequence, ..Copied::default() };
    loop {
        let read = tokio::select! {
            read = reader.next(READ_AT_ONCE) => read.context("read the stream")?,
            () = session.shutdown.cancelled() => return Ok(copied),
        };
        let Some(read) = read else { break };
        for notice in read.notices {
            match notice {
                Notice::LostRange { from, to } => {
                    tracing::error!(
                        stream,
                        from,
                        to,
                        "messages left the stream before they were read"
                    );
                    copied.lost_ranges += 1;
                }
                Notice::StreamReset { .. } => {
                    anyhow::bail!(
                        "stream {stream} was recreated or restored meanwhile: begin again with --anew"
                    )
                }
            }
        }
        let Some(last) = read.messages.last().map(|message| message.sequence) else { continue };
        let events = read.messages.len() as u64;
        take(read.messages).await?;
        copied.events += events;
        copied.position = last;
        bar.set_position((last + 1).saturating_sub(range.from));
    }
    copied.complete = true;
    Ok(copied)
}
