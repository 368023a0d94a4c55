//! `crypto-intel audit CHAIN`: compares what is stored with the chain, queues what is missing, and says
//! up to which block everything is there.

mod compare;
mod stored;

use std::process::ExitCode;

use anyhow::Context as _;
use crypto_intel_evm::{ChainBlock, ChainReader, GapReason, Gaps, read_verified, write_verified};
use crypto_intel_nats::Nats;
use crypto_intel_schemas::Verified;
use crypto_intel_service::{ConfigError, now_us};
use futures::{StreamExt as _, TryStreamExt as _};
use serde::Serialize;

use super::{
    backfill::{chain_config, reader},
    connect_nats, exit_code, prepare,
};
use crate::{
    args::{Arguments, AuditArguments},
    output::{Output, thousands},
    progress,
};
use compare::{Findings, Range, verified_range};
use stored::{ReadBlocks, Stored};

/// Blocks compared at once, at least: one question to each table.
const CHUNK: u64 = 100;

#[derive(Debug, Default, Serialize)]
struct Report {
    chain: String,
    against: &'static str,
    from: u64,
    to: u64,
    blocks: u64,
    /// Blocks of which something is missing.
    missing_blocks: u64,
    /// Events of them that are missing.
    missing_events: u64,
    /// Blocks with rows that the chain does not have.
    surplus_blocks: u64,
    /// Digest of the scope that was audited; absent: everything.
    #[serde(skip_serializing_if = "Option::is_none")]
    scope: Option<String>,
    /// Ranges that were queued for the history lane.
    queued: Vec<Range>,
    /// Everything up to here is stored.
    #[serde(skip_serializing_if = "Option::is_none")]
    verified_from: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    verified_up_to: Option<u64>,
    notes: Vec<String>,
}

pub(crate) async fn run(
    arguments: &Arguments,
    options: &AuditArguments,
    output: Output,
) -> anyhow::Result<ExitCode> {
    let config = prepare(arguments)?;
    let chain = options.chain.as_str();
    let chain_settings = chain_config(&config, chain)?;
    let nats = connect_nats(&config, "audit").await?;
    let stored = Stored::open(&config, &nats, chain).await?;
    let mut reader = reader(&config, chain, chain_settings).await?;
    let finalized = reader.finalized().await?;
    let mut previous = read_verified(&nats, chain).await?;
    let mut report = Report {
        chain: chain.to_owned(),
        against: stored.name(),
        scope: reader.scope(),
        ..Report::default()
    };
    if reader.read_watchlist(&nats).await {
        let note = "the scope is what touches watched addresses: compared with the watch-list as it is now";
        report.notes.push(note.to_owned());
    }
    if let Some(verified) = &previous
        && !reader.is_covered_by(&nats, verified.scope.as_deref()).await?
    {
        report.notes.push(format!(
            "blocks {} to {} were verified for a narrower scope: the audit begins anew",
            verified.from, verified.number
        ));
        previous = None;
    }
    let Some(range) = choose(options, &stored, previous.as_ref(), finalized, &mut report).await?
    else {
        output.show(&report, describe)?;
        return Ok(ExitCode::SUCCESS);
    };
    (report.from, report.to, report.blocks) = (range.from, range.to, range.to + 1 - range.from);
    let mut audit = Audit { nats: &nats, chain, stored, reader, previous, range };
    let findings = audit.compare(output, options.dry_run).await?;
    findings.fill(&mut report);
    if !options.dry_run {
        report.queued = queue(&nats, chain, &findings).await?;
    }
    let verified = audit.keep(&findings, range.to, options.dry_run).await?;
    report.verified_from = verified.as_ref().map(|verified| verified.from);
    report.verified_up_to = verified.as_ref().map(|verified| verified.number);
    output.show(&report, describe)?;
    Ok(exit_code(findings.is_clean()))
}

/// What is audited; `None`, with a note, when there is nothing to do.
async fn choose(
    options: &AuditArguments,
    stored: &Stored,
    previous: Option<&Verified>,
    finalized: u64,
    report: &mut Report,
) -> anyhow::Result<Option<Range>> {
    let Some(oldest) = stored.oldest().await? else {
        report.notes.push("nothing is stored of this chain yet".to_owned());
        return Ok(None);
    };
    let mut from = match (options.from, previous) {
        (Some(from), _) => from,
        (None, Some(previous)) => previous.number + 1,
        (None, None) => oldest,
    };
    if let Some(horizon) = stored.horizon(oldest).filter(|_| from < oldest) {
        report.notes.push(horizon);
        from = oldest;
    }
    let to = options.to.unwrap_or(finalized).min(finalized);
    if options.to.is_some_and(|to| to > finalized) {
        report.notes.push(format!("stopped at block {finalized}, the last final one"));
    }
    if options.from.zip(options.to).is_some_and(|(from, to)| from > to) {
        let problem = "--from is above --to".to_owned();
        return Err(ConfigError { problems: vec![problem] }.into());
    }
    if from > to {
        report.notes.push(format!("nothing to audit: block {to} is the last final one"));
        report.verified_from = previous.map(|previous| previous.from);
        report.verified_up_to = previous.map(|previous| previous.number);
        return Ok(None);
    }
    Ok(Some(Range { from, to }))
}

