//! How fast a stream becomes rows, compared with a bare COPY loop of the same rows into the same tables on the same server.
//!
//! `cargo run --release -p crypto-intel-persist --example rate -- [BLOCKS] [EVENTS PER BLOCK]`
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::print_stdout)]

use std::time::{Duration, Instant};

use alloy_primitives::keccak256;
use crypto_intel_nats::{Batch, Nats, NatsConfig, OutMessage, Topology, connect};
use crypto_intel_persist::{Config, run};
use crypto_intel_sandbox::{NatsOptions, NatsServer, Postgres, PostgresOptions};
use crypto_intel_schemas::{Address, Block, Erc20Transfer, Event, U256, Uint256, subjects};
use crypto_intel_service::{Context, Secret, now_us};
use crypto_intel_store::{RowSet, Store, StoreConfig, Table};
use futures::SinkExt as _;
use tokio_postgres::NoTls;
use tokio_util::sync::CancellationToken;

const ROUNDS: usize = 3;

#[tokio::main]
async fn main() {
    let mut arguments = std::env::args().skip(1).map(|text| text.parse::<u32>().unwrap());
    let blocks = arguments.next().unwrap_or(1_000);
    let events = arguments.next().unwrap_or(200);
    let server = NatsServer::start(NatsOptions::default()).await.unwrap();
    let options = PostgresOptions { durable: true, ..PostgresOptions::default() };
    let postgres = Postgres::start(options).await.unwrap();
    let url = postgres.create_database("rate").await.unwrap();
    let config = NatsConfig { url: server.url().into(), ..NatsConfig::default() };
    let nats = connect(&config, "rate", &CancellationToken::new()).await.unwrap();
    Topology::embedded().unwrap().apply(&nats, false).await.unwrap();
    let config = StoreConfig { url: Secret::new(&url), ..StoreConfig::default() };
    let store = Store::connect(&config, &CancellationToken::new()).await.unwrap();
    store.migrate(false).await.unwrap();

    let chain: Vec<Vec<Event>> = (0..blocks).map(|number| block(number, events)).collect();
    for block in &chain {
        publish(&nats, block).await;
    }
    let total = f64::from(blocks) * f64::from(events);
    let bodies = copy_bodies(&chain);
    for _ in 0..ROUNDS {
        clear(&url).await;
        let bare = total / bare_copy(&url, &bodies).await.as_secs_f64();
        clear(&url).await;
        let before = cpu_seconds();
        let persisted = total / persist(&nats, &store).await.as_secs_f64();
        let own = (cpu_seconds() - before) * 1e6 / total;
        println!(
            "bare COPY {bare:.0} rows/s, persist {persisted:.0} rows/s, ratio {:.2}, own cpu {own:.1} us/row",
            persisted / bare
        );
    }
}

fn block(number: u32, events: u32) -> Vec<Event> {
    let hash = keccak256(number.to_be_bytes());
    let time = 1_700_000_000_000_000 + i64::from(number) * 2_000_000;
    let address = |seed: u32| Address::from_word(keccak256(seed.to_le_bytes()));
    let mut block: Vec<Event> = (0..events)
        .map(|log_index| {
            let seed = number.wrapping_mul(events) + log_index;
            Event::from(Erc20Transfer {
                id: format!("base:{hash}:transfer.erc20:{log_index}"),
                chain: "base".into(),
                chain_id: 8453,
                block_number: number.into(),
                block_hash: hash,
                block_time_us: time,
                observed_at_us: now_us(),
                tx_hash: keccak256(seed.to_be_bytes()),
                tx_index: log_index / 2,
                tx_from: Some(address(seed % 5_000)),
                tx_to: Some(address(seed % 300)),
                log_index,
                address: address(seed % 300),
                from: address(seed % 5_000),
                to: address(seed % 7_000),
                value: Uint256(U256::from(seed) * U256::from(10).pow(U256::from(15))),
                symbol: Some("USDC".into()),
                decimals: Some(18),
                ..Erc20Transfer::empty()
            })
        })
        .collect();
    block.push(Event::from(Block {
        chain: "base".into(),
        chain_id: 8453,
        block_number: number.into(),
        block_hash: hash,
        block_time_us: time,
        observed_at_us: now_us(),
        rows: events,
        messages: events,
        ..Block::empty()
    }));
    block
}

async fn publish(nats: &Nats, events: &[Event]) {
    let messages = events
        .iter()
        .map(|event| {
            OutMessage::new(subjects::of(event), event.encode()).schema(event.kind().schema())
        })
        .collect();
    nats.publish_batch(Batch { messages, fence: None }).await.unwrap();
}

/// What persist writes, in batches of its size, encoded in advance.
fn copy_bodies(chain: &[Vec<Event>]) -> Vec<Vec<(Table, bytes::Bytes)>> {
    let per_batch = (5_000 / chain[0].len()).max(1);
    chain
        .chunks(per_batch)
        .map(|blocks| {
            let mut rows = RowSet::default();
            for event in blocks.iter().flatten() {
                match event {
                    Event::Block(block) => {
                        rows.add_block_gas(block, 0, 0).unwrap();
                        rows.add_block(block, 1, true, 0).unwrap();
                    }
                    event => drop(rows.add(event, 0, 0).unwrap()),
                }
            }
            rows.sort_and_reduce();
            [Table::TokenTransfers, Table::BlockGas, Table::Blocks]
                .map(|table| (table, rows.table(table).copy_body(|_| true).0))
                .to_vec()
        })
        .collect()
}

async fn bare_copy(url: &str, bodies: &[Vec<(Table, bytes::Bytes)>]) -> Duration {
    let (client, connection) = tokio_postgres::connect(url, NoTls).await.unwrap();
    tokio::spawn(connection);
    let mut statements = Vec::new();
    for (table, _) in &bodies[0] {
        statements.push(client.prepare(&table.copy_sql()).await.unwrap());
    }
    let started = Instant::now();
    for batch in bodies {
        client.batch_execute("BEGIN").await.unwrap();
        for ((_, body), statement) in batch.iter().zip(&statements) {
            let sink = client.copy_in(statement).await.unwrap();
            futures::pin_mut!(sink);
            sink.send(body.clone()).await.unwrap();
            sink.finish().await.unwrap();
        }
        client.batch_execute("COMMIT").await.unwrap();
    }
    started.elapsed()
}

async fn persist(nats: &Nats, store: &Store) -> Duration {
    let end = nats.stream_state("EVM").await.unwrap().last_sequence;
    let context = Context::new("rate");
    let started = Instant::now();
    let task = tokio::spawn(run(Config::default(), nats.clone(), store.clone(), context.clone()));
    while store.position("EVM").await.unwrap().sequence < end {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    let elapsed = started.elapsed();
    context.shutdown.cancel();
    task.await.unwrap().unwrap();
    elapsed
}

async fn clear(url: &str) {
    let (client, connection) = tokio_postgres::connect(url, NoTls).await.unwrap();
    tokio::spawn(connection);
    client
        .batch_execute("TRUNCATE token_transfers, block_gas, blocks, positions; CHECKPOINT")
        .await
        .unwrap();
}

/// User and system time of this process; 100 ticks are a second.
fn cpu_seconds() -> f64 {
    let stat = std::fs::read_to_string("/proc/self/stat").unwrap();
    let fields: Vec<&str> = stat.rsplit(") ").next().unwrap().split(' ').collect();
    fields[11..13].iter().map(|ticks| ticks.parse::<f64>().unwrap()).sum::<f64>() / 100.0
}
