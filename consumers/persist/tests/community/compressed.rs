use crate::{chain::Chain, harness::Servers};

/// Compresses every chunk.
async fn compress(servers: &Servers) {
    for table in ["token_transfers", "native_transfers", "approvals", "logs", "block_gas"] {
        let chunks =
            servers.query(&format!("SELECT compress_chunk(c) FROM show_chunks('{table}') c")).await;
        assert!(!chunks.is_empty(), "{table}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_reorg_over_compressed_chunks_leaves_what_the_chain_has() {
    let servers = Servers::start().await;
    let persist = servers.persist("one").await;
    let mut chain = Chain::new("base");
    chain.play(&servers.nats, 20, 30).await;
    servers.settled("EVM").await;
    compress(&servers).await;
    for batch in chain.reorganise(3, 20) {
        chain.publish(&servers.nats, &batch).await;
    }
    servers.settled("EVM").await;
    servers.assert_stored(&[&chain]).await;
    assert_eq!(persist.metric("crypto_intel_persist_dead_lettered_total", &[]), 0.0);
    persist.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_replay_into_compressed_chunks_adds_nothing() {
    let servers = Servers::start().await;
    let persist = servers.persist("one").await;
    let mut chain = Chain::new("base");
    chain.play(&servers.nats, 20, 30).await;
    servers.settled("EVM").await;
    compress(&servers).await;
    servers
        .query("UPDATE positions SET sequence = 0, stored_at_us = 0, revision = 0 RETURNING 1")
        .await;
    chain.play(&servers.nats, 2, 30).await;
    servers.settled("EVM").await;
    servers.assert_stored(&[&chain]).await;
    assert!(persist.metric("crypto_intel_persist_merged_batches_total", &[]) > 0.0);
    persist.stop().await;
}