struct Audit<'a> {
    nats: &'a Nats,
    chain: &'a str,
    stored: Stored,
    reader: ChainReader,
    previous: Option<Verified>,
    range: Range,
}

impl Audit<'_> {
    async fn compare(&mut self, output: Output, dry_run: bool) -> anyhow::Result<Findings> {
        let bar = progress::blocks(output, self.range.to + 1 - self.range.from, self.chain);
        let mut findings = Findings::new(self.range);
        let mut first = self.range.from;
        while first <= self.range.to {
            let last = (first + CHUNK.max(self.reader.span_width()) - 1).min(self.range.to);
            let read = self.read(Range { from: first, to: last }).await?;
            self.stored.compare(&read, &mut findings).await?;
            // A long audit that is cut off goes on from here.
            self.keep(&findings, last, dry_run).await?;
            bar.inc(last + 1 - first);
            if !findings.is_clean() {
                bar.set_message(format!("{} blocks are not whole", findings.bad_blocks()));
            }
            first = last + 1;
        }
        bar.finish_and_clear();
        Ok(findings)
    }

    async fn read(&self, range: Range) -> anyhow::Result<ReadBlocks> {
        let width = self.reader.span_width();
        let parts = (range.from..=range.to).step_by(usize::try_from(width).unwrap_or(1));
        let blocks: Vec<Vec<ChainBlock>> = futures::stream::iter(parts)
            .map(|from| {
                let to = (from + width - 1).min(range.to);
                self.reader.blocks(from, to)
            })
            .buffered(8)
            .try_collect()
            .await?;
        let blocks = blocks.into_iter().flatten().collect();
        let has_transactions = self.reader.judges_transactions();
        Ok(ReadBlocks { range, blocks, scope: self.reader.scope(), has_transactions })
    }

    /// Keeps up to which block everything is stored, where that changed.
    async fn keep(
        &mut self,
        findings: &Findings,
        audited: u64,
        dry_run: bool,
    ) -> anyhow::Result<Option<Verified>> {
        let previous = self.previous.as_ref();
        let known = previous.map(|previous| Range { from: previous.from, to: previous.number });
        let audited = Range { from: self.range.from, to: audited };
        let range = verified_range(known, audited, findings.first_bad());
        if range == known || dry_run {
            return Ok(self.previous.clone());
        }
        let Some(range) = range else {
            // Nothing is verified any more: the first block itself is not whole.
            return Ok(None);
        };
        let hash = self.reader.block(range.to).await.context("fetch the verified block")?.hash;
        let verified = Verified {
            from: range.from,
            number: range.to,
            hash,
            against: self.stored.name().to_owned(),
            at_us: now_us(),
            scope: self.reader.scope(),
        };
        write_verified(self.nats, self.chain, &verified).await?;
        self.previous = Some(verified.clone());
        Ok(Some(verified))
    }
}

/// Queues what is missing, but for what is queued already.
async fn queue(nats: &Nats, chain: &str, findings: &Findings) -> anyhow::Result<Vec<Range>> {
    let gaps = Gaps::open(nats, chain).await.context("open bucket gaps")?;
    // The past of one address fills no block.
    let gaps_of_blocks = gaps.list().await?.into_iter().filter(|gap| gap.address.is_none());
    let known: Vec<Range> =
        gaps_of_blocks.map(|gap| Range { from: gap.next, to: gap.to }).collect();
    let mut queued = Vec::new();
    for range in findings.missing_ranges() {
        if known.iter().any(|known| known.from <= range.from && range.to <= known.to) {
            continue;
        }
        gaps.queue(range.from, range.to, GapReason::Audit).await?;
        queued.push(range);
    }
    Ok(queued)
}

fn describe(report: &Report) -> String {
    let mut lines = Vec::new();
    if report.blocks > 0 {
        lines.push(format!(
            "{}: {} blocks, {} to {}, compared with {}",
            report.chain,
            thousands(report.blocks),
            thousands(report.from),
            thousands(report.to),
            report.against
        ));
    }
    if report.missing_blocks > 0 {
        lines.push(format!(
            "missing: {} events of {} blocks",
            thousands(report.missing_events),
            thousands(report.missing_blocks)
        ));
    }
    for range in &report.queued {
        lines.push(format!("queued for the history lane: {} to {}", range.from, range.to));
    }
    if report.surplus_blocks > 0 {
        lines.push(format!(
            "{} blocks have rows that the chain does not have: look at them by hand",
            thousands(report.surplus_blocks)
        ));
    }
    lines.extend(report.notes.iter().cloned());
    lines.push(match report.verified_up_to {
        Some(number) => format!("verified up to block {}", thousands(number)),
        None => "verified up to no block yet".to_owned(),
    });
    lines.join("\n")
}
