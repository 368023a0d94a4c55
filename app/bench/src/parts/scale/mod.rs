//! How cost grows: with the number of chains, with what persist is behind, with the rows that the tables hold already. One
//! mechanism measures all of it: some chains, a producer, nats-server, persist and PostgreSQL on this machine.

mod growth;
mod run;
mod servers;
mod shape;
mod show;
mod snapshot;

use crypto_intel_service::now_us;

use self::{
    run::{Measured, run},
    servers::Tables,
    shape::Shape,
    show::Line,
};
use super::queries;
use crate::{options::Options, report::Report};

/// One every 250 ms.
const BLOCKS_PER_SECOND: f64 = 4.0;
/// Chains whose rows are loaded beforehand end below this number: what is measured goes on above it.
const FIRST_NUMBER: u64 = 10_000_001;

/// How many chains there are, and what their blocks hold.
#[derive(Debug)]
struct Sizes {
    chains: &'static [usize],
    /// Transfers in each block where every chain is as busy as the first.
    transfers: usize,
    /// Transfers of one block of every chain, where all chains together are as busy as a few.
    shared_transfers: usize,
}

impl Sizes {
    const fn of(options: &Options) -> Self {
        if options.quick {
            return Self { chains: &[1, 2], transfers: 20, shared_transfers: 20 };
        }
        Self { chains: &[1, 4, 16, 30], transfers: 300, shared_transfers: 1_200 }
    }
}

/// Measures each line once.
pub(crate) async fn measure(options: &Options, report: &mut Report) -> anyhow::Result<()> {
    let tables = Tables::fresh().await?;
    let mut lines = busy_chains(options, &tables, report).await?;
    lines.extend(shared_chains(options, &tables, report).await?);
    let backlog = backlog(options, &tables, report).await?;
    drop(tables);
    let rows = rows(options, &backlog, report).await?;
    lines.extend(backlog);
    lines.extend(rows);
    show::judge(report, &lines);
    Ok(())
}

/// Every chain as busy as the first.
async fn busy_chains(
    options: &Options,
    tables: &Tables,
    report: &mut Report,
) -> anyhow::Result<Vec<Line>> {
    let sizes = Sizes::of(options);
    let mut lines = Vec::new();
    for chains in sizes.chains.iter().copied() {
        let shape = Shape::of_chains(options, chains, sizes.transfers);
        let measured = on_empty(tables, &shape).await?;
        lines.push(Line::new(format!("chains_{chains}"), plural(chains), measured));
    }
    let title = format!("chains: each 4 blocks/s of {} transfers", sizes.transfers);
    show::live(report, &title, &lines);
    Ok(lines)
}

/// All chains together as busy as a few, and then one chain with all their blocks: what their number costs shows apart from
/// what the number of blocks costs.
async fn shared_chains(
    options: &Options,
    tables: &Tables,
    report: &mut Report,
) -> anyhow::Result<Vec<Line>> {
    let sizes = Sizes::of(options);
    let mut lines = Vec::new();
    let mut largest = None;
    for chains in sizes.chains.iter().copied() {
        let transfers = sizes.shared_transfers / chains;
        let shape = Shape::of_chains(options, chains, transfers);
        let measured = on_empty(tables, &shape).await?;
        let what = format!("{}, blocks of {transfers}", plural(chains));
        lines.push(Line::new(format!("shared_{chains}"), what, measured));
        largest = Some((shape, transfers));
    }
    if let Some((shape, transfers)) = largest {
        let what = format!("1 chain, as many blocks of {transfers}");
        let measured = on_empty(tables, &shape.into_one()).await?;
        lines.push(Line::new("shared_as_one".to_owned(), what, measured));
    }
    let per_second = sizes.shared_transfers as f64 * BLOCKS_PER_SECOND;
    show::live(report, &format!("chains: {per_second} transfers/s in all"), &lines);
    Ok(lines)
}

async fn on_empty(tables: &Tables, shape: &Shape) -> anyhow::Result<Measured> {
    tables.connection.empty().await?;
    run(tables, shape).await
}

fn plural(chains: usize) -> String {
    if chains == 1 { "1 chain".to_owned() } else { format!("{chains} chains") }
}

/// A quarter of the backlog, then all of it.
async fn backlog(
    options: &Options,
    tables: &Tables,
    report: &mut Report,
) -> anyhow::Result<Vec<Line>> {
    let mut lines = Vec::new();
    for events in [options.backlog / 4, options.backlog] {
        let measured = on_empty(tables, &Shape::behind(options, events)).await?;
        let what = format!("{:.0} events", measured.backlog_events);
        lines.push(Line::new(format!("backlog_{events}"), what, measured));
    }
    show::behind(report, "persist behind at start, empty tables", &lines);
    if let Some(all) = lines.last() {
        show::day(report, &all.measured);
    }
    Ok(lines)
}

/// The quarter again, into tables that hold rows already.
async fn rows(options: &Options, empty: &[Line], report: &mut Report) -> anyhow::Result<Vec<Line>> {
    let of_rows = |rows: u64, measured: Measured| {
        Line::new(format!("rows_{rows}"), format!("{rows} rows beforehand"), measured)
    };
    let mut lines: Vec<Line> = empty.iter().take(1).map(|line| of_rows(0, line.measured)).collect();
    for rows in [options.rows / 10, options.rows] {
        let tables = Tables::fresh().await?;
        let loaded = queries::load(&tables.connection, rows, None, now_us()).await?;
        report.say(&loaded.to_string());
        // What loading left to write back belongs to no line.
        tables.connection.run("CHECKPOINT").await?;
        let measured = run(&tables, &Shape::behind(options, options.backlog / 4)).await?;
        lines.push(of_rows(loaded.rows, measured));
    }
    show::behind(report, "rows in the tables", &lines);
    lines.drain(..lines.len().min(1));
    Ok(lines)
}
