//! What each secondary index costs: COPY into one table with all of them, without each in turn, and with the key alone.

use std::time::Instant;

use crypto_intel_store::Table;

use super::{Place, TableShare};
use crate::{
    connection::{Connection, CopyBatch, Index},
    options::Options,
    report::{Line, Report},
    stats::median,
    usage::run_seconds,
};

/// Tables with a smaller share of the rows are left out: a hundred rows prove nothing.
const MIN_SHARE: f64 = 0.01;

/// One COPY of all of a table's rows.
#[derive(Debug, Clone, Copy)]
struct Copied {
    seconds: f64,
    /// Of the server's process behind the connection.
    cpu_seconds: f64,
}

/// Runs of one table, a list for each variant.
#[derive(Debug)]
struct Variants {
    all: Vec<Copied>,
    /// In the order of the indexes.
    without: Vec<Vec<Copied>>,
    none: Vec<Copied>,
}

pub(super) async fn measure(
    options: &Options,
    place: &Place<'_>,
    report: &mut Report,
) -> anyhow::Result<()> {
    let mut lines = Vec::new();
    for share in &place.mix {
        if (share.rows as f64) < place.rows as f64 * MIN_SHARE || share.table == Table::Blocks {
            continue;
        }
        let indexes = place.connection.indexes(share.table).await?;
        let own: Vec<CopyBatch> =
            place.batches.iter().map(|batch| batch.only(share.table)).collect();
        let backend = place.connection.backend().await?;
        let mut variants = Variants {
            all: Vec::new(),
            without: indexes.iter().map(|_| Vec::new()).collect(),
            none: Vec::new(),
        };
        for _ in 0..options.repeat {
            variants.round(&place.connection, backend, share.table, &indexes, &own).await?;
        }
        show(report, &mut lines, share, &indexes, &variants);
    }
    let heads = [
        "COPY into one table",
        "rows/s",
        "of all indexes",
        "PostgreSQL's CPU µs a row",
        "the index's CPU µs a row",
    ];
    report.table(&heads, &lines);
    Ok(())
}

impl Variants {
    async fn round(
        &mut self,
        connection: &Connection,
        backend: u32,
        table: Table,
        indexes: &[Index],
        own: &[CopyBatch],
    ) -> anyhow::Result<()> {
        self.all.push(connection.timed_copy(backend, table, own).await?);
        for (index, runs) in indexes.iter().zip(&mut self.without) {
            connection.run(&format!("DROP INDEX {}", index.name)).await?;
            runs.push(connection.timed_copy(backend, table, own).await?);
            connection.run(&format!("TRUNCATE {table}")).await?;
            connection.run(&index.definition).await?;
        }
        for index in indexes {
            connection.run(&format!("DROP INDEX {}", index.name)).await?;
        }
        self.none.push(connection.timed_copy(backend, table, own).await?);
        connection.run(&format!("TRUNCATE {table}")).await?;
        for index in indexes {
            connection.run(&index.definition).await?;
        }
        Ok(())
    }
}

impl CopyBatch {
    fn only(&self, table: Table) -> Self {
        let bodies = self.bodies.iter().filter(|(of, _)| *of == table).cloned().collect();
        Self { events: self.events, bodies }
    }
}

impl Connection {
    async fn timed_copy(
        &self,
        backend: u32,
        table: Table,
        batches: &[CopyBatch],
    ) -> anyhow::Result<Copied> {
        self.run(&format!("TRUNCATE {table}")).await?;
        self.run("CHECKPOINT").await?;
        let cpu_before = run_seconds(backend)?;
        let started = Instant::now();
        self.copy(batches).await?;
        let seconds = started.elapsed().as_secs_f64();
        Ok(Copied { seconds, cpu_seconds: run_seconds(backend)? - cpu_before })
    }
}

fn show(
    report: &mut Report,
    lines: &mut Vec<Line>,
    share: &TableShare,
    indexes: &[Index],
    variants: &Variants,
) {
    let rows = share.rows as f64;
    let seconds = |runs: &[Copied]| median(runs.iter().map(|run| run.seconds)).max(1e-9);
    let cpu = |runs: &[Copied]| median(runs.iter().map(|run| run.cpu_seconds)) * 1e6 / rows;
    let (all, all_cpu) = (seconds(&variants.all), cpu(&variants.all));
    let mut add = |what: String, runs: &[Copied], key: Option<String>| {
        let line = Line::new(what).number(rows / seconds(runs)).number(all / seconds(runs));
        let line = line.number(cpu(runs));
        let cost = all_cpu - cpu(runs);
        lines.push(match key {
            Some(key) => {
                report.put(format!("index_{key}_cpu_us_per_row"), cost);
                report.put(format!("index_{key}_ratio"), seconds(runs) / all);
                line.number(cost)
            }
            None => line,
        });
    };
    let table = share.table;
    add(format!("{table}, all indexes"), &variants.all, None);
    for (index, runs) in indexes.iter().zip(&variants.without) {
        add(format!("{table} without {}", index.name), runs, Some(index.name.clone()));
    }
    add(format!("{table}, key alone"), &variants.none, Some(format!("{table}_all")));
}
