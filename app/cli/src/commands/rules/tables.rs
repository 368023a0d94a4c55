//! What has left a stream, from the tables: the part of a test's range before the stream's first message.

use std::collections::{BTreeMap, BTreeSet, HashSet};

use anyhow::Context as _;
use crypto_intel_alerts::{RuleStream, Trial};
use crypto_intel_nats::{Nats, StreamMessage, StreamState};
use crypto_intel_schemas::{
    Address, Event, Kind, Stream, Tick, patterns, polled_event_id, subjects,
};
use crypto_intel_store::{PastEvents, PastReader, PastRequest, Store, Table, fields_not_kept};
use serde::Serialize;

use crate::{commands::connect_store, config::AppConfig, output::thousands, times::time_text};

const SECOND_US: i64 = 1_000_000;
/// An event that was seen so long before the stream's first message is not in the stream, too.
const OVERLAP_US: i64 = 3_600 * SECOND_US;
/// What events say of both sides beside their addresses: tables of labels know it.
const LABELLED: [&str; 4] = ["from_label", "to_label", "from_tags", "to_tags"];

/// The range that is asked of the tables.
#[derive(Debug, Clone, Copy)]
pub(super) struct TableRange {
    pub(super) since_us: i64,
    pub(super) until_us: i64,
}

/// What the tables had.
#[derive(Debug, Default, Serialize)]
pub(super) struct TablesReport {
    from: Option<String>,
    to: Option<String>,
    events: u64,
    blocks: u64,
    /// Blocks that were stored long after their time, as by a backfill: they are read as if they had come in time.
    late_blocks: u64,
    /// Blocks that left their chain: tables have no events of them.
    blocks_that_left: u64,
    /// Rows that are no event of this version.
    unreadable: u64,
    /// Kinds and fields that rules read and tables do not have.
    not_kept: Vec<String>,
    /// Whether names and tags of addresses were added as sources say them now.
    labels_of_now: bool,
}

/// Where the tables end: what the stream repeats.
#[derive(Debug, Default)]
pub(super) struct Overlap {
    ids: HashSet<String>,
    until_us: i64,
}

impl Overlap {
    /// Whether the tables had the event of a message. Events of blocks are known by their blocks: the rules see each once.
    pub(super) fn has(&self, message: &StreamMessage) -> bool {
        if self.ids.is_empty() || message.stored_at_us > self.until_us {
            return false;
        }
        Event::decode(&message.payload).is_ok_and(|event| self.ids.contains(event.id()))
    }
}

/// Reads a range of the tables for all trials.
pub(super) async fn pass(
    config: &AppConfig,
    nats: &Nats,
    state: &StreamState,
    range: TableRange,
    trials: &mut [Trial],
) -> anyhow::Result<(TablesReport, Overlap)> {
    let Some(stream) = trials.first().map(Trial::stream) else { return Ok(Default::default()) };
    let kinds: BTreeSet<Kind> = trials.iter().flat_map(Trial::kinds).collect();
    let store = connect_store(config).await?;
    let mut report =
        TablesReport { not_kept: not_kept(config, stream, &kinds), ..Default::default() };
    let mut last_blocks = BTreeMap::new();
    if stream == RuleStream::Evm {
        last_blocks = first_blocks(&store, nats, state).await?;
        report.blocks_that_left = store.blocks_that_left(range.since_us, range.until_us).await?;
    }
    let reader = store
        .past(PastRequest {
            kinds,
            since_us: range.since_us,
            until_us: range.until_us,
            stream_begins_us: state.first_stored_at_us,
            last_blocks,
        })
        .await
        .context("read the tables")?;
    let mut playing =
        Playing { store, stream, trials, report, overlap: Overlap::default(), clock_us: None };
    if let Some(begins_us) = state.first_stored_at_us {
        playing.overlap.until_us = begins_us.saturating_add(OVERLAP_US);
    }
    playing.play(reader, range).await?;
    Ok((playing.report, playing.overlap))
}

/// By chain, the block whose marker is the first in the stream, which may lack some of the block's events.
async fn first_blocks(
    store: &Store,
    nats: &Nats,
    state: &StreamState,
) -> anyhow::Result<BTreeMap<String, u64>> {
    let mut first = BTreeMap::new();
    for head in store.chain_heads().await.context("read the chains")? {
        let subject = subjects::chain(subjects::Lane::Live, &head.chain, Kind::Block);
        let found = nats
            .next_matching(Stream::Evm.name(), state.first_sequence, &subject)
            .await
            .context("read the first block of the stream")?;
        let marker = found.and_then(|message| Event::decode(&message.payload).ok());
        if let Some(Event::Block(marker)) = marker {
            // One that leaves is not the chain's any more: what takes its place is in the stream.
            let last = marker.block_number.saturating_sub(u64::from(marker.removed));
            first.insert(head.chain, last);
        }
    }
    Ok(first)
}

/// The tables' events on their way into the trials.
struct Playing<'t> {
    store: Store,
    stream: RuleStream,
    trials: &'t mut [Trial],
    report: TablesReport,
    overlap: Overlap,
    /// The last tick.
    clock_us: Option<i64>,
}

