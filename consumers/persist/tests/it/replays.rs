use crypto_intel_nats::RangeRequest;
use crypto_intel_persist::{Config, Replay, ReplayOutcome, ReplayTask};
use crypto_intel_testkit::{SeededRandom, assert_same_set, eventually};
use tokio_util::sync::CancellationToken;

use crate::{chain::Chain, faults::play_on, harness::Servers};

fn everything(stream: &str) -> Replay {
    Replay {
        stream: stream.to_owned(),
        filters: Vec::new(),
        words: String::new(),
        request: RangeRequest::default(),
        rate: None,
        anew: false,
    }
}

async fn prepare(servers: &Servers, replay: Replay) -> anyhow::Result<ReplayTask> {
    ReplayTask::prepare(&Config::default(), &servers.nats, &servers.store().await, replay).await
}

async fn run(servers: &Servers, replay: Replay) -> ReplayOutcome {
    let task = prepare(servers, replay).await.unwrap();
    let outcome = task.run(&CancellationToken::new()).await.unwrap();
    assert!(outcome.is_complete, "{outcome:?}");
    outcome
}

/// Names of the positions of replays.
async fn own_positions(servers: &Servers) -> Vec<String> {
    let rows = servers.query("SELECT stream FROM positions WHERE stream LIKE 'replay%'").await;
    rows.iter().map(|row| row.get(0)).collect()
}

