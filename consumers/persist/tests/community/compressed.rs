use crate::{chain::Chain, rig::Rig};

/// Keeps every chunk that is there by column.
async fn compress(rig: &Rig) {
    for table in ["token_transfers", "native_transfers", "approvals", "logs", "block_gas"] {
        let chunks =
            rig.query(&format!("SELECT compress_chunk(c) FROM show_chunks('{table}') c")).await;
        assert!(!chunks.is_empty(), "{table}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_reorg_over_compressed_chunks_leaves_what_the_chain_has() {
    let rig = Rig::start().await;
    let persist = rig.persist("one").await;
    let mut chain = Chain::new("base");
    chain.play(&rig.nats, 20, 30).await;
    rig.settled("EVM").await;
    compress(&rig).await;
    for batch in chain.reorganise(3, 20) {
        chain.publish(&rig.nats, &batch).await;
    }
    rig.settled("EVM").await;
    rig.assert_stored(&[&chain]).await;
    assert_eq!(persist.metric("dead_lettered_total"), 0.0);
    persist.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_replay_into_compressed_chunks_adds_nothing() {
    let rig = Rig::start().await;
    let persist = rig.persist("one").await;
    let mut chain = Chain::new("base");
    chain.play(&rig.nats, 20, 30).await;
    rig.settled("EVM").await;
    compress(&rig).await;
    rig.query("UPDATE positions SET sequence = 0, stored_at_us = 0, revision = 0 RETURNING 1")
        .await;
    chain.play(&rig.nats, 2, 30).await;
    rig.settled("EVM").await;
    rig.assert_stored(&[&chain]).await;
    assert!(persist.metric("merged_batches_total") > 0.0);
    persist.stop().await;
}
