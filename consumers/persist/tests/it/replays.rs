use crypto_intel_nats::RangeRequest;
use crypto_intel_persist::{Config, Replay, ReplayOutcome, ReplayTask};
use crypto_intel_testkit::{SeededRandom, assert_same_set, eventually};
use tokio_util::sync::CancellationToken;

use crate::{
    chain::Chain,
    faults::play_on,
    rig::{PATIENCE, Rig},
};

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

async fn prepare(rig: &Rig, replay: Replay) -> anyhow::Result<ReplayTask> {
    ReplayTask::prepare(&Config::default(), &rig.nats, &rig.store().await, replay).await
}

async fn run(rig: &Rig, replay: Replay) -> ReplayOutcome {
    let task = prepare(rig, replay).await.unwrap();
    let outcome = task.run(&CancellationToken::new()).await.unwrap();
    assert!(outcome.is_complete, "{outcome:?}");
    outcome
}

/// Names of positions that are no stream's own.
async fn own_positions(rig: &Rig) -> Vec<String> {
    let rows = rig.query("SELECT stream FROM positions WHERE stream LIKE 'replay%'").await;
    rows.iter().map(|row| row.get(0)).collect()
}

async fn evm_position(rig: &Rig) -> i64 {
    rig.number("SELECT sequence FROM positions WHERE stream = 'EVM'").await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn deleted_rows_come_back_beside_live_and_live_does_not_notice() {
    let rig = Rig::start().await;
    let mut random = SeededRandom::from_environment();
    let persist = rig.persist("live").await;
    let mut chain = Chain::new("base");
    play_on(&rig, &mut chain, &mut random, 60).await;
    rig.settled("EVM").await;
    rig.query("DELETE FROM token_transfers WHERE block_number % 3 = 0 RETURNING 1").await;
    rig.query("DELETE FROM logs WHERE block_number < 20 RETURNING 1").await;
    rig.query("WITH gone AS (DELETE FROM blocks WHERE block_number = 7 RETURNING block_hash) \
               DELETE FROM token_transfers USING gone WHERE token_transfers.block_hash = gone.block_hash RETURNING 1")
        .await;
    let replaying = run(&rig, everything("EVM"));
    let playing = play_on(&rig, &mut chain, &mut random, 60);
    let (outcome, ()) = tokio::join!(replaying, playing);
    assert!(outcome.counts.rows["token_transfers"] > 0, "{outcome:?}");
    rig.settled("EVM").await;
    rig.assert_stored(&[&chain]).await;
    assert_eq!(persist.metric("fence_lost_total"), 0.0, "live did not notice");
    assert_eq!(own_positions(&rig).await, [] as [String; 0]);
    persist.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_killed_replay_goes_on_where_it_was() {
    let rig = Rig::start().await;
    let persist = rig.persist("live").await;
    let mut chain = Chain::new("base");
    chain.play(&rig.nats, 300, 10).await;
    rig.settled("EVM").await;
    let before = evm_position(&rig).await;
    rig.query("DELETE FROM token_transfers RETURNING 1").await;
    let slow = Replay { rate: Some(1_000), ..everything("EVM") };
    let first = prepare(&rig, slow).await.unwrap();
    let progress = first.progress();
    let running = tokio::spawn(async move { first.run(&CancellationToken::new()).await });
    eventually(PATIENCE, async || progress.counts().messages >= 500).await;
    running.abort();
    let _ended = running.await;
    // Whatever the stream gets meanwhile is not what was asked for.
    chain.play(&rig.nats, 5, 10).await;
    let second = prepare(&rig, everything("EVM")).await.unwrap();
    assert!(second.is_resumed() && second.range().to == before.cast_unsigned());
    let outcome = second.run(&CancellationToken::new()).await.unwrap();
    assert!(outcome.is_complete);
    let all = before.cast_unsigned();
    assert!((1..all).contains(&outcome.counts.messages), "it went on: {outcome:?}");
    rig.settled("EVM").await;
    rig.assert_stored(&[&chain]).await;
    assert_eq!(own_positions(&rig).await, [] as [String; 0]);

    let third = prepare(&rig, Replay { rate: Some(1_000), ..everything("EVM") }).await.unwrap();
    assert!(!third.is_resumed());
    drop(third);
    let anew = prepare(&rig, Replay { anew: true, ..everything("EVM") }).await.unwrap();
    assert!(!anew.is_resumed());
    persist.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_filter_gets_markers_and_leaves_other_rows_alone() {
    let rig = Rig::start().await;
    let persist = rig.persist("live").await;
    let (mut base, mut polygon) = (Chain::new("base"), Chain::new("polygon"));
    base.play(&rig.nats, 6, 8).await;
    polygon.play(&rig.nats, 6, 8).await;
    for batch in base.reorganise(3, 5) {
        base.publish(&rig.nats, &batch).await;
    }
    rig.settled("EVM").await;
    rig.query("DELETE FROM token_transfers RETURNING 1").await;
    rig.query("DELETE FROM logs WHERE chain = 'base' RETURNING 1").await;
    let filters = vec!["evm.base.transfer.>".to_owned()];
    run(&rig, Replay { filters: filters.clone(), ..everything("EVM") }).await;
    // Canonical rows of what was asked for, and no others.
    assert_same_set(base.transfers(), rig.stored_transfers().await);
    assert_eq!(rig.number("SELECT count(*) FROM logs WHERE chain = 'base'").await, 0);
    let polygons = rig.number("SELECT count(*) FROM logs WHERE chain = 'polygon'").await;
    assert_eq!(polygons, 6, "what the filter leaves out is untouched");
    // Filters that cross are read, too.
    let filters = vec!["evm.base.>".to_owned(), "evm.*.transfer.*".to_owned()];
    run(&rig, Replay { filters, ..everything("EVM") }).await;
    rig.assert_stored(&[&base, &polygon]).await;
    persist.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_reorganised_stream_gives_canonical_rows_only_even_into_empty_tables() {
    let rig = Rig::start().await;
    let mut random = SeededRandom::from_environment();
    let mut chain = Chain::new("base");
    chain.play(&rig.nats, 5, 8).await;
    for _ in 0..6 {
        play_on(&rig, &mut chain, &mut random, 4).await;
        for batch in chain.reorganise(2, 3) {
            chain.publish(&rig.nats, &batch).await;
        }
    }
    // Nothing was stored yet: the replay comes first, live after it.
    run(&rig, everything("EVM")).await;
    rig.assert_stored(&[&chain]).await;
    let persist = rig.persist("live").await;
    rig.settled("EVM").await;
    rig.assert_stored(&[&chain]).await;
    run(&rig, everything("EVM")).await;
    rig.assert_stored(&[&chain]).await;
    persist.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_older_hash_never_replaces_a_newer_one() {
    let rig = Rig::start().await;
    let persist = rig.persist("live").await;
    let fork = rig.repaired_by_history().await;
    run(&rig, everything("EVM")).await;
    rig.assert_stored(&[&fork]).await;
    persist.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_range_is_widened_to_whole_blocks() {
    let rig = Rig::start().await;
    let persist = rig.persist("live").await;
    let mut chain = Chain::new("base");
    chain.play(&rig.nats, 10, 10).await;
    rig.settled("EVM").await;
    rig.query("DELETE FROM token_transfers RETURNING 1").await;
    // 15 messages a block: both bounds lie in the middle of one.
    let request =
        RangeRequest { from_sequence: Some(40), to_sequence: Some(70), ..RangeRequest::default() };
    let task = prepare(&rig, Replay { request, words: "40 to 70".into(), ..everything("EVM") })
        .await
        .unwrap();
    assert_eq!((task.range().from, task.range().to), (31, 75));
    assert!(task.run(&CancellationToken::new()).await.unwrap().is_complete);
    let whole = rig.number("SELECT count(*) FROM token_transfers WHERE block_number IN (3, 4, 5)");
    assert_eq!(whole.await, 3 * 11);
    assert_eq!(rig.stored_transfers().await.len(), 30);
    persist.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn other_streams_are_replayed_too_and_unknown_ones_refused() {
    let rig = Rig::start().await;
    let price = crypto_intel_schemas::Event::from(crypto_intel_schemas::Price::at("p", 1, 1));
    rig.nats
        .publish(crypto_intel_nats::OutMessage::new("market.price.x", price.encode()))
        .await
        .unwrap();
    let outcome = run(&rig, everything("MARKET")).await;
    assert_eq!(outcome.counts.rows["market_ticks"], 1);
    let error = prepare(&rig, everything("DLQ")).await.unwrap_err().to_string();
    assert!(error.contains("DLQ") && error.contains("EVM, HISTORY"), "{error}");
}