async fn evm_position(servers: &Servers) -> i64 {
    servers.number("SELECT sequence FROM positions WHERE stream = 'EVM'").await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_replay_restores_deleted_rows_without_disturbing_live() {
    let servers = Servers::start().await;
    let mut random = SeededRandom::from_environment();
    let persist = servers.persist("live").await;
    let mut chain = Chain::new("base");
    play_on(&servers, &mut chain, &mut random, 60).await;
    servers.settled("EVM").await;
    servers.query("DELETE FROM token_transfers WHERE block_number % 3 = 0 RETURNING 1").await;
    servers.query("DELETE FROM logs WHERE block_number < 20 RETURNING 1").await;
    servers.query("DELETE FROM blocks WHERE block_number = 7 RETURNING 1").await;
    servers.query("DELETE FROM token_transfers WHERE block_number = 7 RETURNING 1").await;
    let replaying = run(&servers, everything("EVM"));
    let playing = play_on(&servers, &mut chain, &mut random, 60);
    let (outcome, ()) = tokio::join!(replaying, playing);
    assert!(outcome.counts.rows["token_transfers"] > 0, "{outcome:?}");
    servers.settled("EVM").await;
    servers.assert_stored(&[&chain]).await;
    assert_eq!(
        persist.metric("crypto_intel_persist_fence_lost_total", &[]),
        0.0,
        "live did not notice"
    );
    assert_eq!(own_positions(&servers).await, [] as [String; 0]);
    persist.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_killed_replay_resumes_where_it_was() {
    let servers = Servers::start().await;
    let persist = servers.persist("live").await;
    let mut chain = Chain::new("base");
    chain.play(&servers.nats, 300, 10).await;
    servers.settled("EVM").await;
    let before = evm_position(&servers).await;
    servers.query("DELETE FROM token_transfers RETURNING 1").await;
    let slow = Replay { rate: Some(1_000), ..everything("EVM") };
    let first = prepare(&servers, slow).await.unwrap();
    let progress = first.progress();
    let running = tokio::spawn(async move { first.run(&CancellationToken::new()).await });
    eventually(async || progress.counts().messages >= 500).await;
    running.abort();
    let _ended = running.await;
    // Messages that arrive meanwhile are not part of the range.
    chain.play(&servers.nats, 5, 10).await;
    let second = prepare(&servers, everything("EVM")).await.unwrap();
    assert!(second.is_resumed() && second.range().to == before.cast_unsigned());
    let outcome = second.run(&CancellationToken::new()).await.unwrap();
    assert!(outcome.is_complete);
    let all = before.cast_unsigned();
    assert!((1..all).contains(&outcome.counts.messages), "it went on: {outcome:?}");
    servers.settled("EVM").await;
    servers.assert_stored(&[&chain]).await;
    assert_eq!(own_positions(&servers).await, [] as [String; 0]);

    let third = prepare(&servers, Replay { rate: Some(1_000), ..everything("EVM") }).await.unwrap();
    assert!(!third.is_resumed());
    drop(third);
    let anew = prepare(&servers, Replay { anew: true, ..everything("EVM") }).await.unwrap();
    assert!(!anew.is_resumed());
    persist.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_filter_gets_markers_and_leaves_other_rows_alone() {
    let servers = Servers::start().await;
    let persist = servers.persist("live").await;
    let (mut base, mut polygon) = (Chain::new("base"), Chain::new("polygon"));
    base.play(&servers.nats, 6, 8).await;
    polygon.play(&servers.nats, 6, 8).await;
    for batch in base.reorganise(3, 5) {
        base.publish(&servers.nats, &batch).await;
    }
    servers.settled("EVM").await;
    servers.query("DELETE FROM token_transfers RETURNING 1").await;
    servers.query("DELETE FROM logs WHERE chain = 'base' RETURNING 1").await;
    let filters = vec!["evm.base.transfer.>".to_owned()];
    run(&servers, Replay { filters: filters.clone(), ..everything("EVM") }).await;
    // Canonical rows of what was asked for, and no others.
    assert_same_set(base.transfers(), servers.stored_transfers().await);
    assert_eq!(servers.number("SELECT count(*) FROM logs WHERE chain = 'base'").await, 0);
    let polygons = servers.number("SELECT count(*) FROM logs WHERE chain = 'polygon'").await;
    assert_eq!(polygons, 6, "what the filter leaves out is untouched");
    // Overlapping filters work as well.
    let filters = vec!["evm.base.>".to_owned(), "evm.*.transfer.*".to_owned()];
    run(&servers, Replay { filters, ..everything("EVM") }).await;
    servers.assert_stored(&[&base, &polygon]).await;
    persist.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_reorganised_stream_gives_canonical_rows_only_even_into_empty_tables() {
    let servers = Servers::start().await;
    let mut random = SeededRandom::from_environment();
    let mut chain = Chain::new("base");
    chain.play(&servers.nats, 5, 8).await;
    for _ in 0..6 {
        play_on(&servers, &mut chain, &mut random, 4).await;
        for batch in chain.reorganise(2, 3) {
            chain.publish(&servers.nats, &batch).await;
        }
    }
    // Nothing was stored yet: the replay comes first, live after it.
    run(&servers, everything("EVM")).await;
    servers.assert_stored(&[&chain]).await;
    let persist = servers.persist("live").await;
    servers.settled("EVM").await;
    servers.assert_stored(&[&chain]).await;
    run(&servers, everything("EVM")).await;
    servers.assert_stored(&[&chain]).await;
    persist.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_older_hash_never_replaces_a_newer_one() {
    let servers = Servers::start().await;
    let persist = servers.persist("live").await;
    let fork = servers.repaired_by_history().await;
    run(&servers, everything("EVM")).await;
    servers.assert_stored(&[&fork]).await;
    persist.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_range_is_widened_to_whole_blocks() {
    let servers = Servers::start().await;
    let persist = servers.persist("live").await;
    let mut chain = Chain::new("base");
    chain.play(&servers.nats, 10, 10).await;
    servers.settled("EVM").await;
    servers.query("DELETE FROM token_transfers RETURNING 1").await;
    // 15 messages a block: both bounds lie in the middle of one.
    let request =
        RangeRequest { from_sequence: Some(40), to_sequence: Some(70), ..RangeRequest::default() };
    let task = prepare(&servers, Replay { request, words: "40 to 70".into(), ..everything("EVM") })
        .await
        .unwrap();
    assert_eq!((task.range().from, task.range().to), (31, 75));
    assert!(task.run(&CancellationToken::new()).await.unwrap().is_complete);
    let whole =
        servers.number("SELECT count(*) FROM token_transfers WHERE block_number IN (3, 4, 5)");
    assert_eq!(whole.await, 3 * 11);
    assert_eq!(servers.stored_transfers().await.len(), 30);
    persist.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn other_streams_are_replayed_too_and_unknown_ones_refused() {
    let servers = Servers::start().await;
    let price = crypto_intel_schemas::Event::from(crypto_intel_schemas::Price::at("p", 1, 1));
    servers
        .nats
        .publish(crypto_intel_nats::OutMessage::new("market.price.x", price.encode()))
        .await
        .unwrap();
    let outcome = run(&servers, everything("MARKET")).await;
    assert_eq!(outcome.counts.rows["market_ticks"], 1);
    let error = prepare(&servers, everything("DLQ")).await.unwrap_err().to_string();
    assert!(error.contains("DLQ") && error.contains("EVM, HISTORY"), "{error}");
}
