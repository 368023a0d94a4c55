use crypto_intel_nats::{OutMessage, list_dead_letters};
use crypto_intel_schemas::{Event, Index, Price};

use crate::{chain::Chain, harness::Servers};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_bad_row_is_dead_lettered_alone() {
    let servers = Servers::start().await;
    let mut chain = Chain::new("base");
    chain.play(&servers.nats, 3, 100).await;
    let mut events = chain.grow(100);
    if let Event::Erc20Transfer(body) = &mut events[41] {
        body.symbol = Some("EVIL".into());
    }
    chain.publish(&servers.nats, &events).await;
    chain.play(&servers.nats, 3, 100).await;
    // A constraint that the row encoder does not know.
    let sql = servers.sql().await;
    sql.batch_execute("ALTER TABLE token_transfers ADD CHECK (symbol <> 'EVIL')").await.unwrap();
    let persist = servers.persist("one").await;
    servers.settled("EVM").await;
    let letters = list_dead_letters(&servers.nats, None, 10).await.unwrap();
    assert_eq!(letters.len(), 1);
    assert_eq!(letters[0].payload.as_ref(), events[41].encode());
    assert!(letters[0].error.contains("token_transfers"), "{}", letters[0].error);
    let stored = servers.stored_transfers().await;
    assert_eq!(stored.len(), 699);
    let hash = events[41].block_fields().unwrap().block_hash;
    assert!(!stored.contains(&(hash, 41)));
    assert_eq!(persist.metric("crypto_intel_persist_dead_lettered_total", &[]), 1.0);
    persist.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_bad_marker_is_dead_lettered_and_its_rows_stay() {
    let servers = Servers::start().await;
    let mut chain = Chain::new("base");
    chain.play(&servers.nats, 1, 3).await;
    let mut events = chain.grow(3);
    if let Some(Event::Block(marker)) = events.last_mut() {
        marker.unverified = vec!["evil".into()];
    }
    chain.publish(&servers.nats, &events).await;
    chain.play(&servers.nats, 1, 3).await;
    let sql = servers.sql().await;
    sql.batch_execute("ALTER TABLE blocks ADD CHECK ('evil' <> ALL (unverified))").await.unwrap();
    let persist = servers.persist("one").await;
    servers.settled("EVM").await;
    let letters = list_dead_letters(&servers.nats, None, 10).await.unwrap();
    assert_eq!(letters.len(), 1);
    assert!(letters[0].subject.ends_with(".block"), "{}", letters[0].subject);
    assert_eq!(servers.stored_transfers().await.len(), 9);
    assert_eq!(servers.number("SELECT count(*) FROM blocks").await, 2);
    persist.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn undecodable_messages_are_dead_lettered_once_and_reading_continues() {
    let servers = Servers::start().await;
    let mut chain = Chain::new("base");
    chain.play(&servers.nats, 1, 3).await;
    let newer = serde_free_map();
    for body in [b"not MessagePack".to_vec(), Vec::new(), newer] {
        servers.nats.publish(OutMessage::new("evm.base.transfer.erc20", body)).await.unwrap();
    }
    chain.play(&servers.nats, 1, 3).await;
    for instance in ["one", "two"] {
        let persist = servers.persist(instance).await;
        servers.settled("EVM").await;
        persist.stop().await;
        servers
            .query("UPDATE positions SET sequence = 0, stored_at_us = 0, revision = 0 RETURNING 1")
            .await;
    }
    let letters = list_dead_letters(&servers.nats, None, 10).await.unwrap();
    assert_eq!(letters.len(), 3, "each is written once");
    assert_eq!(letters[0].subject, "evm.base.transfer.erc20");
    servers.assert_stored(&[&chain]).await;
}

/// `{"kind": "swap"}`: a kind of a newer version.
fn serde_free_map() -> Vec<u8> {
    let mut body = vec![0x82, 0xa4];
    body.extend(b"kind");
    body.push(0xa4);
    body.extend(b"swap");
    body.push(0xa7);
    body.extend(b"version");
    body.push(1);
    body
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn bad_rows_of_other_streams_are_dead_lettered_alone_too() {
    let servers = Servers::start().await;
    let persist = servers.persist("one").await;
    for number in 0..20 {
        let mut price = Price::at("p", 1_700_000_000_000_000, 1);
        price.asset = format!("asset{number}");
        if number == 7 {
            // Larger than an index entry may be, and incompressible.
            price.asset = (0_u64..150)
                .map(|part| alloy_primitives::keccak256(part.to_be_bytes()).to_string())
                .collect();
        }
        servers
            .nats
            .publish(OutMessage::new(
                format!("market.price.a{number}"),
                Event::from(price).encode(),
            ))
            .await
            .unwrap();
    }
    let index = Event::from(Index { index: "i".into(), ..Index::at("p", i64::MIN / 2, 1) });
    servers.nats.publish(OutMessage::new("sentiment.i", index.encode())).await.unwrap();
    servers.settled("MARKET").await;
    servers.settled("SIGNALS").await;
    assert_eq!(servers.number("SELECT count(*) FROM market_ticks").await, 19);
    let letters = list_dead_letters(&servers.nats, None, 10).await.unwrap();
    let mut subjects: Vec<&str> = letters.iter().map(|letter| &*letter.subject).collect();
    subjects.sort_unstable();
    assert_eq!(subjects, ["market.price.a7", "sentiment.i"]);
    persist.stop().await;
}