impl Playing<'_> {
    async fn play(&mut self, mut reader: PastReader, range: TableRange) -> anyhow::Result<()> {
        while let Some(mut past) = reader.next().await.context("read the tables")? {
            self.pass_time(past.at_us);
            self.add_labels(&mut past).await?;
            self.note(&past);
            for event in &past.events {
                self.apply(event, past.at_us);
            }
        }
        if self.clock_us.is_some() {
            self.pass_time(range.until_us);
        }
        let counts = reader.counts();
        self.report.blocks = counts.blocks;
        self.report.late_blocks = counts.late_blocks;
        self.report.unreadable = counts.unreadable;
        Ok(())
    }

    /// Tables have no ticks: time passes as it does in the stream, by the second.
    fn pass_time(&mut self, until_us: i64) {
        let step_us = if self.stream == RuleStream::Alert { 60 * SECOND_US } else { SECOND_US };
        let full = until_us - until_us.rem_euclid(step_us);
        let mut next_us = self.clock_us.map_or(full, |clock_us| clock_us + step_us);
        while next_us <= full {
            let slug = self.stream.slug();
            let tick = Tick {
                id: polled_event_id("alerts", Kind::Tick, slug, next_us),
                stream: slug.to_owned(),
                ..Tick::at("alerts", next_us, next_us)
            };
            self.apply(&Event::from(tick), next_us);
            self.clock_us = Some(next_us);
            next_us += step_us;
        }
    }

    fn apply(&mut self, event: &Event, at_us: i64) {
        let message = StreamMessage {
            subject: subjects::of(event),
            schema: None,
            headers: None,
            payload: event.encode().into(),
            sequence: 0,
            stored_at_us: at_us,
            remaining: 0,
        };
        self.trials.iter_mut().for_each(|trial| trial.apply(&message));
    }

    fn note(&mut self, past: &PastEvents) {
        self.report.from.get_or_insert_with(|| time_text(past.at_us));
        self.report.to = Some(time_text(past.at_us));
        self.report.events += past.events.len() as u64;
        let may_repeat = past.at_us.saturating_add(2 * OVERLAP_US) >= self.overlap.until_us;
        if let [event] = past.events.as_slice()
            && may_repeat
            && (event.block_fields().is_none() || event.kind().is_lasting())
        {
            self.overlap.ids.insert(event.id().to_owned());
        }
    }

    /// What addresses are called and what they are, as sources say now: rows do not keep what they said then.
    async fn add_labels(&mut self, past: &mut PastEvents) -> anyhow::Result<()> {
        let sides = past.events.iter().filter_map(Event::parties);
        let addresses: BTreeSet<Address> =
            sides.flat_map(|sides| [sides.from, sides.to]).flatten().collect();
        if addresses.is_empty() {
            return Ok(());
        }
        let addresses: Vec<Address> = addresses.into_iter().collect();
        let book = self.store.labels_of(&addresses).await.context("read labels")?;
        for event in &mut past.events {
            let (Some(sides), Some(chain)) =
                (event.parties(), event.block_fields().map(|block| block.chain.to_owned()))
            else {
                continue;
            };
            let Some(labels) = event.party_labels_mut() else { continue };
            if let Some(from) = sides.from {
                *labels.from_label = book.name(&chain, &from).map(str::to_owned);
                *labels.from_tags = book.tags(&chain, &from);
            }
            if let Some(to) = sides.to {
                *labels.to_label = book.name(&chain, &to).map(str::to_owned);
                *labels.to_tags = book.tags(&chain, &to);
            }
            self.report.labels_of_now = true;
        }
        Ok(())
    }
}

/// What rules read and tables lack: else silence would look like quiet.
fn not_kept(config: &AppConfig, stream: RuleStream, kinds: &BTreeSet<Kind>) -> Vec<String> {
    let mut lacking = Vec::new();
    let is_stored = config.persist.streams.iter().any(|source| source.stream == stream.name());
    if !is_stored {
        lacking.push(format!("stream {stream}: persist.streams does not name it"));
    }
    for kind in kinds {
        let is_derived = matches!(kind, Kind::Block | Kind::Finalized);
        if Table::of_kind(*kind).is_none() && !is_derived {
            lacking.push(format!("{kind}: no table stores it"));
        }
        let fields: Vec<&str> = fields_not_kept(*kind)
            .iter()
            .copied()
            .filter(|field| !LABELLED.contains(field) && !kind.not_in_rules().contains(field))
            .collect();
        if !fields.is_empty() {
            lacking.push(format!("{kind}: {}", fields.join(", ")));
        }
    }
    let own = kinds.iter().flat_map(|kind| kind.patterns());
    let own: Vec<String> = own.collect();
    for left_out in &config.persist.not_stored {
        if own.iter().any(|pattern| patterns::overlaps(pattern, left_out)) {
            lacking.push(format!("{left_out}: persist.not_stored leaves it out"));
        }
    }
    lacking
}

impl TablesReport {
    /// Lines for people.
    pub(super) fn lines(&self) -> Vec<String> {
        let (Some(from), Some(to)) = (&self.from, &self.to) else {
            return vec!["  from tables: no events".to_owned()];
        };
        let blocks = match self.blocks {
            0 => String::new(),
            blocks => format!(" in {} blocks", thousands(blocks)),
        };
        let events = thousands(self.events);
        let mut lines = vec![format!("  from tables: {events} events{blocks}, {from} to {to}")];
        let counts = [
            (
                self.late_blocks,
                "blocks were stored long after their time: read as if they had come in time",
            ),
            (self.blocks_that_left, "blocks left their chain, tables have no events of them"),
            (self.unreadable, "rows are no events of this version"),
        ];
        let counts = counts.into_iter().filter(|(count, _)| *count > 0);
        lines.extend(counts.map(|(count, what)| format!("    {} {what}", thousands(count))));
        if self.labels_of_now {
            lines.push("    names and tags of addresses are those of now".to_owned());
        }
        lines.extend(self.not_kept.iter().map(|lacking| format!("    not in tables: {lacking}")));
        lines
    }
}
