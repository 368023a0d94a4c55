//! From the stream to committed rows, beside a loop that only COPYs the same rows and one that only reads them.

mod indexes;
mod show;

use std::time::Instant;

use anyhow::{Context as _, ensure};
use crypto_intel_store::Table;

use crate::{
    child::Child,
    connection::{Connection, CopyBatch, tables},
    fixtures::Source,
    options::{Options, Part},
    report::Report,
    setup::{self, Database},
    usage::{Usage, cpu_seconds_of_tree},
    worker::{Lane, PersistOutcome, PersistTask, ReadHow, ReadOutcome, ReadTask, Task},
};

/// Where everything is stored.
#[derive(Debug)]
struct Place<'a> {
    source: &'a Source,
    // Dropped before its server.
    connection: Connection,
    database: Database,
    /// What persist stored, split into its batches.
    batches: Vec<CopyBatch>,
    rows: u64,
    mix: Vec<TableShare>,
}

/// One table in the mix.
#[derive(Debug)]
struct TableShare {
    table: Table,
    rows: u64,
    /// In COPY's binary form.
    copy_bytes: f64,
    /// Table and indexes.
    stored_bytes: f64,
}

/// A side with what the servers used meanwhile, seconds.
#[derive(Debug, Clone, Copy)]
struct Stored {
    persist: PersistOutcome,
    postgres_cpu: f64,
    broker_cpu: f64,
}

impl Stored {
    /// Of persist and both servers, seconds.
    fn cpu(&self) -> f64 {
        self.persist.usage.cpu_seconds + self.postgres_cpu + self.broker_cpu
    }
}

/// What each round measured.
#[derive(Debug, Default)]
struct Rounds {
    fresh: Vec<Stored>,
    known: Vec<Stored>,
    /// Seconds and PostgreSQL's CPU.
    copy: Vec<(f64, f64)>,
    reader: Vec<ReadOutcome>,
    bare: Vec<ReadOutcome>,
}

/// Stores the filled stream by each side in turns, always into the same emptied tables.
pub(crate) async fn measure(
    options: &Options,
    source: &Source,
    report: &mut Report,
) -> anyhow::Result<()> {
    let place = Place::prepare(source).await?;
    if options.wants(Part::Persist) {
        let mut rounds = Rounds::default();
        for _ in 0..options.repeat {
            place.round(&mut rounds).await?;
        }
        show::all(report, &place, &rounds);
    }
    if options.wants(Part::Indexes) {
        indexes::measure(options, &place, report).await?;
    }
    Ok(())
}

impl<'a> Place<'a> {
    /// Stores once without measuring: this gives the rows, and files that both sides then reuse.
    async fn prepare(source: &'a Source) -> anyhow::Result<Self> {
        let database = setup::database().await?;
        let connection = Connection::open(&database.url).await?;
        connection.empty().await?;
        let (batches, mix) = (Vec::new(), Vec::new());
        let mut place = Self { source, database, connection, batches, rows: 0, mix };
        place.store().await?;
        let max_events = crypto_intel_persist::Config::default().max_batch_events as u64;
        place.batches = place.connection.take_rows(max_events).await?;
        place.rows = place.connection.rows().await?;
        ensure!(place.rows > 0, "persist stored nothing of {} messages", source.messages);
        place.mix = place.table_mix().await?;
        place.connection.empty().await?;
        place.connection.copy(&place.batches).await?;
        Ok(place)
    }

    async fn table_mix(&self) -> anyhow::Result<Vec<TableShare>> {
        let mut mix = Vec::new();
        for table in tables() {
            let sql = format!("SELECT count(*) FROM {table}");
            let rows = self.connection.number(&sql).await?;
            let bodies = self.batches.iter().flat_map(|batch| &batch.bodies);
            let own = bodies.filter(|(of, _)| *of == table);
            let copy_bytes = own.map(|(_, body)| body.len() as f64).sum();
            let stored_bytes = self.connection.bytes(table).await?;
            mix.push(TableShare { table, rows, copy_bytes, stored_bytes });
        }
        mix.sort_by_key(|share| std::cmp::Reverse(share.rows));
        Ok(mix)
    }

    /// Every side once.
    async fn round(&self, rounds: &mut Rounds) -> anyhow::Result<()> {
        rounds.bare.push(self.read(ReadHow::Bare).await?);
        self.connection.empty().await?;
        rounds.fresh.push(self.store().await?);
        self.same_rows().await?;
        self.connection.run("UPDATE positions SET sequence = 0, stored_at_us = 0").await?;
        rounds.known.push(self.store().await?);
        self.same_rows().await?;
        rounds.reader.push(self.read(ReadHow::Decoded).await?);
        self.connection.empty().await?;
        let cpu_before = cpu_seconds_of_tree(self.database.server.pid());
        let started = Instant::now();
        self.connection.copy(&self.batches).await?;
        let seconds = started.elapsed().as_secs_f64();
        let cpu = cpu_seconds_of_tree(self.database.server.pid()) - cpu_before;
        rounds.copy.push((seconds, cpu));
        self.same_rows().await
    }

    async fn store(&self) -> anyhow::Result<Stored> {
        let postgres = || cpu_seconds_of_tree(self.database.server.pid());
        let broker = || Usage::of(self.source.broker.server.pid()).cpu_seconds;
        let (postgres_before, broker_before) = (postgres(), broker());
        let task = PersistTask {
            nats_url: self.source.broker.server.url(),
            database_url: self.database.url.clone(),
            lane: Lane::Live,
            messages: self.source.messages,
        };
        let persist = Child::run(&Task::Persist(task)).await.context("store the stream")?;
        let (postgres_cpu, broker_cpu) = (postgres() - postgres_before, broker() - broker_before);
        Ok(Stored { persist, postgres_cpu, broker_cpu })
    }

    async fn read(&self, how: ReadHow) -> anyhow::Result<ReadOutcome> {
        let nats_url = self.source.broker.server.url();
        let task = ReadTask { nats_url, messages: self.source.messages, how };
        Child::run(&Task::Read(task)).await.context("read the stream")
    }

    /// A side that stored something else cannot be compared.
    async fn same_rows(&self) -> anyhow::Result<()> {
        let rows = self.connection.rows().await?;
        ensure!(rows == self.rows, "{rows} rows instead of {}", self.rows);
        Ok(())
    }
}
