use anyhow::{Context as _, bail};
use crypto_intel_nats::{
    Nats, Notice, Position, RangeOptions, RangeReader, StreamMessage, StreamRange,
};
use tokio::time::Instant;

use crate::trial::Trial;

const READ_AT_ONCE: usize = 1_000;
/// So many messages are applied between two looks at the clock.
const APPLIED_AT_ONCE: usize = 100;

/// How much of a range may be read.
#[derive(Debug, Clone, Copy)]
pub struct TrialBudget {
    /// Until then.
    pub until: Instant,
    /// So many messages at most.
    pub messages: u64,
}

/// What was read of a range.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct TrialRead {
    /// When the first and the last message were stored, microseconds since 1970.
    pub between_us: Option<(i64, i64)>,
    /// Messages.
    pub messages: u64,
    /// Sequences that left the stream while it was read.
    pub lost: Vec<(u64, u64)>,
    /// Whether the budget ended before the range.
    pub is_cut: bool,
}

impl TrialRead {
    /// What was lost, for people.
    pub fn lost_texts(&self) -> impl Iterator<Item = String> {
        self.lost
            .iter()
            .map(|(from, to)| format!("sequences {from} to {to} left the stream while it was read"))
    }
}

/// Reads a range of a stream once, for all trials; only messages that are wanted count.
///
/// # Errors
/// When the stream cannot be read, or was recreated meanwhile.
pub async fn read_trials(
    nats: &Nats,
    range: StreamRange,
    trials: &mut [Trial],
    budget: Option<TrialBudget>,
    wants: impl Fn(&StreamMessage) -> bool,
) -> anyhow::Result<TrialRead> {
    let mut done = TrialRead::default();
    let Some(stream) = trials.first().map(Trial::stream) else { return Ok(done) };
    let options = RangeOptions {
        stream: stream.name().to_owned(),
        filters: trials.iter().flat_map(Trial::filters).collect(),
        name: "rules-test".to_owned(),
        after: Position { sequence: range.from - 1, stored_at_us: 0 },
        to: range.to,
        rate: None,
    };
    let is_over = |done: &TrialRead| {
        budget.is_some_and(|budget| {
            done.messages >= budget.messages || Instant::now() >= budget.until
        })
    };
    let mut reader = RangeReader::open(nats, options).await.context("open the stream")?;
    loop {
        let next = reader.next(READ_AT_ONCE);
        let next = match budget {
            Some(budget) => match tokio::time::timeout_at(budget.until, next).await {
                Ok(next) => next,
                Err(_) => return Ok(TrialRead { is_cut: true, ..done }),
            },
            None => next.await,
        };
        let Some(read) = next.context("read the stream")? else { return Ok(done) };
        for notice in read.notices {
            match notice {
                Notice::LostRange { from, to } => done.lost.push((from, to)),
                Notice::StreamReset { .. } => {
                    bail!("stream {stream} was recreated meanwhile: begin again")
                }
            }
        }
        for part in read.messages.chunks(APPLIED_AT_ONCE) {
            if is_over(&done) {
                return Ok(TrialRead { is_cut: true, ..done });
            }
            for message in part.iter().filter(|message| wants(message)) {
                let begun = done.between_us.map_or(message.stored_at_us, |(begun, _)| begun);
                done.between_us = Some((begun, message.stored_at_us));
                done.messages += 1;
                trials.iter_mut().for_each(|trial| trial.apply(message));
            }
            // Others of this thread have their turn.
            tokio::task::yield_now().await;
        }
    }
}
